"""What the rows' networks see: rebuilt from job folders, run on the images on which the rows disagree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.matched import records as matched
from tests.report.made_up import TINY, TWO
from workbench.evaluation.records import MatchRecords
from workbench.experiments.plan import StudyRun
from workbench.models.decode import detect
from workbench.report import examples, networks, page
from workbench.report.pieces import LeftOut, PagePicture
from workbench.report.record import Record, load_record, write_record


@pytest.fixture
def record(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    monkeypatch.chdir(tmp_path)
    there = StudyRun(TWO, TINY, trained)
    write_record(there)
    return load_record(there)


@pytest.fixture
def chosen(record: Record) -> examples.Panel:
    found = examples.panel(record)
    assert found is not None
    return found


@pytest.mark.slow
def test_a_panel_has_one_run_of_each_row(chosen: examples.Panel, record: Record) -> None:
    assert list(chosen.folders) == ["regression", "bins"] and (chosen.seed, chosen.trunk) == (0, "")
    one = replace(record, folders=dict(list(record.folders.items())[:1]))
    assert examples.panel(one) is None, "a single row disagrees with nobody"


@pytest.mark.slow
def test_images_come_by_how_far_the_rows_are_apart(chosen: examples.Panel) -> None:
    match = {label: MatchRecords.load(folder / "records.npz") for label, folder in chosen.folders.items()}
    one, other = match.values()
    spread = {
        int(image): abs(one.oks_sum[i] - other.oks_sum[i]) / one.oks_count[i]
        for i, image in enumerate(one.image_ids)
        if one.oks_count[i]
    }
    order = examples.disagreement(match)
    assert sorted(order) == sorted(spread) and max(spread.values()) > 0
    assert [spread[i] for i in order] == sorted(spread.values(), reverse=True)


def test_examples_reach_from_the_best_to_the_worst_image() -> None:
    records = {"a": matched(10), "b": matched(30)}  # of 40 images: 10 that both find, 10 that neither does
    mean = {int(i): (records["a"].oks_sum[i] + records["b"].oks_sum[i]) / 2 for i in records["a"].image_ids}
    assert [mean[i] for i in examples.over_range(records, 3)] == [1.0, 0.5, 0.0]
    assert len(examples.over_range(records, 99)) == 40


@pytest.mark.slow
def test_examples_show_every_row_on_the_same_images(chosen: examples.Panel) -> None:
    shown = examples.find_examples(chosen, count=3)
    assert len(shown) == 3
    together = [sum(e.quality.values()) for e in shown]
    assert together == sorted(together, reverse=True) and together[0] > together[-1]
    for example in shown:
        assert example.found.keys() == {"regression", "bins"}
        assert all(picture.shape == example.truth.shape for picture in example.found.values())


@pytest.mark.slow
def test_the_answer_is_the_mean_of_the_bins(chosen: examples.Panel) -> None:
    folder = chosen.folders["bins"]
    batch = examples.image_batch(chosen.judged, [10_000_000, 10_000_003])
    assert batch.image_ids == (10_000_000, 10_000_003)
    job, network = networks.network_of(folder)
    profiles = examples.axis_profiles(folder, batch, least=0.0)
    found = detect(network, batch.images, score_threshold=0.0, nms_threshold=job.protocol.nms_threshold)
    assert profiles
    for (image, _), profile in profiles.items():
        assert profile.x_bins is not None and profile.x_prob is not None
        assert profile.y_bins is not None and profile.y_prob is not None
        np.testing.assert_allclose(profile.x_prob.sum(1), 1, atol=1e-4)
        mean = np.stack([profile.x_prob @ profile.x_bins, profile.y_prob @ profile.y_bins], 1)
        np.testing.assert_allclose(profile.keypoints, mean, atol=1e-2)
        nearest = np.abs(found[image].keypoints - profile.keypoints).max((1, 2)).min()
        assert nearest < 1e-2, "one of the detections says the same"
    regressed = examples.axis_profiles(chosen.folders["regression"], batch, least=0.0)
    assert all(profile.x_bins is None for profile in regressed.values())


@pytest.mark.slow
def test_the_person_is_the_one_on_whom_rows_differ(chosen: examples.Panel) -> None:
    person = examples.person(chosen, least=0.0)
    assert person is not None and person.truth.shape == (2, 2) and person.rows.keys() == chosen.folders.keys()
    left, top, right, bottom = person.window
    assert right - left == bottom - top > 5
    error = np.hypot(*(person.rows["bins"].keypoints - person.truth).T)
    assert person.errors("bins") == pytest.approx(error.tolist())


@pytest.mark.slow
def test_the_examples_can_be_drawn(record: Record) -> None:
    assert isinstance(page.examples(record), PagePicture)


@pytest.mark.slow
def test_a_person_that_no_row_finds_is_said_to_be_missing(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "person", lambda _: None)
    piece = page.heatmaps(record)
    assert isinstance(piece, LeftOut) and "every row finds" in piece.text
