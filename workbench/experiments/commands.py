"""The commands that are printed: they can be copied as they stand, with all that a run was given."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import NamedTuple

from workbench.experiments.changes import ChangedJobs
from workbench.experiments.file_trunk import OnFileProtocol
from workbench.experiments.object_store import given_files
from workbench.experiments.plan import StudyRun
from workbench.experiments.search.plan import BUDGET, SURROGATE, SearchRun
from workbench.experiments.stores import given_store, masked

NOXFILE = Path("noxfile.py")
_PAGES = Path("reports/rendered")


def command(session: str, *words: str) -> str:
    """`workbench SESSION WORDS`, in the words of nox where the current folder is a checkout."""
    begins = ["nox", "-s", session, *["--"] * bool(words)] if NOXFILE.exists() else ["workbench", session]
    return " ".join([*begins, *words])


def given(run: ChangedJobs) -> list[str]:
    """The data set and the changes of a run, as words of a command."""
    data = [f"--data {quote(str(run.data))}"] if run.data is not None else []
    return data + [f"--set {quote(f'{path}={value}')}" for path, value in run.changes.items()]


def under(name: str, protocol: str, default: str) -> list[str]:
    """A study or a search with its protocol, which is named where it is not the default."""
    return [name, *([f"--protocol {protocol}"] if protocol != default else [])]


def of_study(run: StudyRun) -> list[str]:
    """The words that mean this run, whichever of its rows."""
    seeds = [f"--seeds {run.seeds}"] * (run.seeds is not None)
    first = [f"--first-seed {run.first_seed}"] * bool(run.first_seed)
    protocol, trunk = run.protocol.name, list[str]()
    if isinstance(run.protocol, OnFileProtocol):
        protocol, trunk = run.protocol.asked, [f"--trunk {quote(run.protocol.source)}"]
    return [*under(run.study.name, protocol, run.study.default), *seeds, *first, *given(run), *trunk]


def of_search(run: SearchRun) -> list[str]:
    """The words that mean this search: what it is, not how long it runs."""
    return [*under(run.search.name, run.protocol.name, run.search.default), *given(run)]


def on_store() -> list[str]:
    """The store that was given, without a password, and the common files."""
    store = [f"--store {quote(masked(given_store()))}"] if given_store() else []
    return store + ([f"--files {quote(given_files())}"] if given_files() else [])


def joining(run: StudyRun | SearchRun) -> str:
    """What is typed on another machine that is to work on the jobs of this run."""
    if isinstance(run, StudyRun):
        words = [w for w in of_study(run) if not w.startswith("--seeds ")]  # jobs of more seeds have the same queue
    else:
        words = of_search(run)
    return " ".join(["workbench worker", *words, *on_store()])


def terms_of(run: SearchRun) -> list[str]:
    """How long a search runs, within which limits, and who proposes."""
    budget = [f"--budget {run.budget:g}min"] * (run.budget != BUDGET)
    limits = [f"--max {name}={most:g}" for name, most in run.limits.items()]
    return [*budget, *limits, *[f"--sampler {run.sampler}"] * (run.sampler != SURROGATE)]


def own_folder(home: Path) -> Path:
    """A folder beside the runs for the pages of a study on the trunk of a file, which is a person's own: never among
    those of a checkout. It is laid out as the folder that `workbench init` makes."""
    return home / "own"


class Following(NamedTuple):
    """What can be done after a run: try again what failed, and write its page into a folder. Of a study on the trunk of
    a file, what its rows find is shown as well."""

    retry: str
    page: str
    pages: Path = _PAGES
    gallery: str = ""


def following(run: StudyRun) -> Following:
    """Of a study that is a file."""
    rows = [f"--rows {quote(','.join(run.rows))}"] * bool(run.rows)
    until = [] if run.until is None else ["--until decided"]
    budget = [f"--budget {run.until.budget}"] if run.until is not None and run.until.budget is not None else []
    retry = command("study", "retry", *of_study(run), *rows, *until, *budget, *on_store())
    page = command("report", *of_study(run))
    if not isinstance(run.protocol, OnFileProtocol):
        return Following(retry, page)
    return Following(retry, page, own_folder(run.home) / _PAGES, " ".join(["workbench gallery", *of_study(run)]))
