"""The quickstart is ten cells that run, with what came out of them, and nothing of the machine that ran them."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
import pytest

from docs.quickstart import MADE_OF, NOTEBOOK, PICTURE, digest, drawn, executed
from tests.docs.pages import README

PAGE: Any = nbformat.read(NOTEBOOK, as_version=4)
CODE = [cell for cell in PAGE.cells if cell.cell_type == "code"]
QUICK = "1, 32, 16"  # epochs, scenes, judged
RENEW = "run python -m docs.quickstart and look at what it made"
MACHINE = re.compile(r"(/home|/root|/tmp|/work|/Users|/opt|/usr|site-packages|\w:\\)\b|\w+://|\d+\.\d+\.\d+\.\d+")


def kinds(cell: Any) -> list[list[str]]:
    """Of each output of a cell, the forms that it has."""
    return [sorted(output.get("data", {output.get("name"): ""})) for output in cell.outputs]


def texts(page: Any) -> str:
    """All that can be read in a notebook: what was written, and what came out."""
    said = [cell.source for cell in page.cells]
    for cell in page.cells:
        for output in cell.get("outputs", ()):
            forms = {**output.get("data", {}), "text": output.get("text", "")}
            said += [str(text) for form, text in forms.items() if not form.startswith("image/")]
    return "\n".join([*said, str(page.metadata)])


def test_it_is_ten_cells_from_install_to_a_comparison() -> None:
    assert len(PAGE.cells) == 10 and len({cell.id for cell in PAGE.cells}) == 10
    assert "pip install" in PAGE.cells[0].source and any("compare_runs(" in cell.source for cell in CODE)


def test_it_opens_with_a_picture_of_what_it_finds() -> None:
    opening = PAGE.cells[0]
    assert f"(attachment:{PICTURE})" in opening.source.splitlines()[2]
    shown = opening.attachments[PICTURE]["image/png"].strip()
    image = cv2.imdecode(np.frombuffer(base64.b64decode(shown), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and min(image.shape[:2]) > 300 and image.std() > 10
    assert shown == drawn(PAGE), RENEW


def test_it_holds_what_came_out_of_its_cells_as_they_stand() -> None:
    assert PAGE.metadata[MADE_OF] == digest(PAGE), RENEW
    assert [cell.execution_count for cell in CODE] == list(range(1, len(CODE) + 1))
    assert all(cell.outputs for cell in CODE), RENEW
    assert {output.output_type for cell in CODE for output in cell.outputs} == {"execute_result"}, "no warnings"


def test_nothing_of_a_machine_is_in_it() -> None:
    assert MACHINE.findall(texts(PAGE)) == []
    for planted in ("/home/me/x", "https://example.org", "at 10.0.0.1", "C:\\x"):
        assert MACHINE.search(planted), planted


def test_its_links_lead_somewhere() -> None:
    targets = [t for cell in PAGE.cells for t in re.findall(r"\]\(((?!attachment:)[^)]+)\)", cell.source)]
    assert len(targets) > 3 and all((NOTEBOOK.parent / target).is_file() for target in targets)


def test_what_it_says_of_the_main_study_is_what_the_readme_says() -> None:
    (difference,) = re.findall(r"ahead by ([\d.]+) AP \((\S+ to \S+)\)", texts(PAGE))
    assert f"+{difference[0]} ({difference[1]})" in README.read_text("utf-8")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On less of everything; the cells give what they have given, in other numbers."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    page = executed(PAGE, tmp_path, QUICK)
    assert [kinds(cell) for cell in page.cells if cell.cell_type == "code"] == [kinds(cell) for cell in CODE]
    assert digest(page) != digest(PAGE) and drawn(page) != drawn(PAGE), "it ran anew"
    assert (tmp_path / "runs/quickstart/bins-on-the-box/result.json").is_file()
