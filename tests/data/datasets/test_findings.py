"""What was found out about a data set, by kind."""

from workbench.data.datasets.findings import Findings


def test_each_kind_is_one_line_with_its_count_and_the_first() -> None:
    found = Findings()
    assert not found
    found.note("boxes, clipped", 4)
    assert not found and found.notes() == ["boxes, clipped: 1, first 4"]
    for one in range(5):
        found.add("no area", one)
    found.add("an empty set")
    assert found and found.lines() == ["no area: 5, first 0, 1, 2", "an empty set"]


def test_a_copy_is_added_to_without_changing_the_first() -> None:
    first = Findings()
    first.add("no area", 1)
    other = first.copied()
    other.add("no area", 2)
    assert first.lines() == ["no area: 1, first 1"] and other.lines() == ["no area: 2, first 1, 2"]
