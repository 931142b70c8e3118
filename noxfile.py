"""The commands of the workbench. One environment, made once, serves every session.

nox -s study -- NAME [options]     nox -s tests     nox -s lint     nox -s report -- NAME     nox -s ui     nox -s bench
nox -s dashboard     nox -s docs     nox -s soak     nox -s audit
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "none"  # a session has no environment of its own: torch is large

ROOT = Path(__file__).parent
HOME = ROOT / ".nox" / "workbench-{}.{}".format(*sys.version_info)
PYTHON = HOME / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

# Without bytecode each process compiles torch and all else anew, and takes twice as long to begin. Who wants none
# beside the sources has it in the environment's own folder.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(HOME.parent / "bytecode"))


def uv() -> str:
    """The uv that came with nox[uv], else one on the path."""
    try:
        from uv import find_uv_bin  # pyright: ignore[reportMissingImports]

        return find_uv_bin()
    except (ImportError, FileNotFoundError):
        return shutil.which("uv") or sys.exit('uv is missing; run: pip install "nox[uv]"')


def python(session: nox.Session) -> str:
    """The interpreter of the environment, which is made or renewed only when what it is made from has changed."""
    made_from = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    digest = hashlib.sha256(b"".join([*(f.read_bytes() for f in made_from), sys.version.encode(), bytes(HOME)]))
    stamp = HOME / "stamp"
    if not (PYTHON.exists() and stamp.exists() and stamp.read_text() == digest.hexdigest()):
        session.log(f"setting up {HOME.relative_to(ROOT)}: a few GB and some minutes the first time")
        patient = {"UV_HTTP_TIMEOUT": "600"}
        progress = [] if sys.stderr.isatty() else ["--quiet"]
        pins = ["--constraints", "constraints.txt", "--build-constraints", "constraints.txt"]
        what = ["--editable", ".[cluster,consumers,dashboard,dev,onnx,openvino,report]"]
        session.run(uv(), "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(HOME), external=True)
        install = [uv(), "pip", "install", *progress, "--python", str(PYTHON), *pins, *what]
        session.run(*install, external=True, env=patient)
        stamp.write_text(digest.hexdigest())
    return str(PYTHON)


def workbench(session: nox.Session, *words: str) -> None:
    """`python -m workbench` with what stands behind `--`. `-P`: no file of this folder hides a package."""
    session.run(python(session), "-P", "-m", "workbench", *words, *session.posargs, external=True)


@nox.session
def study(session: nox.Session) -> None:
    """Run a study: nox -s study -- ablate_dcc [--protocol P] [--data DIR] [--seeds N] [--jobs N]"""
    workbench(session, "study")


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of a study from its recorded numbers: nox -s report -- ablate_dcc"""
    workbench(session, "report")


@nox.session
def ui(session: nox.Session) -> None:
    """Show the recorded runs in a browser, on this machine only, at the address that it prints."""
    workbench(session, "ui")


@nox.session
def dashboard(session: nox.Session) -> None:
    """Show the candidates of searches in optuna-dashboard, on this machine only, at the address that it prints."""
    workbench(session, "dashboard")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure a part alone: nox -s bench -- data"""
    workbench(session, "bench")


def run_pytest(session: nox.Session, *words: str) -> None:
    """Runs pytest on up to four cores. What the browser tests see stays in .nox/screenshots."""
    shots = HOME.parent / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    # A worker is a process that imports torch: above four of them the imports cost more than they save.
    workers = ["-n", "logical", "--maxprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder"]
    session.run(
        *(python(session), "-P", "-m", "pytest", *workers, *words, *session.posargs),
        external=True,
        env={"WORKBENCH_SCREENSHOTS": str(shots)},
    )


@nox.session
def tests(session: nox.Session) -> None:
    """Run pytest; arguments behind `--` go to it: `-m fast` for daily work, `-n 0` for one process.

    Soak tests are left out, unless their file or one of them is named.
    """
    run_pytest(session)


@nox.session
def soak(session: nox.Session) -> None:
    """Run the long tests alone: kills at random moments, whole pages, browsers, ONNX files, an installed package.

    `python -m tests.soak_record` then writes down how they went: reports/data/soak.csv.
    """
    run_pytest(session, "-m", "soak", f"--junit-xml={HOME.parent / 'soak.xml'}")


@nox.session
def docs(session: nox.Session) -> None:
    """Renew what README and docs take from records and code: verdicts, repeats, measures and the drawing."""
    session.run(python(session), "-P", "-m", "workbench.report.repeats", external=True)
    session.run(python(session), "-P", "-m", "workbench.report.verdict_table", "README.md", external=True)
    session.run(python(session), "-P", "-m", "workbench.report.results", "docs/results.md", external=True)
    session.run(python(session), "-P", "-m", "docs.architecture", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and types."""
    tool = python(session)
    session.run(tool, "-P", "-m", "ruff", "check", external=True)
    session.run(tool, "-P", "-m", "ruff", "format", "--check", external=True)
    session.run(tool, "-P", "-m", "pyright", "--pythonpath", tool, external=True)


@nox.session
def audit(session: nox.Session) -> None:
    """Ask the vulnerability service of PyPI about every pin in constraints.txt. Needs a network."""
    session.run(
        uv(),
        "tool",
        "run",
        "pip-audit",
        "-r",
        "constraints.txt",
        "--no-deps",
        "--disable-pip",
        "--strict",
        external=True,
    )
