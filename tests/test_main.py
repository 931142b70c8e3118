"""How the command line starts: which folders it searches for modules."""

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
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
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    env["PYTHONPATH"] = str(place)
    return subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, text=True)


STARTED = """
import multiprocessing, sys
from workbench.core import processes
def main(options):
    processes.prepare()
    with processes.context().Pool(1) as pool:
        print(*pool.map(abs, [-3]))
    return 0
"""


@pytest.mark.parametrize("start", [AS_MODULE, AS_SCRIPT, ["-P", *AS_MODULE]], ids=["module", "script", "-P"])
def test_no_file_of_the_current_folder_is_run_in_place_of_a_library(
    start: list[str], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither here nor in the processes that are started: a file for each name of Python's own, and of packages.

    What Python itself loads for `-m` before it knows the package is not ours to keep it from: `-P` does that.
    """
    (folder / "benchmarks/mine.py").write_text(STARTED)
    log = folder / "log"
    names = {*sys.stdlib_module_names, "torch", "numpy", "optuna", "mlflow", "typer", "cv2", "psutil", "safetensors"}
    for name in filter(find_spec, names - {"__main__", "antigravity", "this"}):  # others hide nothing
        (folder / f"{name}.py").write_text(f"open({str(log)!r}, 'a').write('{name} ')\nraise SystemExit(3)\n")
    log.touch()
    if start == AS_SCRIPT:  # as the installed command: a file elsewhere
        start = [str(tmp_path_factory.mktemp("bin") / "workbench")]
        Path(start[0]).write_text(f"if __name__ == '__main__':\n    {AS_SCRIPT[1]}\n")
    (folder / "empty").mkdir()
    for name in ("__init__", "__main__"):
        (folder / f"empty/{name}.py").touch()
    while start == AS_MODULE and run(folder, tmp_path_factory, "-m", "empty").returncode:
        for name in log.read_text().split():
            (folder / f"{name}.py").unlink(missing_ok=True)
    log.write_text("")
    done = run(folder, tmp_path_factory, *start, "bench", "mine")
    assert (log.read_text(), done.returncode, done.stdout) == ("", 0, "3\n"), done.stderr


def test_a_checkout_is_searched_late_too(tmp_path: Path) -> None:
    """The folder that the package itself is imported from is no place for a torch.py either."""
    for name in ("workbench", "studies"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "torch.py").write_text("raise SystemExit('the torch.py of the current folder was imported')\n")
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "PYTHONPATH")}
    words = [sys.executable, *AS_MODULE, "study", "status", "ablate_dcc", "--protocol", "smoke"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "0 of" in done.stdout, done.stderr


EARLY = """
import os, signal, sys
from workbench.__main__ import main
class Interrupting:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            exec("os.kill(os.getpid(), signal.{signal})")  # as in a dataclass that is made
sys.meta_path.insert(0, Interrupting())
sys.exit(main(["components"]))
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("module", ["workbench.core.processes", "multiprocessing", "workbench.cli.app"])
def test_an_interrupt_while_the_command_line_is_imported_is_a_line(module: str, number: str, tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(EARLY.format(signal=number))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    words = [sys.executable, "-m", "early", module]  # Python ends otherwise than with -c
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "workbench: stopped\n")


def test_a_folder_that_was_deleted_is_said(tmp_path: Path) -> None:
    script = f"import os; os.chdir({str(tmp_path)!r}); os.rmdir({str(tmp_path)!r}); "
    script += "import sys; from workbench.__main__ import main; sys.exit(main(['components']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "workbench: the current folder was deleted; change to one that is there\n"


def test_sessions_of_nox_search_the_current_folder_for_nothing() -> None:
    """`-m` alone would put it first."""
    calls = [
        node for node in ast.walk(ast.parse((ROOT / "noxfile.py").read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    calls = [call for call in calls if ast.unparse(call.func) == "session.run"]
    words = [[one.value for one in ast.walk(call) if isinstance(one, ast.Constant)] for call in calls]
    modules = [line for line in words if "-m" in line and "-P" not in line]
    assert any("-P" in line for line in words) and modules == []


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
