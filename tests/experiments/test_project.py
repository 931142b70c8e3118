"""A folder of one's own works from an installed package, and nothing is written elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.experiments.project import CHECKOUT_PAGES, PAGE_NOTEBOOKS, PAGES, add_notebooks, write_project

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the package as its wheel holds it, and nothing else of this repository."""
    place = tmp_path_factory.mktemp("site")
    package = place / "workbench"
    package.mkdir()
    for part in (ROOT / "workbench").iterdir():
        (package / part.name).symlink_to(part)
    for source, target in forced().items():
        (place / target).parent.mkdir(exist_ok=True)
        (place / target).symlink_to(ROOT / source)
    return place


def forced() -> dict[str, str]:
    """What the wheel holds beside the package's own files."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]


def run(folder: Path, installed: Path, *lines: str) -> tuple[list[int], subprocess.CompletedProcess[str]]:
    """The exit codes of some commands in one process, and what they printed."""
    script = (
        "import sys; from pathlib import Path; "
        "sys.path = [folder for folder in sys.path if not Path(folder, 'studies').exists()]; "  # of this checkout
        "from workbench.__main__ import main; [print('exit code', main(line.split())) for line in sys.argv[1:]]"
    )
    env = {**os.environ, "PYTHONPATH": str(installed)}
    env.pop("WORKBENCH_HOME", None)
    command = [sys.executable, "-P", "-c", script, *lines]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return [int(code) for code in re.findall(r"^exit code (\d+)$", done.stdout, re.MULTILINE)], done


def test_the_wheel_holds_every_notebook_where_it_is_looked_for() -> None:
    inside = PAGES.relative_to(ROOT)
    notebooks = [f"{name}.ipynb" for name in PAGE_NOTEBOOKS]
    assert forced() == {f"reports/{name}": f"{inside}/{name}" for name in notebooks}
    assert all((CHECKOUT_PAGES / name).is_file() for name in notebooks)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "file"):
        with pytest.raises(Refused, match="is there and not empty; name a new folder"):
            write_project(folder)
    with pytest.raises(Refused, match="name a folder that can be written to"):
        write_project(tmp_path / "file" / "below")


def test_notebooks_that_are_there_stay(tmp_path: Path) -> None:
    (tmp_path / "search.ipynb").write_text("mine")
    assert {file.name for file in add_notebooks(tmp_path)} == {"ablation.ipynb", "persons.ipynb"}
    assert (tmp_path / "search.ipynb").read_text() == "mine" and add_notebooks(tmp_path) == []


def test_its_readme_is_short_and_names_its_files(tmp_path: Path) -> None:
    paths = {str(path.relative_to(tmp_path)) for path in write_project(tmp_path)}
    assert {"studies/my_study.py", "studies/my_search.py", "components/my_neck.py", ".gitignore"} <= paths
    assert len((tmp_path / "README.md").read_text().splitlines()) <= 10


def test_its_studies_are_known_to_an_installed_package(tmp_path: Path, installed: Path) -> None:
    write_project(tmp_path / "mine")
    codes, done = run(tmp_path / "mine", installed, "study nobody")
    assert codes == [2] and "there are ['my_search', 'my_study']" in done.stderr


@pytest.mark.soak
def test_its_studies_and_components_are_planned_by_an_installed_package(tmp_path: Path, installed: Path) -> None:
    write_project(tmp_path / "mine")
    lines = ("study status my_study --protocol smoke", "study status my_search --protocol smoke", "components")
    codes, done = run(tmp_path / "mine", installed, *lines)
    assert (codes, done.stderr) == ([1, 1, 0], "") and "0 of 2 complete" in done.stdout
    assert "  PlainNeck: A 1x1 projection per level" in done.stdout
