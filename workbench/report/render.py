"""From notebooks to pages: executed in a process of their own, written as one HTML file and as Markdown with pictures.

The committed notebooks have no outputs and no logic: a cell of parameters, which is replaced here, and one call per
piece of the page. Needs the extra `report`.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.tracking import MlflowRecord
from workbench.report import tables
from workbench.report.page import RENDERED
from workbench.report.record import Record, load_record, write_record
from workbench.study import TimingStudy

NOTEBOOKS = Path("reports")
PARAMETERS = "parameters"  # tag of the cell that is replaced
TIMEOUT = 900  # seconds a cell may take

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1120px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.4rem; }
table { border-collapse: collapse; font-size: 13.5px; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: 5px 9px; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #999; font-weight: 600; }
td:first-child { font-weight: 600; white-space: nowrap; }
img { max-width: 100%; } code { background: #f2f2f2; padding: 1px 4px; border-radius: 3px; font-size: 0.9em; }
b.holds, b.fails, b.open { color: #fff; border-radius: 3px; padding: 1px 7px; font-weight: 600; }
b.holds { background: #0072B2; } b.fails { background: #D55E00; } b.open { background: #6B6B6B; }
.anchor-link, .prompt { display: none; }
"""


def write_report(run: StudyRun) -> list[Path]:
    """Writes the CSV files of a study where jobs of it are complete, and the pages that apply to it; gives all paths.

    Where runs are recorded in MLflow, the pictures are added there, too.

    Raises:
        Refused: neither a complete job nor a record of the study; a package of the extra `report` is missing.
    """
    _needed()
    try:
        paths = write_record(run)
    except Refused as error:
        if not (REPORT_DATA / f"{run.stem}.csv").exists():
            raise Refused(f"{error}; there is no {REPORT_DATA / run.stem}.csv either") from None
        paths = []
    values = {"STUDY": run.study.name, "PROTOCOL": run.protocol.name, "HOME": str(run.home)}
    values |= {"DATA": run.data and str(run.data), "FINGERPRINT": run.fingerprint, "CHANGES": dict(run.changes)}
    paths += render_notebook("ablation", run.stem, values)
    if applies(load_record(run)):
        paths += render_notebook("pareto", f"{run.stem}_pareto", values)
    if (run.home / "mlflow.db").exists():
        MlflowRecord(run).attach([path for path in paths if path.suffix == ".png"])
    return paths


def write_profile(study: TimingStudy) -> list[Path]:
    """Writes the page of a study that trains nothing, from what it has recorded.

    Raises:
        Refused: it was not run, or is not about persons; a package of the extra `report` is missing.
    """
    _needed()
    tables.persons_frame(study.name)
    return render_notebook("persons", study.name, {"STUDY": study.name})


def applies(record: Record) -> bool:
    """Whether there is a front to speak of: at least two rows with AP that differ in FLOPs."""
    return tables.front_frame(record, "gflops")["cost"].nunique() > 1


def _needed() -> None:
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbconvert  # noqa: F401
    except ModuleNotFoundError as error:
        raise Refused(
            f"a report needs {error.name}: install the extra, as in pip install 'rtmo-workbench[report]'"
        ) from None


def render_notebook(name: str, stem: str, values: Mapping[str, Any]) -> list[Path]:
    """Executes `reports/NAME.ipynb` with these parameters and writes STEM.html, STEM.md and STEM_CELL.png.

    Raises:
        Refused: there is no such notebook, or what it calls refuses.
    """
    page = _executed(NOTEBOOKS / f"{name}.ipynb", values)
    text, pictures = _markdown(page, stem)
    files: dict[str, bytes] = {f"{stem}.html": _html(page).encode(), f"{stem}.md": text.encode(), **pictures}
    for file, content in files.items():
        with write_whole(RENDERED / file) as part:
            part.write_bytes(content)
    return [RENDERED / file for file in files]


def _executed(path: Path, values: Mapping[str, Any]) -> Any:
    """The notebook after a run in this folder, with `values` in place of its own parameters."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    if not path.exists():
        raise Refused(f"there is no {path}; run this where reports/ lies")
    page = nbformat.read(path, as_version=4)
    (cell,) = (cell for cell in page.cells if PARAMETERS in cell.metadata.get("tags", ()))
    cell.source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    client = NotebookClient(
        page, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}},
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=40"],
    )  # fmt: skip
    with _own_folders():
        try:
            client.execute()
        except CellExecutionError as error:
            if error.ename == "Refused":
                raise Refused(f"{path}: {error.evalue}") from None
            raise
    return page


@contextmanager
def _own_folders() -> Iterator[None]:
    """Jupyter's files of this run go to a folder that is deleted; the notebook imports what this process does."""
    with tempfile.TemporaryDirectory(prefix="report-") as folder:
        own = {
            "IPYTHONDIR": folder,
            "JUPYTER_RUNTIME_DIR": folder,
            "PYTHONWARNINGS": "ignore",  # of foreign imports: a page is no place for them
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _html(page: Any) -> str:
    """One file without scripts, pictures inside, no code."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(page)
    title = next((line.removeprefix("# ") for line in _texts(page) if line.startswith("# ")), "Report")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f"<!doctype html>\n<html lang=en><head>{head}<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"


def _texts(page: Any) -> Iterator[str]:
    for cell in page.cells:
        for output in cell.get("outputs", ()):
            yield from output.get("data", {}).get("text/markdown", "").splitlines()


def _markdown(page: Any, stem: str) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its pictures by file name: STEM_CELL.png, where CELL is the id of the cell."""
    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter(exclude_input=True)
    text, resources = exporter.from_notebook_node(page)
    pictures: dict[str, bytes] = {}
    for old, content in resources.get("outputs", {}).items():
        cell = page.cells[int(old.removeprefix("output_").split("_")[0])]
        name = f"{stem}_{cell.id}.png"
        alt = next(o.metadata["image/png"]["alt"] for o in cell.outputs if "image/png" in o.get("data", {}))
        text = text.replace(f"![png]({old})", f"![{alt}](./{name})")
        pictures[name] = content
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n", pictures
