"""The kept plan: what `study status` shows of it is what it would plan itself, whatever has changed since."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments import kept_plan
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.kept_plan import KeptPlan, PlanPlace, lines_of
from workbench.training.rung import write_pause

PLANNED = STUDY.planned_jobs(SETTING)
KEPT = KeptPlan("mine/test", lines_of(PLANNED))
Place = Callable[..., PlanPlace]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Of a workbench, studies and installed packages that are a few files, where no module came from elsewhere."""
    for name in ("home", "workbench", "studies", "site-packages/torch-1.dist-info"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("workbench/a.py", "workbench/trunk.bin", "studies/mine.py", "studies/shared.py"):
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])
    monkeypatch.setattr(kept_plan, "SOURCE_TREE", tmp_path / "workbench")
    monkeypatch.setattr(kept_plan, "own_package", lambda name: SimpleNamespace(__path__=[str(tmp_path / name)]))
    monkeypatch.setattr(kept_plan, "loaded_files", list)
    return lambda *words: PlanPlace(tmp_path / "home", "mine", words)


def test_a_plan_is_read_as_it_was_kept_by_the_same_words(place: Place) -> None:
    assert place("smoke").read() is None
    place("smoke").keep("mine/test", PLANNED)
    assert place("smoke").read() == KEPT
    assert place("short").read() is None and place("smoke", 3).read() is None


@pytest.mark.parametrize(
    "name",
    [
        *("studies/mine.py", "studies/shared.py", "studies/new.py", "studies/rows.csv", "components/mine.py"),
        *("workbench/a.py", "workbench/trunk.bin", "site-packages/timm-2.dist-info"),
    ],
)
def test_what_a_plan_follows_from_must_be_as_it_was(name: str, place: Place, tmp_path: Path) -> None:
    before = place()
    before.keep("mine/test", PLANNED)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("it is another one")
    assert place().read() is None
    before.keep("mine/test", PLANNED)  # by a command that had imported what was there before
    assert place().read() is None
    place().keep("mine/test", PLANNED)
    assert place().read() == KEPT


def test_a_module_from_elsewhere_is_not_in_the_stamp(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_plan, "loaded_files", lambda: [__file__])
    place().keep("mine/test", PLANNED)
    assert place().read() is None
    monkeypatch.setattr(
        kept_plan, "loaded_files", lambda: [os.__file__, pytest.__file__, os.path.abspath("studies/mine.py")]
    )
    place().keep("mine/test", PLANNED)
    assert place().read() == KEPT


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"stamp": 1}', "\0"])
def test_a_damaged_file_is_no_plan(text: str, place: Place, tmp_path: Path) -> None:
    place().keep("mine/test", PLANNED)
    (path,) = (tmp_path / "home/plans/mine").iterdir()
    path.write_text(text)
    assert place().read() is None


def test_a_folder_of_runs_that_can_not_be_written_is_left_alone(place: Place, tmp_path: Path) -> None:
    (tmp_path / "home" / kept_plan.PLANS).write_text("a file")
    place().keep("mine/test", PLANNED)
    (tmp_path / "home" / kept_plan.PLANS).unlink()
    (tmp_path / "home").rmdir()
    place().keep("mine/test", PLANNED)
    assert not (tmp_path / "home").exists()


# ------------------------------------------------------------------------------------------- the command, as a process

ROOT = Path(__file__).parents[2]
STUDY_FILE = """
from studies.shared import LABEL
from workbench.presets import rtmo
from workbench.study import Row, Study

STUDY = Study("mine", "Which?", "nobody", rtmo("s"), (Row("plain"), Row(LABEL, {"coords.padding": 1.5})))
"""
COMMAND = """
import sys
from workbench.__main__ import main
code = main(["study", "status", "mine", "--protocol", "smoke"])
print("torch" in sys.modules, file=sys.stderr)
sys.exit(code)
"""


class Folder:
    """A person's folder with a study, and a copy of the workbench."""

    def __init__(self, path: Path) -> None:
        self.path, self.home = path, path / "runs"
        shutil.copytree(ROOT / "workbench", path / "code/workbench", ignore=shutil.ignore_patterns("__pycache__"))
        for folder in (path / "studies", self.home):
            folder.mkdir()
        (path / "studies/mine.py").write_text(STUDY_FILE)
        (path / "studies/shared.py").write_text('LABEL = "more"')

    def status(self) -> tuple[str, bool]:
        """What it prints, and whether it has imported torch."""
        own = {"PYTHONPATH": str(self.path / "code"), "WORKBENCH_HOME": str(self.home)}
        own |= {"PYTHONDONTWRITEBYTECODE": "1"}  # what is compiled already is read
        words = [sys.executable, "-P", "-c", COMMAND]
        done = subprocess.run(words, cwd=self.path, env=os.environ | own, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr in ("True\n", "False\n"), done.stderr
        return done.stdout, done.stderr == "True\n"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_status_shows_the_same_without_torch_and_nothing_old(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    assert "0 of 2 complete" in folder.status()[0]
    (plan,) = (folder.home / "plans/mine").iterdir()
    key = json.loads(plan.read_text())["jobs"][0][-1]
    JobQueue(folder.home, "mine/smoke")
    (folder.home / "jobs" / key).mkdir(parents=True)
    write_pause(folder.home / "jobs" / key, key, 1, {})
    kept, torch = folder.status()
    assert "paused after 1" in kept and not torch
    plan.unlink()
    assert folder.status() == (kept, True) and folder.status() == (kept, False)

    (tmp_path / "studies/shared.py").write_text('LABEL = "other"')
    assert "other" in folder.status()[0]
    (tmp_path / "studies/mine.py").write_text(STUDY_FILE.replace("plain", "simple"))
    assert "simple" in folder.status()[0]
    with (tmp_path / "code/workbench/core/words.py").open("a") as file:
        file.write("# edited\n")
    assert folder.status()[1]
