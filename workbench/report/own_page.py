"""The page of a study on the trunk of a file, see `experiments.file_trunk`: a person's own.

HOME/own/reports/data/STEM*.csv, HOME/own/reports/rendered/STEM.html and so on

It is drawn as every page is, by the same notebook but for the cells that open the record and say how to make the page
again, in a folder laid out as a project: nothing is written in the current one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from workbench.core.files import check_writable
from workbench.core.own_files import COMPONENTS, STUDIES
from workbench.experiments.commands import command, of_study, own_folder
from workbench.experiments.file_trunk import OnFileProtocol, on_file_trunk
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.project import add_notebooks
from workbench.experiments.protocols import protocol_named
from workbench.experiments.tracking import MlflowRecord, has_record
from workbench.report.freshness import made_of
from workbench.report.index import write_index
from workbench.report.pieces import RENDERED
from workbench.report.record import Record, load_record, write_record
from workbench.report.render import check_extra, render_notebook
from workbench.study import Study, find_study

NOTEBOOK = "ablation"
_CELLS = {
    "open": """from workbench.report import page
from workbench.report.names import named
from workbench.report.own_page import open_own_record

record = named(open_own_record(STUDY, PROTOCOL, TRUNK, HOME, DATA, CHANGES, FIRST_SEED))""",
    "reproduce": "from workbench.report.pieces import Text\n\nText(REPRODUCE)",
}  # by id, in place of the notebook's
_WITHOUT = ("audit-text", "audit", "latency", "about-costs", "costs")  # their records are of studies without a file


def write_own_page(run: StudyRun) -> list[Path]:
    """Writes the CSV files of a study on the trunk of a file, and its page; gives all paths.

    Raises:
        Refused: no job is complete, the folder can not be written, or a package of the extra `report` is missing.
    """
    check_extra()
    folder = own_folder(run.home)
    check_writable(folder)
    page = command("report", *of_study(run))
    again = f"Run again: `{command('study', *of_study(run))}`, then `{page}`. Every number of this page: "
    values = _parameters(run) | {"REPRODUCE": f"{again}`{folder / REPORT_DATA / run.stem}*.csv`."}
    with own_project(folder):
        paths = write_record(run)
        paths += render_notebook(made_of(NOTEBOOK, run.study.name, run.stem, page), run.stem, values)
        paths.append(write_index(RENDERED))
    paths = [folder / path for path in paths]
    if has_record(run.home):
        MlflowRecord(run).attach([path for path in paths if path.suffix == ".png"])
    return paths


def _parameters(run: StudyRun) -> dict[str, Any]:
    """Those of the notebook: the words that the study was given, whatever the current folder."""
    under = run.protocol
    assert isinstance(under, OnFileProtocol) and run.data is not None, "on the trunk of a file"
    trunk = Path(under.source)
    return {
        "STUDY": run.study.name,
        "PROTOCOL": under.asked,
        "TRUNK": str(trunk.resolve()) if trunk.exists() else under.source,
        "HOME": str(run.home),
        "DATA": str(run.data.resolve()),
        "CHANGES": dict(run.changes),
        "FIRST_SEED": run.first_seed,
    }


def open_own_record(
    study: str, protocol: str, trunk: str, home: str, data: str, changes: Mapping[str, Any], first_seed: int
) -> Record:
    """Reads the record of a study on the trunk of a file, in the folder that holds it.

    Raises:
        Refused: as `on_file_trunk`; or there is no record.
    """
    asked = find_study(study)
    assert isinstance(asked, Study), "whose jobs were recorded"
    on_trunk = on_file_trunk(asked, protocol_named(protocol), trunk, Path(home))
    return load_record(StudyRun(*on_trunk, Path(home), data=Path(data), changes=changes, first_seed=first_seed))


@contextmanager
def own_project(folder: Path) -> Iterator[None]:
    """In a project of its own, with the studies and components of the current folder."""
    here = Path.cwd()
    path = folder / "reports" / f"{NOTEBOOK}.ipynb"
    path.unlink(missing_ok=True)  # of another version
    add_notebooks(path.parent)
    path.write_text(_with_cells(path.read_text("utf-8")), "utf-8")
    for name in (STUDIES, COMPONENTS):
        meant, link = (here / name).resolve(), folder / name  # resolved first: the current folder may be this one
        if link.is_symlink():
            link.unlink()
        if meant.is_dir() and not link.exists():
            link.symlink_to(meant, target_is_directory=True)
    with chdir(folder):
        yield


def _with_cells(notebook: str) -> str:
    """The notebook with our cells in place of its own, and without those that have nothing to show."""
    page = json.loads(notebook)
    cells = {cell["id"]: cell for cell in page["cells"]}
    for name, source in _CELLS.items():
        cells[name]["source"] = source
    for name in _WITHOUT:
        del cells[name]
    return json.dumps({**page, "cells": list(cells.values())})
