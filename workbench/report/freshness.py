"""Whether a page is older than the code that draws it or than the record that it is made from.

Every page carries a line that names what it was made of, with two digests:

    <!-- made of: notebook=ablation study=ablate_dcc stem=ablate_dcc_probe code=0123456789ab record=ba9876543210
         with `nox -s report -- ablate_dcc --protocol probe` -->

`code` is of the notebook, of the study's file, and of the modules of this package that a page imports, without comments
and docstrings: a word changed there draws the same page. `record` is of the CSV files. A picture of what networks see
is kept where the networks are gone, so it has a stamp of its own, of the modules that make it and of the runs.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from workbench.experiments.profiling import REPORT_DATA

PACKAGE = Path(__file__).parent
DRAWN_BY = ("page", "names", "record", "render")  # what notebooks and the command import
_OF_NETWORKS = ("examples", "networks", "network_figures")  # draw what networks see
PARTS = ("rows", "claims", "pairs", "slices", "curves", "precision", "points", "audit")  # of a record, beside its runs
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
    return MadeOf(notebook, study, stem, code_digest(notebook, study), record_digest(study, stem), command)


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
    """Of what draws a page."""
    page = json.loads(Path("reports", f"{notebook}.ipynb").read_text("utf-8"))
    cells = [(cell.get("id"), cell["cell_type"], "".join(cell["source"])) for cell in page["cells"]]
    own = Path("studies", f"{study}.py")
    files = [*imported(DRAWN_BY), *([own] if own.exists() else [])]
    return _digest([repr(cells), *map(source_tree, files)])


def imported(names: Iterable[str]) -> list[Path]:
    """The files of these modules of the package and of all modules of it that they import, in turn."""
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        path = PACKAGE / f"{name}.py"
        if name not in found and path.exists():
            found[name] = path
            waiting += _imports(ast.parse(path.read_text("utf-8")))
    return [found[name] for name in sorted(found)]


def _imports(tree: ast.Module) -> list[str]:
    """The names of modules of this package that a module imports."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "workbench.report":
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workbench.report."):
            names.append(str(node.module).removeprefix("workbench.report."))
    return names


def source_tree(path: Path) -> str:
    """A file without comments, line breaks and docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def record_digest(study: str, stem: str) -> str:
    """Of the CSV files that a page is made from."""
    names = [stem, *(f"{stem}_{part}" for part in PARTS), f"{study}_cost", f"{study}_cost_claims"]
    paths = [REPORT_DATA / f"{name}.csv" for name in names]
    return _digest([f"{path.name}\n{path.read_text('utf-8')}" for path in paths if path.exists()])


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def networks_stamp(stem: str) -> str:
    """Of a picture of what networks see: what draws it, and the runs."""
    trees = [source_tree(PACKAGE / f"{name}.py") for name in _OF_NETWORKS]
    return _digest([*trees, (REPORT_DATA / f"{stem}.csv").read_text("utf-8")])


def stamp_of(png: bytes) -> str:
    """The stamp that a picture carries; "" where it carries none."""
    with Image.open(BytesIO(png)) as image:
        return str(image.info.get(STAMP, ""))
