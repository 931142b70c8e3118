"""Runs `reports/quickstart.ipynb` and keeps what came out in it.

    python -m docs.quickstart

Its first cell shows the picture that a later one draws. Minutes on a busy machine, a minute on another one.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "reports/quickstart.ipynb"
PICTURE, DRAWN_BY = "found.png", "found"  # of the first cell, and the cell that draws it
MADE_OF = "made_of"  # in the notebook's metadata: a digest of the cells that were run
_SIZES = re.compile(r"^(EPOCHS, SCENES, JUDGED = )[\d, _]+", re.MULTILINE)
_TIMEOUT = 900  # seconds a cell may take
Notebook = Any


def executed(page: Notebook, folder: Path, sizes: str = "") -> Notebook:
    """A copy of the notebook after a run in a folder, in which its runs stay.

    Args:
        sizes: epochs, scenes, and scenes to be judged on, in place of its own, as "1, 32, 8".
    """
    page = deepcopy(page)
    if sizes:
        (cell,) = (cell for cell in page.cells if _SIZES.search(cell.source))
        cell.source = _SIZES.sub(rf"\g<1>{sizes}", cell.source)
    client = NotebookClient(
        page, timeout=_TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=40"],
    )  # fmt: skip
    own = {
        "IPYTHONDIR": str(folder / ".ipython"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        "PYTHONWARNINGS": "ignore",  # of foreign imports
        "WORKBENCH_HOME": "runs",
    }
    client.execute(env=os.environ | own)
    for cell in page.cells:
        cell.metadata.pop("execution", None)  # when it was
    page.metadata["language_info"] = {"name": "python"}
    page.metadata[MADE_OF] = digest(page)
    return page


def digest(page: Notebook) -> str:
    """Of the cells' sources."""
    return hashlib.sha256("\0".join(cell.source for cell in page.cells).encode()).hexdigest()[:12]


def drawn(page: Notebook) -> str:
    """The picture that the first cell shows, as base64, from the cell that draws it."""
    outputs = next(cell.outputs for cell in page.cells if cell.id == DRAWN_BY)
    (png,) = (output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {}))
    return str(png).strip()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="quickstart-") as folder:
        page = executed(nbformat.read(NOTEBOOK, as_version=4), Path(folder))
    page.cells[0]["attachments"] = {PICTURE: {"image/png": drawn(page)}}
    nbformat.write(page, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
