"""Images that stay on the device: the same batches as from the loader, and only where they fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from tests.data.transforms.test_pixels import DEVICES
from tests.small import small_job
from workbench.data import resident
from workbench.data.datasets.folder import dataset_fingerprint, open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.resident import Resident, placed
from workbench.data.synthetic.dataset import SyntheticScenes, cached
from workbench.models.job import Job
from workbench.tensors import Batch
from workbench.training import run
from workbench.training.machine import Machine
from workbench.training.source import Source, open_source

COCO = Path(__file__).parents[2].parent / "shared" / "data" / "coco"


def opened(job: Job, home: Path, device: str, data: Path | None = None) -> tuple[Source, Source]:
    """From the loader, and from the device's memory."""
    return open_source(job, 0, home, data), open_source(job, 0, home, data, device, 0.5)


def same_persons(a: Batch, b: Batch) -> bool:
    names = ("boxes", "keypoints", "visible", "areas", "labels", "keypoint_weights", "present")
    return a.image_ids == b.image_ids and all(torch.equal(getattr(a.targets, n), getattr(b.targets, n)) for n in names)


@pytest.mark.parametrize("device", DEVICES)
def test_batches_without_augmentation_are_identical(device: str, tmp_path: Path) -> None:
    loaded, stays = opened(small_job(), tmp_path, device)
    assert loaded.steps == stays.steps
    for epoch in (0, 1):
        for a, b in zip(loaded.train(epoch), stays.train(epoch), strict=True):
            assert b.images.device.type == device and same_persons(a, b)
            assert torch.equal(a.images, b.images.cpu()) and b.images.is_contiguous()
    for a, b in zip(loaded.validate(), stays.validate(), strict=True):
        assert b.images.device.type == device and torch.equal(a.images, b.images.cpu())


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("augment", ["light", "rtmo"])
def test_augmented_batches_differ_by_rounding_only(augment: str, device: str, tmp_path: Path) -> None:
    job = small_job(augment=augment, epochs=20)
    loaded, stays = opened(job, tmp_path, device)
    for epoch in (0, 19):  # the main phases and the final one
        for a, b in zip(loaded.train(epoch), stays.train(epoch), strict=True):
            assert same_persons(a, b)
            difference = (a.images - b.images.cpu()).abs()
            assert difference.max() <= 20 and difference.mean() < 0.02, (difference.max(), difference.mean())
            assert a.images.std() > 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # from Python 3.12 on
def test_processes_change_nothing(tmp_path: Path) -> None:
    job = small_job(augment="rtmo")
    alone, pair = (open_source(job, workers, tmp_path, resident=0.5) for workers in (0, 2))
    for a, b in zip(alone.train(1), pair.train(1), strict=True):
        assert same_persons(a, b) and torch.equal(a.images, b.images)


def test_images_that_do_not_fit_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes: Any = cached(SyntheticScenes("easy", 64, count=4), tmp_path)
    monkeypatch.setattr(resident, "free_memory", lambda _: 2 * 4 * 64 * 64 * 3)
    _, finish = placed(scenes, "cpu", 0.5, 0)
    assert isinstance(finish, Resident)
    for share in (0.49, 0.0):
        samples, finish = placed(scenes, "cpu", share, 0)
        assert samples is scenes and not isinstance(finish, Resident)


@pytest.mark.slow
@pytest.mark.skipif(not COCO.is_dir(), reason="no real data beside the checkout")
def test_photographs(tmp_path: Path) -> None:
    job = small_job(data=dataset_fingerprint(COCO), augment="rtmo", eval_images=2, epoch_images=8, batch=4)
    loaded, stays = opened(job, tmp_path, "cpu", COCO)
    for a, b in zip(loaded.train(0), stays.train(0), strict=True):
        assert same_persons(a, b) and (a.images - b.images).abs().mean() < 0.2


def test_unreadable_images_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = tmp_path / "coco"
    (folder / "annotations").mkdir(parents=True)
    scenes = SyntheticScenes("easy", 64, count=4)
    for split in ("train2017", "val2017"):
        (folder / split).mkdir()
        truth = scenes.coco()
        for image, sample in zip(truth["images"], scenes, strict=True):
            cv2.imwrite(str(folder / split / image["file_name"]), sample.image)
        (folder / "annotations" / f"person_keypoints_{split}.json").write_text(json.dumps(truth))
    train = open_dataset(folder, "train")
    (folder / "train2017" / f"{scenes.coco()['images'][2]['file_name']}").write_bytes(b"")  # after the check
    samples, finish = placed(train, "cpu", 0.5, 0)
    assert isinstance(finish, Resident) and list(finish.unreadable) == [2]
    with pytest.raises(Unreadable, match="empty"):
        samples[2]
    for i in (0, 1, 3):
        assert np.array_equal(finish.images[i], scenes[i].image)
        assert np.array_equal(samples[i].persons.keypoints, train[i].persons.keypoints)


def test_a_job_asks_for_what_its_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def source(job: Job, workers: int, home: Path, data: Path | None, device: str, resident: float) -> Source:
        raise Asked(workers, home, data, device, resident)

    monkeypatch.setattr(run, "open_source", source)
    with pytest.raises(Asked) as asked:
        run.run(small_job(), Machine("cuda", workers=3, resident=0.5), tmp_path)
    assert asked.value.args == (3, tmp_path, None, "cuda", 0.5)
