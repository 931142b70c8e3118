"""What the rows of a study find, side by side on the same images: what a gallery shows, see `gallery_page`.

found = gallery(run, count=60)
Path("gallery.html").write_text(gallery_page(found))
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.data.crowding import crowd_index
from workbench.evaluation.records import MatchRecords
from workbench.experiments.plan import StudyRun
from workbench.experiments.two_runs import image_oks
from workbench.report.examples import Panel, disagreement, found_on, over_range, panel_of, places
from workbench.report.record import recorded_jobs
from workbench.tensors import Array, Detections, Sample

SURE = 0.3  # persons found with a lower score are not shown
PICTURE_SIDE = 640  # pixels of the longer side of a picture, at most
QUALITY = 85  # of a JPEG


@dataclass(frozen=True)
class ShownPerson:
    """One person in pixels of its image: key points (K, 2), which of them count (K,), and the score of a found one."""

    keypoints: Array
    there: NDArray[np.bool_]
    score: float | None = None


@dataclass(frozen=True)
class ShownImage:
    """One image with what is there and what each row finds.

    Fields:
        number: of the image; picture: a data URI; size: height and width in pixels.
        persons: how many are labelled; height: of their boxes in pixels, on average; crowding: CrowdPose's crowd index.
        truth: the labelled persons; found, quality: by row, the persons and the mean OKS of the labelled ones.
    """

    number: int
    picture: str
    size: tuple[int, int]
    persons: int
    height: float
    crowding: float
    truth: Sequence[ShownPerson]
    found: Mapping[str, Sequence[ShownPerson]]
    quality: Mapping[str, float]

    @property
    def apart(self) -> float:
        """How far the rows' OKS lie apart."""
        return max(self.quality.values()) - min(self.quality.values())


@dataclass(frozen=True)
class Gallery:
    """The images of a study, one run per row: all of one seed, and of one trunk where there are trunks."""

    question: str
    name: str
    seed: int
    trunk: str
    rows: Sequence[str]
    skeleton: Skeleton
    images: Sequence[ShownImage]


def gallery(run: StudyRun, count: int = 60) -> Gallery:
    """What complete runs of a study find on `count` images: on those where rows disagree most, and on others.

    Raises:
        Refused: fewer than two rows have a complete run of one seed here.
    """
    here = [(one, run.folder(one.job.key)) for one in recorded_jobs(run) if run.complete(one.job.key)]
    chosen = panel_of(here, run)
    if chosen is None:
        name, protocol = run.study.name, run.protocol.name
        raise Refused(
            f"gallery {name}, {protocol}: fewer than two rows are complete in {run.home}, and one alone has nothing "
            f"beside it; run it first: workbench study {name} --protocol {protocol}"
        )
    records = {label: MatchRecords.load(folder / "records.npz") for label, folder in chosen.folders.items()}
    images = list(dict.fromkeys([*disagreement(records)[: count // 2], *over_range(records, count)]))[:count]
    return Gallery(
        question=run.study.question,
        name=f"{run.study.name}, {run.protocol.name}",
        seed=chosen.seed,
        trunk=chosen.trunk,
        rows=list(chosen.folders),
        skeleton=chosen.judged.skeleton,
        images=_shown(chosen, records, images),
    )


def _shown(chosen: Panel, records: Mapping[str, MatchRecords], images: Sequence[int]) -> list[ShownImage]:
    found = {label: found_on(folder, chosen.judged, images) for label, folder in chosen.folders.items()}
    shown: list[ShownImage] = []
    for image, place in zip(images, places(chosen.judged, images), strict=True):
        sample = chosen.judged.samples[place]
        persons = sample.persons
        seen = {label: _found(detections[image]) for label, detections in found.items()}
        shown.append(
            ShownImage(
                number=image,
                picture=_picture(sample),
                size=(sample.image.shape[0], sample.image.shape[1]),
                persons=len(persons),
                height=float((persons.boxes[:, 3] - persons.boxes[:, 1]).mean()),
                crowding=crowd_index(persons.boxes, persons.keypoints, persons.visible),
                truth=[ShownPerson(k, v > 0) for k, v in zip(persons.keypoints, persons.visible, strict=True)],
                found=seen,
                quality={label: _oks(record, image) for label, record in records.items()},
            )
        )
    return shown


def _found(detections: Detections) -> list[ShownPerson]:
    rows = zip(detections.keypoints, detections.keypoint_scores, detections.scores, strict=True)
    return [ShownPerson(points, seen > 0.5, float(score)) for points, seen, score in rows if score >= SURE]


def _oks(record: MatchRecords, image: int) -> float:
    return float(image_oks(record)[np.searchsorted(record.image_ids, image)])


def _picture(sample: Sample) -> str:
    factor = min(1.0, PICTURE_SIDE / max(sample.image.shape[:2]))
    small = cv2.resize(sample.image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return f"data:image/jpeg;base64,{b64encode(data.tobytes()).decode()}"
