"""From notebooks to pages: executed in a process of their own, written as one HTML file and as Markdown with pictures.

The committed notebooks have no outputs and no logic: a cell of parameters, which is replaced here, and one call per
piece of the page. Needs the extra `report`.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from glob import escape as escape_glob
from html import escape
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.words import harmless_markdown
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.tracking import MlflowRecord, has_record
from workbench.report import interactive
from workbench.report.freshness import MadeOf, made_of
from workbench.report.glossary import glossary
from workbench.report.persons import persons_frame
from workbench.report.pieces import LEFT_OUT, RENDERED
from workbench.report.record import load_record, write_record
from workbench.report.reproduce import page_command
from workbench.study import TimingStudy

NOTEBOOKS = Path("reports")
PARAMETERS = "parameters"  # tag of the cell that is replaced
TIMEOUT = 900  # seconds a cell may take

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1120px; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.4rem; }
table { border-collapse: collapse; font-size: 13px; display: block; overflow-x: auto; margin: 1rem 0; }
th, td { padding: 4px 6px; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #999; font-weight: 600; }
td:first-child { font-weight: 600; min-width: 9em; }
td:first-child:nth-last-child(n + 9) { min-width: 7em; }
img { max-width: 100%; } code { background: #f2f2f2; padding: 1px 4px; border-radius: 3px; font-size: 0.9em; }
b.holds, b.fails, b.open { color: #fff; border-radius: 3px; padding: 1px 7px; font-weight: 600; }
b.holds { background: #0072B2; } b.fails { background: #D55E00; } b.open { background: #6B6B6B; }
.anchor-link, .prompt { display: none; }
"""


def write_report(run: StudyRun) -> list[Path]:
    """Writes the CSV files of a study where jobs of it are complete, and its page; gives all paths.

    Where runs are recorded in MLflow, the pictures are added there, too.

    Raises:
        Refused: neither a complete job nor a record of the study; a package of the extra `report` is missing.
    """
    check_extra()
    try:
        paths = write_record(run)
    except Refused as error:
        if not (REPORT_DATA / f"{run.stem}.csv").exists():
            raise Refused(f"{error}; there is no {REPORT_DATA / run.stem}.csv either") from None
        paths = []
    values = {"STUDY": run.study.name, "PROTOCOL": run.protocol.name, "HOME": str(run.home)}
    values |= {"DATA": run.data and str(run.data), "FINGERPRINT": run.fingerprint, "CHANGES": dict(run.changes)}
    values |= {"FIRST_SEED": run.first_seed}
    sources = made_of("ablation", run.study.name, run.stem, page_command(load_record(run)))
    paths += render_notebook(sources, run.stem, values)
    if has_record(run.home):
        MlflowRecord(run).attach([path for path in paths if path.suffix == ".png"])
    return paths


def write_profile(study: TimingStudy) -> list[Path]:
    """Writes the page of a study that trains nothing, from what it has recorded.

    Raises:
        Refused: it was not run, or is not about persons; a package of the extra `report` is missing.
    """
    check_extra()
    persons_frame(study.name)  # refuses
    sources = made_of("persons", study.name, study.name, f"nox -s report -- {study.name}")
    return render_notebook(sources, study.name, {"STUDY": study.name})


def check_extra() -> None:
    """Raises Refused where a package of the extra `report` is missing."""
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        import nbconvert  # noqa: F401
    except ModuleNotFoundError as error:
        raise Refused(
            f"a report needs {error.name}: install the extra, as in pip install 'rtmo-workbench[report]'"
        ) from None


def render_notebook(sources: MadeOf, stem: str, values: Mapping[str, Any]) -> list[Path]:
    """Executes `reports/NAME.ipynb` with these parameters and writes STEM.html, STEM.md and STEM_CELL.png.

    Args:
        sources: what the page is made of; it names the notebook.

    Raises:
        Refused: there is no such notebook, or what it calls refuses.
    """
    page = _executed(NOTEBOOKS / f"{sources.notebook}.ipynb", values)
    make_harmless(page)
    gather_left_out(page)
    if words := glossary(_texts(page)):
        page.cells.append(_markdown_cell(f"## Glossary\n\n{words}", "glossary"))
    text, pictures = _markdown(page, stem)
    files: dict[str, bytes] = {
        f"{stem}.html": f"{_html(page)}{sources.line}\n".encode(),
        f"{stem}.md": f"{text}\n{sources.line}\n".encode(),
        **pictures,
    }
    for file, content in files.items():
        with write_whole(RENDERED / file) as part:
            part.write_bytes(content)
    for gone in _pictures_of(stem) - set(pictures):
        (RENDERED / gone).unlink()
    return [RENDERED / file for file in files]


