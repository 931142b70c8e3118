"""A notebook is executed cell by cell: parameters are replaced, last values shown, and refusals name the notebook."""

import ast
import hashlib
import json
from base64 import b64encode
from pathlib import Path

import cv2
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.report.made_up import PERSONS, ROOT, complete, write_persons
from workbench import __main__ as command
from workbench import study
from workbench.core.errors import Refused
from workbench.experiments import protocols
from workbench.experiments.plan import StudyRun
from workbench.experiments.project import PAGE_NOTEBOOKS
from workbench.report.freshness import MadeOf, read_line, why_old
from workbench.report.render import render_notebook, write_profile
from workbench.study import Study, TimingStudy

GREETING = MadeOf("greeting", "one", "one_short", "abc", "def", "nox -s report -- one")


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
    for name in ("greeting_all_gone", "greeting_all_next_front", "greeting_allx"):
        (notebook.parent / "rendered").mkdir(exist_ok=True)
        (notebook.parent / "rendered" / f"{name}.png").write_bytes(b"a picture")
    page, text = render_notebook(GREETING, "greeting_all", {"WHO": "all"})
    left = sorted(path.stem for path in page.parent.glob("*.png"))
    assert left == ["greeting_all_next_front", "greeting_allx"], "pictures that no cell draws any more are gone"
    assert text.read_text() == f"## A heading\n\nhello all\n\n{GREETING.line}\n"
    assert (
        read_line(page.read_text()) == GREETING
        and page.name == "greeting_all.html"
        and "hello all" in page.read_text()
        and "WHO" not in page.read_text()
    )
    assert "nobody" in notebook.read_text(), "the committed notebook stays as it is"


EVIL = "<img src=x onerror=alert(1)> [go](javascript:alert(1)) <script>alert(1)</script>"


@pytest.mark.slow
def test_words_of_others_are_no_markup_on_a_page_and_only_its_own_scripts_run(notebook: Path) -> None:
    page = nbformat.read(notebook, as_version=4)
    shown = "Page('markdown', '# ' + WHO), Page('plain', WHO), Page('html', '<p>it</p><script>let own;</script>', WHO)"
    page.cells[1].source = """class Page:
    def __init__(self, kind, text, alt=WHO):
        self.data = {f'text/{kind}': text} | ({} if kind == 'markdown' else {'image/png': 'iVBORw0KGgo='})
        self.about = {'image/png': {'alt': alt}}

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, self.about
"""
    page.cells[3].source = f"for one in ({shown}):\n    display(one)"
    nbformat.write(page, notebook)
    html, markdown = (path.read_text() for path in render_notebook(GREETING, "greeting", {"WHO": EVIL})[:2])
    body = html.partition("<body>")[2]
    assert body.count("<script>") == 1 and "<script>let own;</script>" in body
    assert "<img src=x" not in body and 'href="javascript' not in body and "&lt;img src=x onerror" in body
    assert "<img" not in markdown and "<script" not in markdown and "](javascript" not in markdown
    digest = b64encode(hashlib.sha256(b"let own;").digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\">" in html


@pytest.mark.slow
def test_what_a_cell_refuses_names_the_notebook(notebook: Path) -> None:
    page = nbformat.read(notebook, as_version=4)
    page.cells.append(new_code_cell("from workbench.core.errors import Refused\n\nraise Refused('no runs')"))
    nbformat.write(page, notebook)
    with pytest.raises(Refused, match=r"reports/greeting\.ipynb: no runs"):
        render_notebook(GREETING, "greeting", {"WHO": "all"})


def test_without_notebooks_the_folder_is_the_wrong_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r"there is no reports/greeting\.ipynb; run this where reports/ lies"):
        render_notebook(GREETING, "greeting", {})


def test_notebooks_have_no_logic_and_no_outputs() -> None:
    assert {path.stem for path in (ROOT / "reports").glob("*.ipynb")} == {*PAGE_NOTEBOOKS, "quickstart"}
    for path in [ROOT / f"reports/{name}.ipynb" for name in PAGE_NOTEBOOKS]:
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        assert cells[0]["metadata"]["tags"] == ["parameters"]
        for cell in cells:
            assert cell["outputs"] == [] and cell["execution_count"] is None, path
            for line in ast.parse("".join(cell["source"])).body:
                assert isinstance(line, ast.ImportFrom | ast.Assign | ast.Expr), path
                if isinstance(line, ast.Expr):
                    assert isinstance(line.value, ast.Call) and ast.unparse(line.value.func).startswith("page."), path


