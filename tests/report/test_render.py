"""A notebook is executed cell by cell: parameters are replaced, last values shown, and refusals name the notebook."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workbench.core.errors import Refused
from workbench.report.render import render_notebook


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook of three cells, and this folder as the current one. Its kernel imports nothing that takes long."""
    cells = [
        new_code_cell("WHO = 'nobody'", metadata={"tags": ["parameters"]}),
        new_code_cell("from IPython.display import Markdown\n\nsaid = f'hello {WHO}'"),
        new_markdown_cell("## A heading"),
        new_code_cell("Markdown(said)"),
    ]
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "reports" / "greeting.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), path)
    return path


@pytest.mark.slow
def test_cells_share_their_names_and_only_a_last_value_is_shown(notebook: Path) -> None:
    page, text = render_notebook("greeting", "greeting_all", {"WHO": "all"})
    assert text.read_text() == "## A heading\n\nhello all\n"
    assert page.name == "greeting_all.html" and "hello all" in page.read_text() and "WHO" not in page.read_text()
    assert "nobody" in notebook.read_text(), "the committed notebook stays as it is"


@pytest.mark.slow
def test_what_a_cell_refuses_names_the_notebook(notebook: Path) -> None:
    page = nbformat.read(notebook, as_version=4)
    page.cells.append(new_code_cell("from workbench.core.errors import Refused\n\nraise Refused('no runs')"))
    nbformat.write(page, notebook)
    with pytest.raises(Refused, match=r"reports/greeting\.ipynb: no runs"):
        render_notebook("greeting", "greeting", {"WHO": "all"})


def test_without_notebooks_the_folder_is_the_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"there is no reports/greeting\.ipynb; run this where reports/ lies"):
        render_notebook("greeting", "greeting", {})
