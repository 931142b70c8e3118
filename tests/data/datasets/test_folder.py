"""Which format a folder has: formats are asked in turn, a new one is one entry; fingerprints do not parse."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.datasets.folders import content, folder
from tests.small import small_job, small_variant
from workbench.core import skeletons
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import CROWDPOSE
from workbench.data.datasets import annotations
from workbench.data.datasets import folder as folders
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.folder import checked, dataset_fingerprint, format_of, open_dataset
from workbench.data.draw import draw_sample
from workbench.models.criterion import losses
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.training.machine import Machine
from workbench.training.run import run
from workbench.training.source import open_source

# As many key points as CrowdPose, of other names in another order: mirror pairs, limbs and constants are its own.
OTHER = Skeleton(
    name="other14",
    keypoints=tuple(f"{name}_marker" for name in reversed(CROWDPOSE.keypoints)),
    sigmas=tuple(0.05 + 0.001 * k for k in range(14)),
    flip=tuple(13 - k for k in reversed(CROWDPOSE.flip)),
    limbs=((0, 1),),
)


class Other(Annotated):
    """A format of its own: one file `labels_PART.json` per part beside its images."""

    name = "Other"
    layout = "labels_train.json, labels_val.json and the images"
    evaluation = "coco"

    @classmethod
    def holds(cls, folder: Path) -> bool:
        return (folder / "labels_train.json").exists()

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        return "train", "val"

    @classmethod
    def annotation_file(cls, folder: Path, split: str) -> Path:
        return folder / f"labels_{split}.json"

    @classmethod
    def image_folder(cls, folder: Path, split: str) -> Path:
        return folder / "train2017"


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the other format, which is made known by one entry, as its key points are."""
    root = folder(tmp_path, content())
    made = content(14)
    made["categories"][0]["keypoints"] = list(OTHER.keypoints)
    made["annotations"][2]["area"] = 300.0  # COCO's rules want one
    for part in ("train", "val"):
        (root / f"labels_{part}.json").write_text(json.dumps(made))
    monkeypatch.setattr(folders, "FORMATS", (Other, *folders.FORMATS))
    monkeypatch.setitem(skeletons.SKELETONS, "other14", OTHER)  # pyright: ignore[reportArgumentType]
    return root


def job_on(root: Path, **variant: object) -> Job:
    job = small_job(data=dataset_fingerprint(root), epochs=1, epoch_images=0, batch=2, eval_images=0, augment="light")
    return replace(job, variant=small_variant(**variant))


@pytest.mark.slow
def test_a_new_format_is_one_entry(other: Path, tmp_path: Path) -> None:
    assert format_of(other) is Other
    data = open_dataset(other, "train")
    assert isinstance(data, Other) and len(data) == 2 and data[0].skeleton == OTHER
    job = job_on(other, num_keypoints=14, keypoint_set="other14")
    source = open_source(job, 0, tmp_path, other)
    assert source.skeleton == OTHER and source.evaluation == "coco"
    result = run(job, Machine(), tmp_path / "home", other)
    assert 0 <= result.metrics["AP"] <= 1


def test_key_points_are_told_apart_by_name_not_by_count(other: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"14 key points .other14., the variant 14 .crowdpose.: .*keypoint_set=other14"):
        open_source(job_on(other, num_keypoints=14), 0, tmp_path, other)


