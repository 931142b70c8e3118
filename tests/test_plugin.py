"""A package with components, as others write it: once it is installed, its components appear everywhere.

`plugin/` is that package. It is installed for these tests alone, by the tools of the environment, without network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

import studies
from workbench.__main__ import main
from workbench.experiments.tracking import open_client
from workbench.models import catalog

ROOT = Path(__file__).parents[1]
PACKAGE, MODULE = ROOT / "tests/plugin", "simple_pose"
STUDY = '''"""Do its components pay?"""

from simple_pose.fpn import FPN
from simple_pose.simcc import SimCC

from workbench.presets import rtmo
from workbench.study import Row, Study

STUDY = Study(
    name="plugged",
    question="Do they pay?",
    source="a test",
    base=rtmo("s"),
    rows=(Row("published"), Row("plug-in", {"neck": FPN(channels=32), "coords": SimCC()})),
    default="smoke",
    whole="they change the neck",
)
'''
SMALLEST = ("protocol.epochs=1", "protocol.images=16", "protocol.epoch_images=16", "protocol.eval_images=4")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it is installed in."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PACKAGE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--offline", "--no-cache", "--no-deps", "--no-build-isolation", "--python", sys.executable]
    install = [find_uv_bin(), "pip", "install", "--quiet", *options, "--target", str(folder / "site"), str(source)]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def here(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with a study of its components, where it is installed."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/plugged.py").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "runs"))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(studies, "__path__", [*studies.__path__])  # the commands add this folder to it
    yield tmp_path
    for name in [name for name in sys.modules if name == "studies.plugged" or name.split(".")[0] == MODULE]:
        del sys.modules[name]


def test_it_is_a_whole_package() -> None:
    text = (PACKAGE / "pyproject.toml").read_text("utf-8")
    assert f'entry-points."{catalog.GROUP}"' in text and 'dependencies = ["rtmo-workbench"]' in text
    lines = (PACKAGE / "test_simple_pose.py").read_text("utf-8").splitlines()
    assert len([line for line in lines if line and not line.startswith(("from ", '"""'))]) == 1, "the tests are a line"
    assert MODULE not in sys.modules, "it is there for these tests alone"


@pytest.mark.soak
def test_its_own_tests_pass(site: Path, tmp_path: Path) -> None:
    shutil.copy(PACKAGE / "test_simple_pose.py", tmp_path)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    words = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "test_simple_pose.py"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("FPN-is_found", "FPN-learns_with_every_weight", "SimCC-is_found", "SimCC-decodes_what_it_learns"):
        assert re.search(rf"{name}\S* PASSED", done.stdout), done.stdout


def test_it_is_listed_and_named_where_a_name_is_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components"]) == 0
    said = capsys.readouterr().out
    assert "  FPN: The feature pyramid network (arXiv 1612.03144): each map" in said and "  SimCC: SimCC" in said
    assert "      keep = 2" in said and "      num_bins = '48 64'" in said
    for slot, wrong, right in (("neck", "FPM", "FPN"), ("coords", "SimC", "SimCC")):
        assert main(["train", "nano", "--protocol", "smoke", "--set", f"variant.{slot}={wrong}", "-o", "new"]) == 2
        assert f"'{right}'" in capsys.readouterr().err


@pytest.mark.soak
def test_its_cost_is_counted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "plugged:plug-in"]) == 0
    (line,) = re.findall(r"^coords .*$", capsys.readouterr().out, re.MULTILINE)
    pose, keypoints, bins, persons = 256, 17, 48 + 64, 10
    weights = (pose + 1) * keypoints * (bins + 1) + 1  # and the uncertainty, which inference does without
    adds = persons * keypoints * (pose * bins + bins)  # of the layer, and of the expected bins
    assert line.split()[1:] == [f"{weights:,}", *2 * [f"{adds / 1e6:,.1f}"]]


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # of MLflow's own imports
def test_its_row_trains_in_a_worker_and_is_recorded(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [word for change in SMALLEST for word in ("--set", change)]
    assert main(["study", "plugged", "--protocol", "smoke", "--jobs", "1", *sets]) == 0, capsys.readouterr().err
    client = open_client(here / "runs")
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    rows = {run.data.params["row"]: run.data.params for run in found if "row" in run.data.params}
    assert (rows["published"]["neck"], rows["plug-in"]["neck"]) == ("HybridEncoder", "FPN")
    assert rows["plug-in"]["coords"] == "SimCC" and rows["plug-in"]["coords.num_bins"] == "48 64"
    jobs = [path.parent for path in (here / "runs/jobs").glob("*/job.json") if "simcc" in path.read_text().lower()]
    assert len(jobs) == 1 and main(["cost", str(jobs[0])]) == 0, "a record is read back"
    assert capsys.readouterr().out.rstrip().endswith("of the parameters.")
