"""What a page is made of."""

import pytest

from workbench.report.pieces import LEFT_OUT, Text, left_out, number, paragraphs, sentence, table_text


def test_what_is_left_out_says_so_to_who_makes_the_page() -> None:
    data, about = left_out("Curves", "the record holds none")._repr_mimebundle_()
    assert data == {"text/markdown": "*Curves left out: the record holds none.*"}
    assert about[LEFT_OUT] == "Curves: the record holds none."


def test_texts_are_joined_where_there_are_any() -> None:
    assert paragraphs("a", "", "b") == Text("a\n\nb")
    assert sentence("a.") == sentence("a") == "a."


@pytest.mark.parametrize(("value", "shown"), [(1.234, "1.23"), (float("nan"), "")])
def test_a_number_that_is_missing_is_not_shown(value: float, shown: str) -> None:
    assert number(value, 2) == shown


def test_a_line_in_a_cell_is_no_end_of_it() -> None:
    assert table_text(["a|b"], [["c"]]) == "| a/b |\n| --- |\n| c |"