def test_the_loss_takes_the_constants_of_the_key_point_set(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variant = small_variant(num_keypoints=14, keypoint_set="other14")
    seen: list[torch.Tensor] = []
    assign = type(variant.assigner).assign

    def spy(self: object, dense: object, targets: object, sigmas: torch.Tensor) -> object:
        seen.append(sigmas)
        return assign(self, dense, targets, sigmas)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(type(variant.assigner), "assign", spy)
    batch = next(iter(open_source(job_on(other, num_keypoints=14, keypoint_set="other14"), 0, other, other).train(0)))
    network = Network(variant)
    losses(network, network(batch.images), batch.targets, 0)
    torch.testing.assert_close(seen[0], torch.tensor(OTHER.sigmas))


def test_persons_are_drawn_and_mirrored_with_their_own_key_points(other: Path) -> None:
    from workbench.data.transforms.geometry import mirrored

    sample = open_dataset(other, "train")[0]
    turned = mirrored(sample)
    assert np.array_equal(turned.persons.visible, sample.persons.visible[:, list(OTHER.flip)])
    plain = replace(sample, skeleton=CROWDPOSE)
    assert (draw_sample(sample) != draw_sample(plain)).any()


def test_a_released_key_point_set_keeps_the_keys_of_old(other: Path) -> None:
    for count, name in ((17, "coco"), (14, "crowdpose")):
        plain = small_variant(num_keypoints=count)
        assert small_variant(num_keypoints=count, keypoint_set=name) == plain and plain.skeleton.name == name
        assert small_variant(num_keypoints=count, keypoint_set=name).key == plain.key
    assert small_variant(num_keypoints=14, keypoint_set="other14").key != small_variant(num_keypoints=14).key


# ------------------------------------------------------------------------------------------------------ fingerprint


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each annotation file, each time that one is parsed."""
    seen: list[str] = []
    parsed: Callable[..., object] = annotations.parsed

    def counting(file: Path, take: Callable[[Any], Any]) -> object:
        seen.append(file.stem.rpartition("_")[2])
        return parsed(file, take)

    monkeypatch.setattr(annotations, "parsed", counting)
    return seen


def coco(root: Path) -> Path:
    root.mkdir(exist_ok=True)
    for part in ("train2017", "val2017"):
        folder(root, content(), part)
    return root


def test_each_annotation_file_is_parsed_once(tmp_path: Path, parses: list[str]) -> None:
    root = coco(tmp_path / "set")
    fingerprint = dataset_fingerprint(root)
    assert parses == [], "a fingerprint is of the files' bytes"
    job = small_job(data=fingerprint, epochs=1, epoch_images=0, batch=2, eval_images=0)
    source = open_source(job, 0, tmp_path, root)
    assert sorted(parses) == ["train2017", "val2017"]
    assert len(list(source.train(0))) == 1 and len(list(source.validate())) == 2
    open_source(job, 0, tmp_path, root)
    assert sorted(parses) == ["train2017", "val2017"] and len(source.truth["images"]) == 3
    (root / "val2017" / "8.jpg").write_bytes((root / "val2017" / "7.jpg").read_bytes())
    open_dataset(root, "val")
    assert sorted(parses) == ["train2017", "val2017", "val2017"], "other files are looked at anew"


def test_the_fingerprint_is_also_of_the_side_file(tmp_path: Path) -> None:
    root = coco(tmp_path / "set")
    before = dataset_fingerprint(root)
    (root / "keypoints.json").write_text('{"sigmas": 0.05}')
    assert dataset_fingerprint(root) != before


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_fingerprint_is_of_both_files(part: str, tmp_path: Path) -> None:
    root = coco(tmp_path / "set")
    before = dataset_fingerprint(root)
    file = root / "annotations" / f"person_keypoints_{part}2017.json"
    file.write_text(file.read_text() + " ")
    assert dataset_fingerprint(root) != before and before.startswith("coco@")
    file.unlink()
    with pytest.raises(
        Refused, match=rf"person_keypoints_{part}2017.json: there is no such file; COCO has annotations/"
    ):
        dataset_fingerprint(root)


def test_the_fingerprint_is_of_the_images_and_not_of_the_folders_name(tmp_path: Path) -> None:
    root = coco(tmp_path / "set")
    before = dataset_fingerprint(root)
    root = root.rename(tmp_path / "moved")
    assert dataset_fingerprint(root) == before
    image = root / "val2017" / "8.jpg"
    known = image.stat()
    image.write_bytes(bytes([*image.read_bytes()[:-2], 0, 0]))
    assert dataset_fingerprint(root) != before, "another time"
    os.utime(image, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert dataset_fingerprint(root) == before
    image.write_bytes(b"longer")
    os.utime(image, ns=(known.st_atime_ns, known.st_mtime_ns))
    assert dataset_fingerprint(root) != before, "another size"
    image.unlink()
    assert dataset_fingerprint(root) != before


@pytest.mark.parametrize("name", ["figures-real", "figures-easy", "figures-", "figures-easy@00000000"])
def test_a_folder_of_any_name_is_read(name: str, tmp_path: Path) -> None:
    root = coco(tmp_path / name)
    job = small_job(data=dataset_fingerprint(root), epochs=1, epoch_images=0, batch=2, eval_images=0)
    source = open_source(job, 0, tmp_path / "home", root)
    assert sorted(i for batch in source.train(0) for i in batch.image_ids) == [7, 9]
    with pytest.raises(Refused, match="no folder was given; add --data FOLDER"):
        open_source(job, 0, tmp_path / "home")


def test_images_of_both_parts_are_told(tmp_path: Path) -> None:
    """What is judged on images that it was trained on says nothing."""
    folder(tmp_path, content())
    (tmp_path / "val2017").symlink_to("train2017")
    written = json.dumps(content())
    (tmp_path / "annotations/person_keypoints_val2017.json").write_text(written)
    with pytest.raises(Refused, match=r"images that are trained on as well: 2, first 7\.jpg, 9\.jpg"):
        checked(tmp_path)
    (tmp_path / "val2017").unlink()
    folder(tmp_path, content(), "val2017")
    assert [len(part.findings.found) for part in checked(tmp_path)] == [0, 0]