def make_harmless(page: Any) -> None:
    """Words of studies, and of jobs that may be somebody else's, are shown as they were typed: no markup of theirs."""
    for output in (output for cell in page.cells for output in cell.get("outputs", ())):
        data, about = output.get("data", {}), output.get("metadata", {})
        for kind in ("text/markdown", "text/plain"):
            if kind in data:
                data[kind] = harmless_markdown(data[kind])
        if "image/png" in about:
            about["image/png"]["alt"] = harmless_markdown(about["image/png"]["alt"])
        if LEFT_OUT in about:
            about[LEFT_OUT] = harmless_markdown(about[LEFT_OUT])


def _pictures_of(stem: str) -> set[str]:
    """The pictures of a page that lie in the folder: no id of a cell holds an underscore, the next page's stem does."""
    return {path.name for path in RENDERED.glob(f"{escape_glob(stem)}_*.png") if "_" not in path.stem[len(stem) + 1 :]}


def gather_left_out(page: Any) -> None:
    """Takes out pieces that only say that they are left out, with sections that show nothing else.

    What is lacking and why then stands at the foot of the page.
    """
    lacking = [text for cell in page.cells for text in _left_out(cell)]
    sections = [[cell for cell in section if not _left_out(cell)] for section in _sections(page.cells)]
    page.cells = [cell for section in sections if any(c.cell_type == "code" for c in section) for cell in section]
    if lacking:
        page.cells.append(_markdown_cell("## Not shown\n\n" + "\n".join(f"- {text}" for text in lacking), "not-shown"))


def _left_out(cell: Any) -> list[str]:
    return [o.metadata[LEFT_OUT] for o in cell.get("outputs", ()) if LEFT_OUT in o.get("metadata", {})]


def _sections(cells: Sequence[Any]) -> list[list[Any]]:
    """A heading with all that stands below it; what stands before the first is one more."""
    found: list[list[Any]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            found.append([])
        found[-1].append(cell)
    return found


def _markdown_cell(text: str, name: str) -> Any:
    from nbformat.v4 import new_markdown_cell

    return new_markdown_cell(text, id=name)  # the same page again has the same bytes


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
            "PYTHONSAFEPATH": "1",  # no torch.py of the current folder in place of the library
        }
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _html(page: Any) -> str:
    """One file that loads nothing: pictures and scripts inside, no code."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(page)
    lines = [line for text in _texts(page) for line in text.splitlines() if line.strip()]
    at = next((i for i, line in enumerate(lines) if line.startswith("# ")), None)
    title = "Report" if at is None else lines[at].removeprefix("# ")
    said = "" if at is None or at + 1 == len(lines) else lines[at + 1].replace("**", "")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    head += f'<meta name="description" content="{escape(said)}">' + _policy(page)
    style = f"<style>{_STYLE}{interactive.STYLE}</style>"
    return f"<!doctype html>\n<html lang=en><head>{head}{style}</head><body>\n{body}\n</body></html>\n"


def _policy(page: Any) -> str:
    """What a browser may do for the page: run the scripts of its figures, show pictures that it holds, load nothing."""
    data = [output.get("data", {}) for cell in page.cells for output in cell.get("outputs", ())]
    figures = [one["text/html"] for one in data if "text/html" in one]
    scripts = [script for figure in figures for script in re.findall("<script>(.*?)</script>", figure, re.DOTALL)]
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    run = " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(digests)) or "'none'"
    allowed = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {run}"
    return f'<meta http-equiv="Content-Security-Policy" content="{allowed}">'


def _texts(page: Any) -> list[str]:
    """What is written on the page: its own text, texts of pieces and titles of pictures."""
    said: list[str] = []
    for cell in page.cells:
        said += [cell.source] * (cell.cell_type == "markdown")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            said.append(data.get("text/markdown") or (data.get("text/plain", "") if "image/png" in data else ""))
    return said


def _markdown(page: Any, stem: str) -> tuple[str, dict[str, bytes]]:
    """The page in Markdown, and its pictures by file name: STEM_CELL.png, where CELL is the id of the cell.

    Markdown runs no script: pictures stand for figures that answer the pointer.
    """
    from nbconvert import MarkdownExporter

    page = _still(page)
    exporter = MarkdownExporter(exclude_input=True)
    text, resources = exporter.from_notebook_node(page)
    pictures: dict[str, bytes] = {}
    for old, content in resources.get("outputs", {}).items():
        cell = page.cells[int(old.removeprefix("output_").split("_")[0])]
        name = f"{stem}_{cell.id}.png"
        alt = next(o.metadata["image/png"]["alt"] for o in cell.outputs if "image/png" in o.get("data", {}))
        text = text.replace(f"![png]({old})", f"![{alt}](./{name})")
        pictures[name] = content
    return re.sub(r"\n\s*\n", "\n\n", text).strip() + "\n", pictures


def _still(page: Any) -> Any:
    """The notebook without what only a browser shows."""
    page = deepcopy(page)
    for cell in page.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output["data"].pop("text/html", None)
    return page
