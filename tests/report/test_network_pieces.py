"""Pictures of networks: drawn where these are, kept elsewhere as long as they are of the same runs."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.report.made_up import run_in, still, text
from workbench.report import page
from workbench.report.drawing import png
from workbench.report.freshness import networks_stamp
from workbench.report.record import Record, load_record


@pytest.mark.slow
def test_a_picture_that_was_drawn_before_is_shown_again(record: Record, home: Path) -> None:
    (home / "jobs").rename(home / "elsewhere")
    kept = home / "reports/rendered/padding_small_examples.png"
    kept.parent.mkdir(parents=True)
    alone = load_record(run_in(home))
    kept.write_bytes(png(Figure(figsize=(1, 1)), networks_stamp(alone.stem)))
    assert still(page.examples(alone)).png == kept.read_bytes()
    data = home / "reports/data/padding_small.csv"
    data.write_text(data.read_text().replace("abc", "abd"))
    gone = text(page.examples(alone))
    assert "nor is a picture that was drawn of these runs" in gone, "it was drawn of other runs"
    kept.write_bytes(png(Figure(figsize=(1, 1))))
    assert text(page.examples(alone)) == gone, "it does not say what it was made of"
    kept.unlink()
    assert text(page.examples(alone)) == gone, "the same page again, when the old picture is gone"