@pytest.mark.soak
def test_the_command_writes_pages_that_need_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a repeat from seed 3, beside whose jobs lie those of seed 0, where the rows differ by half as much."""
    asked, setting = study.find_study("ablate_dcc"), protocols.protocol_named("smoke")
    assert isinstance(asked, Study)
    complete(tmp_path, asked, setting, lambda row: 10 + len(row), first_seed=3)
    complete(tmp_path, asked, setting, lambda row: 10 + len(row) // 2)
    (tmp_path / "reports").mkdir()
    for path in (ROOT / "reports").glob("*.ipynb"):
        (tmp_path / "reports" / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    words = ["ablate_dcc", "--protocol", "smoke", "--first-seed", "3"]
    assert command.main(["study", "status", *words]) == 0 and "6 of 6 complete" in capsys.readouterr().out
    assert command.main(["report", *words]) == 0
    stem = StudyRun(asked, setting, tmp_path, first_seed=3).stem
    assert stem.startswith("ablate_dcc_smoke_first_seed-3_")
    rendered = tmp_path / "reports/rendered"
    written = capsys.readouterr().out.splitlines()
    assert {Path(line).name.startswith(stem) for line in written[:-1]} == {True} and written[-1].endswith("index.html")
    assert len(written) > 6 and all((tmp_path / line).is_file() for line in written)
    html = (rendered / f"{stem}.html").read_text()
    assert "regression" in html and html.count("data:image/png;base64,") == 4 and html.count('<div class="live">') == 2
    assert 'src="' not in html.replace('src="data:', "") and "page.head" not in html and len(html) < 3e6
    assert html.count("<script>") == 2 and "<script src" not in html
    assert "+ dynamic bin" not in html and "with dynamic bin" in html and '<h2 id="Glossary">' in html
    markdown = (rendered / f"{stem}.md").read_text()
    pictures = [line for line in markdown.splitlines() if line.startswith("![")]
    assert len(pictures) == 6 and "page.head" not in markdown
    for line in pictures:
        assert cv2.imread(str(rendered / line.partition("(./")[2].rstrip(")"))) is not None, line
    assert "Point at a mark" in html and "Point at a mark" not in markdown, "a picture answers no pointer"
    assert "## Not shown" in markdown and "left out" not in markdown.partition("## Not shown")[0]
    assert all(why_old(rendered / f"{stem}{end}") == "" for end in (".md", ".html"))
    assert f'href="{stem}.html"' in (rendered / "index.html").read_text()
    runs = pd.read_csv(tmp_path / f"reports/data/{stem}.csv")
    assert set(runs["seed"]) == {3} and len(runs) == 6
    assert dict(zip(runs["row"], runs["AP"], strict=True)) == pytest.approx(
        {row.label: (10 + len(row.label)) / 40 + 0.003 for row in asked.rows}
    )
    assert "6 of 6 runs are recorded; seeds 3; " in markdown and "seeds 0" not in markdown
    assert "`nox -s study -- ablate_dcc --protocol smoke --first-seed 3`" in markdown
    assert "`nox -s report -- ablate_dcc --protocol smoke --first-seed 3`" in markdown
    assert f"`reports/data/{stem}*.csv`" in markdown and not (tmp_path / "reports/data/ablate_dcc_smoke.csv").exists()
    assert command.main(["report", *words[:3], "--claims-only"]) == 0, "of seed 0 alone"
    claims = [pd.read_csv(tmp_path / f"reports/data/{name}_claims.csv") for name in (stem, "ablate_dcc_smoke")]
    means = [claim.set_index("claim")["mean"]["C2"] for claim in claims]
    assert means == pytest.approx([8 / 40, 4 / 40], abs=0.02), "24 letters against 16"


@pytest.mark.soak
def test_the_page_of_persons_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = study.find_study("profile_persons")
    assert isinstance(asked, TimingStudy)
    with pytest.raises(Refused, match="run the study first"):
        write_profile(asked)
    write_persons(asked.name, PERSONS)
    (tmp_path / "reports/persons.ipynb").write_bytes((ROOT / "reports/persons.ipynb").read_bytes())
    paths = write_profile(asked)
    assert sorted(path.name for path in paths) == [f"profile_persons{end}" for end in (".html", ".md", "_persons.png")]
    said = Path("reports/rendered/profile_persons.md").read_text()
    assert "RTMO: 330 ms with 16 persons" in said and "256 x 192 px per person" in said
    assert "| RTMO: kept persons only | 300.0 (0) | 330.0 (16) | 1.10 |" in said
