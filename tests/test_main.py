"""How the command line starts: which folders it searches for modules."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
AS_MODULE = ["-m", "workbench"]
AS_SCRIPT = ["-c", "import sys; from workbench.__main__ import main; sys.exit(main(sys.argv[1:]))"]
PACKAGES = ("torch", "numpy", "typer", "json", "ast", "timm")
BENCHMARK = """
import importlib.util, sys
def main(options):
    print(*options)
    print(*(importlib.util.find_spec(name).origin for name in ("studies.mine", *PACKAGES)), sep="\\n")
    return 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder: a study, a benchmark, and files that are called as packages are."""
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name}.py of the current folder was imported')\n")
    for name in ("studies", "benchmarks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    text = (ROOT / "studies/ablate_dcc.py").read_text("utf-8").replace('name="ablate_dcc"', 'name="mine"')
    (tmp_path / "studies/mine.py").write_text(text, "utf-8")
    (tmp_path / "benchmarks/mine.py").write_text(BENCHMARK.replace("PACKAGES", repr(PACKAGES)))
    return tmp_path


def run(folder: Path, tmp_path_factory: pytest.TempPathFactory, *words: str) -> subprocess.CompletedProcess[str]:
    """In `folder`, with the package in a place where there are no studies."""
    place = tmp_path_factory.mktemp("place")
    (place / "workbench").symlink_to(ROOT / "workbench")
    env = {**os.environ, "PYTHONPATH": str(place)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("start", [AS_MODULE, AS_SCRIPT], ids=["module", "script"])
def test_studies_and_benchmarks_of_the_current_folder_are_found_and_nothing_else(
    start: list[str], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = run(folder, tmp_path_factory, *start, "bench", "mine", "--fast")
    options, study, *packages = done.stdout.splitlines()
    assert (done.returncode, options, study) == (0, "--fast", str(folder / "studies/mine.py")), done.stderr
    assert len(packages) == len(PACKAGES) and not any(path.startswith(str(folder)) for path in packages)


@pytest.mark.soak
def test_commands_work_where_files_are_called_as_packages_are(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    done = run(folder, tmp_path_factory, *AS_MODULE, "cost", "nano")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nano at 96 x 96")


def test_a_study_in_a_folder_without_an_init_is_found_where_the_package_brings_studies(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As where it is installed as editable: Python takes the package `studies` of the checkout before the folder."""
    place = tmp_path_factory.mktemp("editable")
    for name in ("workbench", "studies"):
        (place / name).symlink_to(ROOT / name)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/one.py").touch()
    env = {**os.environ, "PYTHONPATH": str(place)}
    command = [sys.executable, "-P", *AS_SCRIPT, "study", "nobody"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and "'ablate_dcc'" in done.stderr and "'one'" in done.stderr
