"""A data set written anew, as it was put right: in COCO's layout or Ultralytics' YOLO, to be read by other tools."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import cv2
import yaml

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.annotations import Annotated
from workbench.data.datasets.converted import CocoContent
from workbench.data.datasets.folder import dataset_keypoints, format_of, open_dataset
from workbench.data.datasets.images import image_header
from workbench.data.datasets.side_file import SIDE_FILE

Layout = Literal["coco", "yolo"]
LAYOUTS: tuple[Layout, ...] = ("coco", "yolo")


def convert_dataset(folder: Path, out: Path, layout: Layout = "coco", val_share: float = 0.0) -> dict[str, int]:
    """Writes a data set into another folder; images are linked where that is possible, else copied.

    Args:
        val_share: of the training images, that become those to judge on, by their names; for data sets that have none.

    Returns:
        the number of images of each part.

    Raises:
        Refused: the data set is not fit, the folder is not empty, or the share leaves one part without an image.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise Refused(f"{out} is not empty; give a folder that is not there yet")
    train = _alone(folder) if val_share else open_dataset(folder, "train")
    truth = _of_files(train, train.coco(covered=True))
    parts = {"train": (train, truth)}
    if val_share:
        judged = _chosen([image["file_name"] for image in truth["images"]], val_share)
        parts = {"train": (train, _only(truth, judged, False)), "val": (train, _only(truth, judged, True))}
    else:
        val = open_dataset(folder, "val")
        parts["val"] = (val, val.coco(covered=True))
    for part, (dataset, content) in parts.items():
        (_write_coco if layout == "coco" else _write_yolo)(out, part, dataset, _plain_ids(content))
    if layout == "yolo":
        _write_yaml(out, train)
    _write_side_file(out, train.skeleton)
    return {part: len(content["images"]) for part, (_, content) in parts.items()}


def _of_files(train: Annotated, truth: CocoContent) -> CocoContent:
    """Without images that nobody is in and that are not there: nothing is trained on them, so no check minds."""
    used = set(train.image_ids)
    there = [one for one in truth["images"] if one["id"] in used or (train.images / one["file_name"]).is_file()]
    return {**truth, "images": there}


def _alone(folder: Path) -> Annotated:
    found = format_of(folder)
    if (file := found.annotation_file(folder, found.splits(folder)[1])).is_file():
        raise Refused(f"{folder} has a part to be judged on ({file}); leave out --val-share, or it would be lost")
    dataset = found(folder, found.splits(folder)[0])
    dataset.check()
    return dataset


def _chosen(names: Iterable[str], share: float) -> set[str]:
    """The same ones whatever else there is: by a digest of the name."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    count = round(share * len(ordered))
    if not 0 < count < len(ordered):
        raise Refused(f"a share of {share} of {len(ordered)} images leaves one part empty; give another share")
    return set(ordered[:count])


def _only(truth: CocoContent, names: set[str], inside: bool) -> CocoContent:
    images = [image for image in truth["images"] if (image["file_name"] in names) == inside]
    ids = {image["id"] for image in images}
    return {**truth, "images": images, "annotations": [one for one in truth["annotations"] if one["image_id"] in ids]}


def _plain_ids(truth: CocoContent) -> CocoContent:
    """Categories 1, 2, 3, ... in the order of the labels, the same in all files."""
    number = {one["id"]: at for at, one in enumerate(truth["categories"], start=1)}
    return {
        **truth,
        "categories": [{**one, "id": number[one["id"]]} for one in truth["categories"]],
        "annotations": [{**one, "category_id": number[one["category_id"]]} for one in truth["annotations"]],
    }


def _write_coco(out: Path, part: str, dataset: Annotated, content: CocoContent) -> None:
    file = out / "annotations" / f"person_keypoints_{part}2017.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_images(out / f"{part}2017", dataset, content)
    with write_whole(file) as whole:
        whole.write_text(json.dumps(content, allow_nan=False), "utf-8")


def _write_yolo(out: Path, part: str, dataset: Annotated, content: CocoContent) -> None:
    _write_images(out / "images" / part, dataset, content)
    lines: dict[int, list[str]] = {image["id"]: [] for image in content["images"]}
    sizes = {image["id"]: (image["width"], image["height"]) for image in content["images"]}
    for person in content["annotations"]:
        lines[person["image_id"]].append(_line(person, *sizes[person["image_id"]]))
    for image in content["images"]:
        file = (out / "labels" / part / image["file_name"]).with_suffix(".txt")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines[image["id"]]), "utf-8")


def _line(person: Mapping[str, Any], width: int, height: int) -> str:
    x, y, w, h = person["bbox"]
    numbers = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
    flat = person["keypoints"]
    for at in range(0, len(flat), 3):
        seen = flat[at + 2] > 0 and not person["iscrowd"]
        numbers += [flat[at] / width * seen, flat[at + 1] / height * seen, flat[at + 2] * seen]
    return " ".join([str(person["category_id"] - 1), *(f"{number:.6f}".rstrip("0").rstrip(".") for number in numbers)])


def _write_yaml(out: Path, dataset: Annotated) -> None:
    skeleton = dataset.skeleton
    said = {
        "train": "images/train",
        "val": "images/val",
        "kpt_shape": [len(skeleton), 3],
        "flip_idx": list(skeleton.flip),
        "names": dict(enumerate(dataset.classes.names)),
        "kpt_names": {0: list(skeleton.keypoints)},
    }
    (out / "data.yaml").write_text(yaml.safe_dump(said, sort_keys=False), "utf-8")


def _write_side_file(out: Path, skeleton: Skeleton) -> None:
    """What annotation files do not say of key points: constants and pairs that do not follow from their names."""
    with suppress(Refused):  # their names do not tell the pairs
        found = dataset_keypoints(out).skeleton
        if (found.sigmas, found.flip) == (skeleton.sigmas, skeleton.flip):
            return
    names = skeleton.keypoints
    pairs = [[names[k], names[other]] for k, other in enumerate(skeleton.flip) if k < other]
    said = {"sigmas": dict(zip(names, skeleton.sigmas, strict=True)), "pairs": pairs}
    (out / SIDE_FILE).write_text(json.dumps(said, indent=1), "utf-8")


def _write_images(folder: Path, dataset: Annotated, content: CocoContent) -> None:
    """Those that are annotated turned are written turned, without the tag: not every tool minds it."""
    for image in content["images"]:
        source, target = dataset.images / image["file_name"], folder / image["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        header = image_header(source)
        if isinstance(header, str) or header.orientation == 1:
            _link(source.resolve(), target)
        else:
            pixels = dataset.pixels(image["file_name"], image["width"], image["height"])
            cv2.imwrite(str(target), pixels, [cv2.IMWRITE_JPEG_QUALITY, 97])


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
