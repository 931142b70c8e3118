"""Parts of Markdown files that are made anew, and nothing else of them."""

from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.report.marked import renew, with_part

TEXT = "# A\n<!-- kinds -->\nold\n<!-- /kinds -->\nafter\n"


def test_a_part_is_renewed_in_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("a.md", "b.md")]
    for file in files:
        file.write_text(TEXT)
    assert renew("kinds", lambda: "new", list(map(str, files))) == 0
    expected = "# A\n<!-- kinds -->\n\nnew\n\n<!-- /kinds -->\nafter\n"
    assert [file.read_text() for file in files] == [expected, expected]
    assert with_part(expected, "kinds", "new") == expected
    assert renew("kinds", lambda: "new", [str(tmp_path / "none.md")]) == 2
    assert "none.md" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "<!-- kinds -->\n", "<!-- /kinds -->\n<!-- kinds -->\n", TEXT + TEXT])
def test_a_text_without_a_place_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no place for the kinds: expected one line <!-- kinds -->"):
        with_part(text, "kinds", "new")
