"""Key points of a data set's own, from its file to what a job leaves behind."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from tests.data.datasets.animals import NAMES, animals
from tests.small import small_job, small_variant
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import COCO
from workbench.core.spec import from_dict
from workbench.data.datasets.folder import dataset_fingerprint, dataset_keypoints
from workbench.models.catalog import spec_types
from workbench.models.job import Job
from workbench.training.machine import Machine
from workbench.training.record import job_folder
from workbench.training.run import run
from workbench.training.source import check_classes, check_keypoints, open_source


def job_on(root: Path, skeleton: Skeleton) -> Job:
    job = small_job(data=dataset_fingerprint(root), epochs=1, epoch_images=0, batch=2, eval_images=0, augment="rtmo-t")
    return replace(job, variant=small_variant(num_keypoints=len(skeleton), keypoint_set=skeleton))


@pytest.mark.slow
def test_five_key_points_of_an_animal_train_and_are_judged(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    mine = dataset_keypoints(root).skeleton
    job = job_on(root, mine)
    source = open_source(job, 0, tmp_path, root)
    assert source.steps == 2 and source.skeleton == mine
    batch = next(iter(source.train(0)))
    assert batch.targets.keypoints.shape[-2:] == (5, 2)
    result = run(job, Machine(), tmp_path / "home", root)
    assert 0 <= result.metrics["AP"] <= 1 and 0 <= result.metrics["mOKS"] <= 1
    folder = job_folder(tmp_path / "home", job.key)
    assert cv2.imread(str(folder / "predictions.png")) is not None
    known = from_dict(json.loads((folder / "job.json").read_text()), spec_types())
    assert known == job and isinstance(known, Job) and known.variant.skeleton.keypoints == NAMES
    with (folder / "curve.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 1


def test_another_set_is_refused_before_work(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    mine = dataset_keypoints(root).skeleton
    with pytest.raises(Refused, match=r"goats has 5 key points .goat., the variant 17 .coco.: leave out what sets the"):
        open_source(small_job(data=dataset_fingerprint(root)), 0, tmp_path, root)
    other = replace(mine, sigmas=(0.05,) * 5)
    with pytest.raises(Refused, match=r"the variant's key points .goat. have other sigmas than the data set's"):
        check_keypoints(job_on(root, other), mine, str(root))
    with pytest.raises(
        Refused, match=r"17 key points .coco., the variant 5 .goat.: add --set variant.num_keypoints=17"
    ):
        check_keypoints(job_on(root, mine), COCO, "the embedded data set")


def test_another_number_of_classes_is_refused_before_work(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    job = job_on(root, dataset_keypoints(root).skeleton)
    check_classes(job, ("goat",), "goats")
    two = replace(job, variant=small_variant(num_keypoints=5, keypoint_set=job.variant.skeleton, num_classes=2))
    with pytest.raises(
        Refused, match=r"goats has 1 class .goat., the variant 2: leave out --set variant.num_classes=2"
    ):
        open_source(two, 0, tmp_path, root)
