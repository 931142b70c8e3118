"""Pairs: of the same seed and trunk, computed alike, each job once."""

from pathlib import Path

import pytest

from workbench.experiments.pairing import Results, block_differences, pairing_of
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Contrast, Row, Study, StudyProtocol
from workbench.training.record import Result, arithmetic_of

ROWS = (Row("a"), Row("b", {"coords.padding": 1.5}), Row("A/A", seed_offset=100), Row("shifted", seed_offset=1))
STUDY = Study(name="s", question="", source="", base=nano(), rows=ROWS)
AB = Contrast(("a",), ("b",))


def results(seeds: int = 2, trunks: tuple[str, ...] = (), **changes: int) -> Results:
    asked = StudyProtocol("t", "", Protocol(size=(96, 96)), seeds=seeds, trunks=trunks)
    return [
        (one, Result(one.job.key, {"AP": 0.1 * i}, [], {}, Path()))
        for i, one in enumerate(STUDY.planned_jobs(asked, None, changes))
    ]


def test_pairs_are_of_the_same_seed_and_trunk() -> None:
    found = pairing_of(
        AB, [one for one in results(2, ("x", "y")) if (one[0].row, one[0].seed, one[0].trunk) != ("b", 1, "y")]
    )
    assert [(pair.trunk, pair.seed) for pair in found.pairs] == [("x", 0), ("x", 1), ("y", 0)]
    assert len({run.key for pair in found.pairs for run in pair.runs}) == 6
    assert found.left_out == ""


def test_an_a_a_row_is_paired_by_the_number_of_its_seed() -> None:
    assert [pair.seed for pair in pairing_of(Contrast(("A/A",), ("a",)), results(3)).pairs] == [0, 1, 2]


def test_each_job_counts_once_whatever_row_or_seed_it_stands_for() -> None:
    same = pairing_of(AB, results(3, seed=5))
    assert len(same.pairs) == 1 and same.again == 2
    assert same.left_out == "; 2 pairs left out: their runs count already"
    itself = pairing_of(Contrast(("A/A",), ("a",)), results(3, seed=5))
    assert itself.pairs == [] and itself.one_job == 3 and itself.left_out == "; 3 pairs left out: one job in two rows"
    # seed 1 of the one is seed 0 of the other: its second pair shares a run with the first
    shifted = pairing_of(Contrast(("shifted",), ("a",)), results(3))
    assert [pair.seed for pair in shifted.pairs] == [0, 2] and shifted.again == 1


def test_runs_are_alike_in_precision_and_numerics() -> None:
    plain = Result("k", {}, [], {"precision": "float32"}, Path())
    assert arithmetic_of(plain.tags) == "float32, numerics 1"
    newer = Result("k", {}, [], {"precision": "float32", "numerics": "2"}, Path())
    pairing = pairing_of(AB, [(one, newer if (one.row, one.seed) == ("b", 1) else plain) for one, _ in results()])
    assert [pair.seed for pair in pairing.pairs] == [0]
    assert pairing.left_out == "; 1 pair left out: float32, numerics 1 beside float32, numerics 2"


def test_seeds_of_a_trunk_are_averaged() -> None:
    found = pairing_of(Contrast(("b",), ("a",)), results(2, ("x", "y"))).pairs
    assert block_differences(found, "AP") == pytest.approx([0.1, 0.1])
    assert block_differences(found[:1] + found[2:], "AP") == pytest.approx([0.1, 0.1])


def test_runs_are_alike_only_if_what_they_began_with_is() -> None:
    plain = Result("k", {}, [], {"precision": "float32"}, Path())
    begun = Result("k", {}, [], {"precision": "float32", "start_arithmetic": "bf16, numerics 1"}, Path())
    assert arithmetic_of(begun.tags) == "float32, numerics 1, begun in bf16, numerics 1"
    pairing = pairing_of(AB, [(one, begun if (one.row, one.seed) == ("b", 1) else plain) for one, _ in results()])
    assert [pair.seed for pair in pairing.pairs] == [0]
    both = pairing_of(AB, [(one, begun if one.seed == 1 else plain) for one, _ in results()])
    assert [pair.seed for pair in both.pairs] == [0, 1], "each pair is alike in itself"


def test_four_runs_stand_two_on_each_side() -> None:
    contrast = Contrast(("a", "A/A"), ("b", "shifted"))
    found = pairing_of(contrast, results(1)).pairs
    assert [len(side) for side in (found[0].ahead, found[0].behind, found[0].runs)] == [2, 2, 4]
    # rows a, b, A/A, shifted have 0.0, 0.1, 0.2, 0.3
    assert block_differences(found, "AP") == pytest.approx([0.0 + 0.2 - 0.1 - 0.3])
