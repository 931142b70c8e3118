"""The page of a search: its record as CSV files, then the notebook. Needs the extra `report`."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from workbench.core.errors import Refused
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.search.recorded import search_record
from workbench.experiments.tracking import has_record
from workbench.report.freshness import SEARCH, made_of
from workbench.report.render import check_extra, render_notebook
from workbench.report.search_record import write_search_record


def write_search(run: SearchRun) -> list[Path]:
    """Writes the CSV files of a search where trainings of it are complete, and its page; gives all paths.

    Where runs are recorded in MLflow, the pictures are added there, too.

    Raises:
        Refused: neither a complete training nor a record of the search; a package of the extra `report` is missing.
    """
    check_extra()
    try:
        paths = write_search_record(run)
    except Refused as error:
        if not (REPORT_DATA / f"{run.stem}_candidates.csv").exists():
            raise Refused(f"{error}; there is no {REPORT_DATA / run.stem}_candidates.csv either") from None
        paths = []
    values = {"STUDY": run.search.name, "PROTOCOL": run.protocol.name, "STEM": run.stem}
    paths += render_notebook(made_of(SEARCH, run.search.name, run.stem, page_command(run)), run.stem, values)
    if has_record(run.home):
        search_record(run).attach([path for path in paths if path.suffix == ".png"])
    return paths


def page_command(run: SearchRun) -> str:
    """The command that writes the page."""
    changes = [f"--set {quote(f'{path}={value}')}" for path, value in run.changes.items()]
    data = ["--data FOLDER"] if run.fingerprint else []
    return " ".join(["nox -s report --", run.search.name, "--protocol", run.protocol.name, *data, *changes])
