"""Whether a page is older than the code that draws it or than the record that it is made from.

Every page carries a line that names what it was made of, with two digests:

    <!-- made of: notebook=ablation study=ablate_dcc stem=ablate_dcc_probe code=0123456789ab record=ba9876543210
         with `nox -s report -- ablate_dcc --protocol probe` -->

`code` is of the notebook, of the study's file, and of the modules that decide what a page shows (`DECIDES`), without
comments and docstrings: a word changed there draws the same page. They are those that judge claims and draw, not those
that train: what training computes stands in the record. `record` is of the CSV files without the numbers that MLflow
gives to runs, which differ from store to store. The page of a search has modules and files of its own. A picture of
what networks see is kept where the networks are gone, so it has a stamp of its own, of the modules that make it and of
the runs.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from workbench.experiments.profiling import REPORT_DATA

PACKAGE = Path(__file__).parents[1]
DRAWN_BY = ("report.page", "report.names", "report.record", "report.render")  # what notebooks and the command import
SEARCH_DRAWN_BY = ("report.search_page", "report.search_record", "report.search_render")  # the same of searches
# Packages and modules that decide what a record and its page say; imports are followed into no other. How jobs are run
# and trained stands in the record (`numerics`, `commit`).
DECIDES = (
    "report",
    "evaluation",
    "study",
    "models.zoo",
    "training.record",
    "experiments.changes",
    "experiments.claims",
    "experiments.comparison",
    "experiments.forecast",
    "experiments.pairing",
    "experiments.plan",
    "experiments.protocols",
    "experiments.readings",
    "experiments.sequential",
    "experiments.spread",
    "experiments.teachers",
    "experiments.mlflow_pages",
    "experiments.search.front",
    "experiments.search.process",
)
_OF_NETWORKS = ("examples", "networks", "network_figures", "network_pieces")  # draw what networks see
MLFLOW = "mlflow"  # the column of a run's number in the store
PARTS = ("rows", "claims", "pairs", "slices", "curves", "precision", "points", "audit")  # of a record, beside its runs
SEARCH = "search"  # the notebook of searches
SEARCH_PARTS = ("search", "candidates", "front", "effects", "hypervolume", "importance", "over")  # of their records
STAMP = "made of"  # key of a picture's stamp
_LINE = re.compile(
    r"<!-- made of: notebook=(\S+) study=(\S+) stem=(\S+) code=(\w+) record=(\w+) with `([^`]*)` -->"
)  # fmt: skip


@dataclass(frozen=True)
class MadeOf:
    """What a page was made of. `command` makes it again."""

    notebook: str
    study: str
    stem: str
    code: str
    record: str
    command: str

    @property
    def line(self) -> str:
        """The line of a page's source."""
        return (
            f"<!-- made of: notebook={self.notebook} study={self.study} stem={self.stem} code={self.code} "
            f"record={self.record} with `{self.command}` -->"
        )


def made_of(notebook: str, study: str, stem: str, command: str) -> MadeOf:
    """What a page would be made of in this folder now."""
    return MadeOf(notebook, study, stem, code_digest(notebook, study), record_digest(notebook, study, stem), command)


def read_line(page: str) -> MadeOf | None:
    """What a page says of itself; None where it says nothing."""
    found = _LINE.search(page)
    return None if found is None else MadeOf(*found.groups())


def why_old(path: Path) -> str:
    """Why the page must be made again, and how; "" where it is as it would be made now."""
    was = read_line(path.read_text("utf-8"))
    if was is None:
        return f"{path}: it does not say what it was made of; write it again with nox -s report"
    now = made_of(was.notebook, was.study, was.stem, was.command)
    changed = [name for name in ("code", "record") if getattr(was, name) != getattr(now, name)]
    if not changed:
        return ""
    older = {"code": "the code that draws it", "record": f"{REPORT_DATA / was.stem}*.csv"}
    return f"{path} is older than {' and '.join(older[name] for name in changed)}; run: {was.command}"


# --------------------------------------------------------------------------------------------------------- digests


def code_digest(notebook: str, study: str) -> str:
    """Of what decides what a page shows."""
    page = json.loads(Path("reports", f"{notebook}.ipynb").read_text("utf-8"))
    cells = [(cell.get("id"), cell["cell_type"], "".join(cell["source"])) for cell in page["cells"]]
    own = Path("studies", f"{study}.py")
    drawn_by = SEARCH_DRAWN_BY if notebook == SEARCH else DRAWN_BY
    files = [*imported(drawn_by), *([own] if own.exists() else [])]
    return _digest([repr(cells), *map(source_tree, files)])


def imported(names: Iterable[str]) -> list[Path]:
    """The files of these modules of the workbench and of all that they import, in turn, as far as `DECIDES` goes."""
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = PACKAGE / f"{name.replace('.', '/')}.py"
        if name not in found and path.exists():
            found[name] = path
            waiting += [other for other in _imports(path.read_text("utf-8")) if _decides(other)]
    return [found[name] for name in sorted(found)]


def _decides(name: str) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in DECIDES)


@cache
def _imports(text: str) -> list[str]:
    """What a source text imports of the workbench, without that name: `from workbench.a import b` gives a and a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("workbench."):
            above = str(node.module).removeprefix("workbench").removeprefix(".")
            names += [above, *(f"{above}.{alias.name}".removeprefix(".") for alias in node.names)]
    return names


def source_tree(path: Path) -> str:
    """A file without comments, line breaks and docstrings."""
    return _tree(path.read_text("utf-8"))


@cache
def _tree(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def record_digest(notebook: str, study: str, stem: str) -> str:
    """Of the CSV files that a page is made from."""
    names = [stem, *(f"{stem}_{part}" for part in PARTS), f"{study}_cost", f"{study}_cost_claims"]
    if notebook == SEARCH:
        names = [f"{stem}_{part}" for part in SEARCH_PARTS]
    paths = [REPORT_DATA / f"{name}.csv" for name in names]
    return _digest([f"{path.name}\n{_recorded(path)}" for path in paths if path.exists()])


def _recorded(path: Path) -> str:
    """A CSV file without the column of MLflow's numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        return repr([{name: value for name, value in line.items() if name != MLFLOW} for line in lines])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def networks_stamp(stem: str) -> str:
    """Of a picture of what networks see: what draws it, and the runs."""
    trees = [source_tree(PACKAGE / "report" / f"{name}.py") for name in _OF_NETWORKS]
    return _digest([*trees, _recorded(REPORT_DATA / f"{stem}.csv")])


def stamp_of(png: bytes) -> str:
    """The stamp that a picture carries; "" where it carries none."""
    with Image.open(BytesIO(png)) as image:
        return str(image.info.get(STAMP, ""))
