"""Two runs on the same images: the difference of each metric with its interval, and the images that they differ on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.experiments.own import small_run
from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import paired_bootstrap, resample
from workbench.evaluation.records import MatchRecords
from workbench.experiments.two_runs import compare_runs
from workbench.training.record import write_result

IMAGES = 40


def records(hit: float, seed: int = 0) -> MatchRecords:
    """One person in each image but the last, found by one detection with an OKS that passes a share `hit` of the
    thresholds, more or less."""
    rng = np.random.default_rng(seed)
    persons = np.array([1] * (IMAGES - 1) + [0], np.int32)
    oks = np.clip(hit + rng.normal(0, 0.1, IMAGES), 0, 1) * persons
    found = np.flatnonzero(persons).astype(np.int32)
    matched = oks[found, None] > np.linspace(0.5, 0.95, 10)
    return MatchRecords(
        image_ids=np.arange(100, 100 + IMAGES),
        image=found,
        category=np.zeros(len(found), np.int16),
        scores=np.linspace(1, 0.5, len(found)),
        matched=matched,
        ignored=np.zeros_like(matched),
        positives=persons[None],
        oks_sum=oks,
        oks_count=persons,
        error_sum=(1 - oks) * persons,
        error_count=persons,
    )


def a_run(folder: Path, found: MatchRecords, tags: dict[str, str] | None = None, **protocol: Any) -> Path:
    begun = small_run(folder, **protocol)
    found.save(folder / "records.npz")
    metrics = {"AP": 0.5, "AR": 0.25, "AP_M": -1.0, "params": 1e6}
    write_result(folder, begun.own.job.key, metrics, {"precision": "float32", **(tags or {})})
    return folder


def test_the_difference_is_paired_and_has_the_interval_of_the_images(tmp_path: Path) -> None:
    worse, better = records(0.7), records(0.85)
    found = compare_runs(a_run(tmp_path / "a", worse), a_run(tmp_path / "b", better))
    by_name = {one.metric: one for one in found.metrics}
    wanted = paired_bootstrap([resample(worse)], [resample(better)])
    ap = by_name["AP"]
    assert (ap.difference, ap.low, ap.high) == (wanted.mean, wanted.low, wanted.high) and ap.low > 0
    assert (ap.ahead, by_name["mOKS"].ahead) == ("second", "second")
    assert by_name["NME"].difference < 0 and by_name["NME"].ahead == "second", "less of it is better"
    assert by_name["AR"].difference == 0 and math.isnan(by_name["AR"].low), "records do not give it"
    assert "AP_M" not in by_name, "nobody is of that size"
    assert (found.images, found.data) == (IMAGES, "figures-easy at 64 x 64")
    assert found.notes == ("both are the same job",)


def test_the_images_that_they_disagree_on_most_come_first(tmp_path: Path) -> None:
    one = records(0.8)
    oks = one.oks_sum.copy()
    oks[[3, 7]] = 0.1, 0.4
    other = replace(one, oks_sum=oks)
    found = compare_runs(a_run(tmp_path / "a", one), a_run(tmp_path / "b", other)).unlike
    assert [image.image for image in found] == [103, 107], "alike ones are not in the list"
    assert (found[0].second, found[0].persons, found[0].file) == (0.1, 1, "")


def test_a_run_beside_itself_has_no_difference(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "a", records(0.8))
    found = compare_runs(folder, folder)
    assert found.unlike == () and all(one.difference == 0 and not one.ahead for one in found.metrics)
    json.dumps(found.as_dict())


@pytest.mark.parametrize("protocol", [{"data": "figures-hard"}, {"size": (96, 96)}])
def test_other_images_of_the_same_numbers_are_refused(tmp_path: Path, protocol: dict[str, Any]) -> None:
    first, second = a_run(tmp_path / "a", records(0.8)), a_run(tmp_path / "b", records(0.8), **protocol)
    with pytest.raises(Refused, match=r"not judged on the same images.*: .*a: 40 images of figures-easy at 64 x 64;"):
        compare_runs(first, second)


def test_other_numbers_and_other_persons_are_refused(tmp_path: Path) -> None:
    first, one = a_run(tmp_path / "a", records(0.8)), records(0.8)
    for i, other in enumerate((replace(one, image_ids=one.image_ids + 1), replace(one, positives=one.positives + 1))):
        with pytest.raises(Refused, match="not judged on the same images"):
            compare_runs(first, a_run(tmp_path / f"b{i}", other))
    (first / "records.npz").unlink()
    with pytest.raises(Refused, match=r"records.npz is missing: runs are compared image by image"):
        compare_runs(first, first)


def test_other_arithmetic_is_told(tmp_path: Path) -> None:
    first = a_run(tmp_path / "a", records(0.8))
    second = a_run(tmp_path / "b", records(0.8), {"precision": "bf16"})
    assert compare_runs(first, second).notes[0] == "computed otherwise: float32, numerics 2, and bf16, numerics 2"
