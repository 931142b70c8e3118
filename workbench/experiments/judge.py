"""What a trained network or a file of results is worth on annotated images: AP by the rules of its data, and errors.

finder = open_finder("rtmo-s.pth")
found = judge_network(finder, judged_on(finder, Path("../coco"), home))
found = judge_results(Path("predictions.json"), Path("annotations.json"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.data.datasets.annotations import EvaluationRules
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.images import Unreadable
from workbench.data.datasets.result_rows import read_results
from workbench.data.datasets.truth_file import read_truth
from workbench.data.find import BATCH, found_in
from workbench.evaluation.coco_ap import AreaFrom, evaluate_coco, evaluate_crowdpose
from workbench.evaluation.keypoint_errors import KeypointError, keypoint_errors
from workbench.evaluation.metrics import METRICS, UNDEFINED
from workbench.experiments.sizes import Judging, judged_images
from workbench.inference.finder import PersonFinder
from workbench.tensors import Detections
from workbench.training.validate import truth_of_images

_RULES: Mapping[EvaluationRules, str] = {"coco": "COCO's rules", "crowdpose": "CrowdPose's rules"}
_SPLITS = {"AP_E": ", easy images", "AP_M": ", medium images", "AP_H": ", hard images"}


@dataclass(frozen=True)
class Judgement:
    """Numbers of one network or file.

    Fields:
        subject, data: what is judged, and by what.
        values: by metric, in 0..1; -1 where no person counts, nan where there is nothing to average.
        keypoints: the error of each key point.
        images, persons: that were looked at, and found in them.
        unreadable: images that were left out, with the reason.
        notes: what was put right, or taken in another way than it stands there.
        precision: that the network ran in; "" of a file.
    """

    subject: str
    data: str
    evaluation: EvaluationRules
    images: int
    persons: int
    values: Mapping[str, float]
    keypoints: Sequence[KeypointError]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    precision: str = ""

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON; null for nan."""
        points = [{name: _plain(value) for name, value in asdict(one).items()} for one in self.keypoints]
        return {
            "subject": self.subject,
            "data": self.data,
            "evaluation": self.evaluation,
            "precision": self.precision or None,
            "images": self.images,
            "persons": self.persons,
            "values": {name: _plain(value) for name, value in self.values.items()},
            "keypoints": points,
            "unreadable": [{"name": name, "reason": reason} for name, reason in self.unreadable.items()],
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[str]:
        """The same as a table in words."""
        computed = f", in {self.precision}" * bool(self.precision)
        yield f"{self.subject} on {self.images:,} images of {self.data}, by {_RULES[self.evaluation]}{computed}"
        yield ""
        splits = _SPLITS if self.evaluation == "crowdpose" else {}
        for name, value in self.values.items():
            shown, text = METRICS[name].shown, "-" if value == UNDEFINED else METRICS[name].text(value) or "-"
            yield f"{name:6}{text:>8} {shown.unit}{splits.get(name, '')}"
        wide = max(map(len, ("key point", *(one.name for one in self.keypoints))))
        yield ""
        yield f"{'key point':{wide}}{'found':>8}{'error, root of area':>22}{'median, px':>13}"
        for one in self.keypoints:
            nme, pixels = ("-" if math.isnan(value) else f"{value:.3f}" for value in (one.nme, one.pixels))
            yield f"{one.name:{wide}}{one.points:>8,}{nme:>22}{pixels:>13}"


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class JudgedOn:
    """Images that a network is judged on.

    Fields:
        ids, reads: of each image: its number in the truth, and what reads it.
        truth: of all of them, in COCO's form.
    """

    name: str
    ids: Sequence[int]
    reads: Sequence[Callable[[], NDArray[np.uint8]]]
    truth: dict[str, Any]
    skeleton: Skeleton
    evaluation: EvaluationRules


def judged_on(finder: PersonFinder, data: Path | None, home: Path) -> JudgedOn:
    """The evaluation part of a data set; without one, the embedded scenes that the network was judged on.

    Args:
        home: keeps rendered scenes.

    Raises:
        Refused: no data, or data of other key points or classes.
    """
    found = _of_folder(data) if data is not None else _of_scenes(finder, home)
    if found.skeleton.keypoints != finder.skeleton.keypoints:
        mine, theirs = finder.skeleton, found.skeleton
        raise Refused(
            f"{found.name} has {len(theirs)} key points ({theirs.name}), {finder.source} finds {len(mine)} "
            f"({mine.name}); give data with these"
        )
    if (classes := len(found.truth["categories"])) != len(finder.classes):
        raise Refused(
            f"{found.name} has {classes} classes, {finder.source} tells {len(finder.classes)} apart; give data with as "
            "many"
        )
    return found


def _of_folder(data: Path) -> JudgedOn:
    val = open_dataset(data, "val")
    reads = [partial(val.image, i) for i in range(len(val))]
    return JudgedOn(str(data), val.image_ids, reads, val.coco(), val.skeleton, val.evaluation)


def _of_scenes(finder: PersonFinder, home: Path) -> JudgedOn:
    if finder.trained is None:
        raise Refused(f"{finder.source}: nothing says what it was judged on; add --data FOLDER")
    judged = judged_images(finder.trained, Judging(home))

    def read(index: int) -> NDArray[np.uint8]:
        return judged.samples[index].image

    reads = [partial(read, i) for i in range(len(judged.samples))]
    ids = [image["id"] for image in judged.truth["images"]]
    return JudgedOn(judged.protocol.data, ids, reads, judged.truth, judged.skeleton, judged.evaluation)


def judge_network(
    finder: PersonFinder, images: JudgedOn, batch: int = BATCH, tick: Callable[[str], None] = lambda _: None
) -> Judgement:
    """A network on images of `judged_on`; those that can not be read are left out of the truth.

    Args:
        tick: is called after each image.
    """
    found, unreadable = list[Detections](), dict[str, str]()
    for image, seen in zip(images.ids, found_in(images.reads, finder.find, finder.size, batch), strict=True):
        if isinstance(seen, Unreadable):
            unreadable[seen.file] = seen.reason
        else:
            found.append(replace(seen.found, image_id=image))
        tick(str(image))
    truth = truth_of_images(images.truth, {one.image_id for one in found})
    told = _judged(finder.source, images.name, images.evaluation, truth, found, images.skeleton)
    return replace(told, unreadable=unreadable, precision=finder.precision)


def judge_results(results: Path, truth: Path) -> Judgement:
    """A file of results by a file of annotations.

    Raises:
        Refused: one of them can not be read, or they do not fit each other.
    """
    known = read_truth(truth)
    found = read_results(results, known)
    area: AreaFrom = "box" if found.boxes else "keypoints"
    subject, data = str(results), str(truth)
    told = _judged(subject, data, known.evaluation, known.truth, found.detections, known.skeleton, area)
    return replace(told, notes=(*known.notes, *found.notes))


def _judged(
    subject: str,
    data: str,
    evaluation: EvaluationRules,
    truth: dict[str, Any],
    found: Sequence[Detections],
    skeleton: Skeleton,
    area_from: AreaFrom = "box",
) -> Judgement:
    crowdpose = evaluation == "crowdpose"
    if crowdpose:
        values = evaluate_crowdpose(truth, found, skeleton.sigmas).values
    else:
        values = evaluate_coco(truth, found, skeleton.sigmas, area_from=area_from).values
    errors = keypoint_errors(truth, found, skeleton, crowdpose=crowdpose)
    return Judgement(subject, data, evaluation, len(truth["images"]), sum(map(len, found)), values, errors)
