"""The front of a search that was run, taken out of it: shown, or written as a study that decides between neighbours."""

from __future__ import annotations

from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments import commands
from workbench.experiments.search.decision import front
from workbench.experiments.search.front import FrontPoint, as_study
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.rounds import Searcher
from workbench.experiments.search.tables import print_search

STUDIES = Path("studies")


def show_front(run: SearchRun) -> int:
    """Prints the front and the best of what lies below it. Trains nothing.

    Raises:
        Refused: nothing is complete.
    """
    known, points = _front(run)
    print_search(known, points)
    return 0


def write_study(run: SearchRun, file: Path, force: bool = False) -> str:
    """Writes the front as a study, and gives what is to be said: where it is, and the command that runs it.

    Args:
        force: write over a file that is there.

    Raises:
        Refused: the file is there, or is none in `studies/` that can be imported; nothing is complete.
    """
    if file.resolve().parent != STUDIES.resolve() or file.suffix != ".py" or not file.stem.isidentifier():
        raise Refused(f"--as-study {file}: expected a Python file in {STUDIES}/, as in {STUDIES}/my_front.py")
    if file.exists() and not force:
        raise Refused(f"--as-study {file}: it is there already; name another file, or add --force to write over it")
    if not STUDIES.is_dir():
        raise Refused(f"--as-study {file}: there is no {STUDIES}/ here; run this where it lies")
    known, points = _front(run)
    on = [one for one in points if one.on_front]
    candidates = [run.search.space.candidates[known.places[one.which]] for one in on]
    with write_whole(file) as part:
        part.write_text(as_study(run.search, file.stem, candidates, [one.cost for one in on]), "utf-8")
    rows, claims = len(on), len(on) - 1
    return (
        f"{file}: {rows} row{'s' * (rows != 1)}, {claims} claim{'s' * (claims != 1)}; what the search trained counts. "
        f"Next: {study_command(run, file.stem)}"
    )


def study_command(run: SearchRun, name: str) -> str:
    """The command that decides the front, with all that the search was given."""
    words = commands.under(name, run.protocol.name, run.search.default)
    return commands.command("study", *words, *commands.given(run), "--until decided")


def _front(run: SearchRun) -> tuple[Knowledge, list[FrontPoint]]:
    known = Searcher(run.as_run()).know()
    if not known.trained():
        raise Refused(
            f"nothing of {run.search.name}, {run.protocol.name} is complete in {run.home}; run it first: "
            f"{commands.command('study', *commands.of_search(run))}"
        )
    return known, front(known)
