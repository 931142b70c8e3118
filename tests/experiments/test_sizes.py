"""Settings of a trained network on a handful of scenes: what each is, and that the own one is the network itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.data.datasets.folders import content, folder
from tests.inference.tiny import disturbed
from tests.small import small_job
from workbench.core.errors import Refused
from workbench.data.datasets.folder import dataset_fingerprint
from workbench.evaluation.bootstrap import paired_bootstrap, resample
from workbench.experiments import sizes
from workbench.experiments.size_settings import Asked, Setting, combined_settings, own_setting, with_bins
from workbench.experiments.sizes import (
    JUDGED,
    PIXELS,
    Judging,
    SizesMeasured,
    Timing,
    judged_images,
    measure_sizes,
    within_memory,
)
from workbench.inference import cost, timing
from workbench.inference.latency import TimingTask
from workbench.inference.load import Trained
from workbench.models.network import Network
from workbench.tensors import Detections
from workbench.training.machine import Machine
from workbench.training.source import open_source
from workbench.training.validate import evaluate_network

JOB = small_job(score_threshold=1e-3)  # so low that random weights find persons
QUICK = Timing(persons=2, threads=1, seconds=1, anyway=True)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return Trained(disturbed(Network(JOB.variant, seed=0)), (64, 64), "job x", JOB)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def found(trained: Trained, home: Path) -> SizesMeasured:
    forms = [(64, (12, 16), "eager"), (64, (12, 16), "torch"), (64, (6, 8), "torch"), (32, (12, 16), "torch")]
    settings = [Setting((side, side), bins, runtime, "float32") for side, bins, runtime in forms]
    assert settings[0] == own_setting(trained)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "WINDOW", 0.0)
        return measure_sizes(trained, settings, Judging(home), QUICK)


def test_the_own_setting_scores_what_the_network_scores(found: SizesMeasured, trained: Trained, home: Path) -> None:
    evaluation, _ = evaluate_network(JOB, trained.network, open_source(JOB, 0, home), Machine())
    assert dict(found.own.values) == {metric: evaluation[metric] for metric in JUDGED}
    assert found.own.values["mOKS"] > 0, "nobody is found, so equal numbers say nothing"
    assert (found.images, found.data, found.unreadable) == (8, "figures-easy", 0)


def test_the_deployed_form_scores_the_same_and_fewer_bins_or_pixels_do_not(found: SizesMeasured) -> None:
    moks = {str(one.setting): one.values["mOKS"] for one in found.readings}
    own = found.own.values["mOKS"]
    assert moks["64 px, 12x16 bins, torch float32"] == pytest.approx(own, abs=1e-3)
    assert moks["64 px, 6x8 bins, torch float32"] != pytest.approx(own, abs=1e-6)
    assert moks["32 px, 12x16 bins, torch float32"] != pytest.approx(own, abs=1e-6)


def test_differences_are_paired(found: SizesMeasured) -> None:
    own = found.own
    for one in found.readings:
        for metric in JUDGED:
            seen = one.differences[metric]
            assert seen.mean == pytest.approx(one.values[metric] - own.values[metric])
            assert seen.low <= seen.mean <= seen.high
    assert own.differences["mOKS"].width == 0
    same = next(one for one in found.readings[1:] if one.setting == replace(own.setting, runtime="torch"))
    assert same.differences["mOKS"].width < 1e-3, "of the same images, nearly the same"


def test_costs_are_those_of_the_setting(found: SizesMeasured) -> None:
    for one in found.readings:
        variant = JOB.variant.vary({"coords.num_bins": one.setting.bins})
        assert one.gflops == pytest.approx(cost.flops(variant, one.setting.size, 2, counter="torch").total / 1e9)
        assert one.ms.value > 0 and one.ratio.low <= one.ratio.value <= one.ratio.high
    assert found.own.ratio.value == 1 and found.slack >= 0 and "1 thread" in found.conditions


def test_a_part_of_the_images(trained: Trained, home: Path) -> None:
    judged = judged_images(trained, Judging(home, images=3))
    assert len(judged.samples) == len(judged.truth["images"]) == 3


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for split in ("train2017", "val2017"):
        folder(tmp_path, content(), split)
    return tmp_path


def test_a_folder_is_judged_whole_at_every_size(trained: Trained, home: Path, photos: Path) -> None:
    released = replace(trained, job=None)
    for network in (trained, released):
        judged = judged_images(network, Judging(home, photos))
        assert len(judged.samples) == 3 and judged.protocol.data == dataset_fingerprint(photos)
        for size in ((64, 64), (32, 32)):
            (batch,) = judged.at(size).loader()(0)
            assert batch.images.shape == (3, 3, *size)
    assert judged_images(released, Judging(home, photos)).protocol.score_threshold == 0.1, "as published"


@pytest.mark.parametrize("side", [32, 64, 128])
def test_what_was_found_comes_back_to_the_pixels_of_the_image(side: int, trained: Trained, home: Path) -> None:
    here = judged_images(trained, Judging(home)).at((side, side))
    corners, one = np.array([[0, 0, side, side / 2]], np.float32), np.ones(1, np.float32)
    whole = Detections(
        boxes=corners,
        scores=one,
        labels=np.zeros(1, np.int64),
        keypoints=np.full((1, 17, 2), side / 4, np.float32),
        keypoint_scores=np.ones((1, 17), np.float32),
        image_id=here.truth["images"][0]["id"],
    )
    back = here.restore(whole)
    assert back.boxes.tolist() == [[0, 0, 64, 32]] and set(back.keypoints.ravel().tolist()) == {16}


def test_large_inputs_come_in_small_batches(trained: Trained, home: Path) -> None:
    judged = judged_images(trained, Judging(home))
    assert within_memory(judged).protocol.batch == judged.protocol.batch == 8
    assert within_memory(judged.at((3200, 3200))).protocol.batch == 1
    assert within_memory(judged.at((1280, 1280))).protocol.batch == 4 == PIXELS // 1280**2


def test_a_network_that_knows_no_scenes_needs_data(trained: Trained, home: Path, photos: Path) -> None:
    released = replace(trained, job=None, source="rtmo-s.pth")
    with pytest.raises(Refused, match=r"rtmo-s.pth: it was not trained on embedded scenes; add --data FOLDER"):
        judged_images(released, Judging(home))
    with pytest.raises(Refused, match="no data folder"):
        judged_images(released, Judging(home, photos / "nowhere"))
    fourteen = Trained(Network(JOB.variant.vary({"num_keypoints": 14}), seed=0).eval(), (64, 64), "other")
    with pytest.raises(Refused, match=r"it has 17 key points \(coco\), other finds 14 \(crowdpose\)"):
        judged_images(fourteen, Judging(home, photos))


def test_more_persons_than_cells_are_refused_before_any_work(trained: Trained, home: Path) -> None:
    said: list[str] = []
    settings = combined_settings(trained, Asked((32,), (), ("torch",), ("float32",)))
    with pytest.raises(Refused, match="6 persons on"):
        measure_sizes(trained, settings, Judging(home), replace(QUICK, persons=6), said.append)
    assert said == []


@pytest.mark.soak
def test_files_score_as_the_network_does(trained: Trained, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is timed is a file with as many persons as are asked for, and tested with the runtimes."""
    pytest.importorskip("onnxruntime")
    timed: list[tuple[str, TimingTask, Path]] = []

    def written(network: Network, task: TimingTask, precision: str, folder: Path) -> Path:
        timed.append((precision, task, folder))
        return folder

    monkeypatch.setattr(sizes, "onnx_file", written)
    monkeypatch.setattr(sizes, "file_call", lambda _runtime, path, _task: lambda: path)
    settings = [
        Setting((64, 64), (12, 16), "eager", "float32"),
        *(Setting((side, side), (12, 16), "onnx", kind) for side in (32, 64) for kind in ("float32", "int8")),
    ]
    found = measure_sizes(trained, settings, Judging(home), QUICK)
    asked = [(precision, task.size, task.persons) for precision, task, _ in timed]
    assert asked == [(kind, (side, side), 2) for side in (32, 64) for kind in ("float32", "int8")]
    assert len({folder for *_, folder in timed}) == 1, "one file for all sizes"
    values = {one.setting: one.values["mOKS"] for one in found.readings}
    assert values[settings[3]] == pytest.approx(values[settings[0]], abs=1e-3)
    assert values[settings[4]] == pytest.approx(values[settings[0]], abs=0.1)


def test_the_interval_is_that_of_the_paired_bootstrap(trained: Trained, found: SizesMeasured, home: Path) -> None:
    """The same from the network's own records and those of its half as fine bins, put together by hand."""
    source = open_source(JOB, 0, home)
    draws = [
        resample(evaluate_network(JOB, network, source, Machine())[0].records, "mOKS")
        for network in (trained.network, with_bins(trained.network, (6, 8)))
    ]
    by_hand = paired_bootstrap([draws[0]], [draws[1]])
    shown = next(one for one in found.readings if str(one.setting) == "64 px, 6x8 bins, torch float32")
    assert shown.differences["mOKS"].low == pytest.approx(by_hand.low, abs=1e-3)
    assert shown.differences["mOKS"].high == pytest.approx(by_hand.high, abs=1e-3)
