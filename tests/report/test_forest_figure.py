"""The figure of differences."""

from typing import Any

from workbench.report.drawing import Hover, svg
from workbench.report.forest_figure import forest_figure
from workbench.report.record import Record
from workbench.report.verdict_frames import forest_frame


def test_a_wild_interval_is_cut_off_with_an_arrow(record: Record) -> None:
    """Two seeds: Student's factor is 12.7, and the axis would show nothing but that interval."""
    frame = forest_frame(record)

    def axis_of(wild: float) -> Any:
        wide = frame.assign(low=[-wild, *frame["low"][1:]], high=[wild, *frame["high"][1:]])
        return forest_figure(wide[wide["claim"] == "P1"], "title").axes[0]

    def arrows(axis: Any) -> list[str]:
        return [line.get_marker() for line in axis.lines if line.get_marker() in ("<", ">")]

    assert arrows(axis_of(0.2)) == [] and axis_of(0.2).get_xlim()[1] > 20
    assert arrows(axis_of(5.0)) == ["<", ">"] and axis_of(5.0).get_xlim()[1] < 100, "of 500 points"


def test_marks_know_their_row_and_their_numbers(record: Record) -> None:
    hover = Hover()
    drawn = svg(forest_figure(forest_frame(record), "title", hover))
    assert set(hover.rows.values()) == {"more", "A/A"} and all(f'id="{group}"' in drawn for group in hover.texts)
    told = [said for said in hover.texts.values() if said.startswith("P1")]
    assert len(told) > 1 and all("AP, 95 % interval +" in said and said.endswith("; holds") for said in told)
    assert drawn == svg(forest_figure(forest_frame(record), "title", Hover())), "the same bytes each time"


def test_of_long_names_a_claim_says_what_differs(record: Record) -> None:
    frame = forest_frame(record)
    frame = frame[frame["claim"] == "P1"]
    one, other = (f"{backbone}, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4" for backbone in ("stdc", "csp s"))
    for row, than, said in (
        (one, other, "P1:  stdc − csp s"),
        ("more", "A/A", "P1:  more − A/A"),
        (one, one, "P1:  stdc"),
    ):
        axis = forest_figure(frame.assign(row=row, than=than), "title").axes[0]
        assert axis.get_yticklabels()[0].get_text().startswith(said.replace("  ", " "))
