"""The persons of a file as one table, from which is trained, judged and checked: each value is put right once, here.

What would spoil a number is put right and counted where its right value is plain, and is a fault where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.core.keypoints import Skeleton
from workbench.data.datasets.classes import NO_CLASS, category_key
from workbench.data.datasets.findings import Findings
from workbench.data.datasets.masks import Segmentation, fits
from workbench.data.datasets.pictures import LARGEST_ID, ImageEntry, identity
from workbench.data.datasets.plausible import Looks, check_places, check_twice, outside_image
from workbench.data.datasets.rows import Rows
from workbench.tensors import Flags, Floats

BEYOND = 1.0  # pixels that a box may reach over the edge: rounding, not a mistake
INSIDE = 0.75  # share of a box that lies in its image, below which it is not only a little over the edge
AREA_OF_BOX = 0.53  # where the annotation has no area
AREA_MOST, AREA_LEAST = 1.5, 1e-3  # of the box: no person covers more or less of it
MOST_PERSONS = 2_000  # annotations of an image: a batch is as large as its fullest image, and 100,000 take 10 s each
_UNKNOWN = -2  # label of a category that is not there


@dataclass(slots=True)
class Table:
    """All persons of a file, one row each, in its order, and the images that point into them. A persons, K key points.

    Fields:
        order: rows by image; an `ImageEntry` has a part of it.
        ids: of the annotations; image: the place of each row's image.
        boxes: (A, 4) x, y, width, height; keypoints: (A, K, 3) x, y, visibility, float32 where that holds them exactly.
        target: (A,) whether key points are learnt from it and count when judged.
        ignored: what persons cover that are no target, by row; where none is given, it is their box.
    """

    pictures: list[ImageEntry]
    order: NDArray[np.int64]
    ids: NDArray[np.int64]
    image: NDArray[np.int64]
    boxes: Floats
    keypoints: NDArray[np.floating]
    areas: Floats
    labels: NDArray[np.int64]
    crowd: Flags
    target: Flags
    ignored: dict[int, Segmentation]

    def rows(self, picture: ImageEntry) -> NDArray[np.int64]:
        """Of the persons in an image."""
        return self.order[picture.first : picture.last]

    def corners(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Boxes (N, 4) as x1, y1, x2, y2, clipped to the last pixel of their image."""
        low, side = self.boxes[rows, :2], self.boxes[rows, 2:]
        sizes = np.array([(self.pictures[i].width, self.pictures[i].height) for i in self.image[rows]])
        return np.clip(np.hstack([low, low + side]), 0, np.tile(sizes.reshape(-1, 2) - 1, 2)).astype(np.float32)


def table_of(
    rows: Rows,
    pictures: list[ImageEntry],
    places: Mapping[Any, int],
    labels: Mapping[str, int],
    columns: Mapping[str, Sequence[int]],
    skeleton: Skeleton,
    findings: Findings,
) -> Table:
    """The rows that can be used; each of the others is found fault with.

    Args:
        places: of the images, by `identity`; labels, columns: of the categories, by `category_key`.
    """
    maker = _Maker(rows, skeleton, findings)
    image = maker.images(places)
    label, keys = maker.classes(labels, columns)
    kept = np.flatnonzero(maker.whole & (label >= 0))
    points = maker.points(keys, columns)

    def whole(values: NDArray[Any]) -> NDArray[Any]:
        """Of the rows that are kept; mostly all, and then no copy of what nobody else needs."""
        return values if len(kept) == len(rows) else values[kept]

    image, label = whole(image), whole(label)
    made = _Persons(
        names=whole(maker.names),
        boxes=whole(rows.boxes.values).astype(np.float64, copy=False),
        sizes=np.array([[p.width for p in pictures], [p.height for p in pictures]], np.float64).T[image],
        keypoints=whole(points),
        areas=whole(rows.areas.values)[:, 0],
        crowd=whole(rows.crowd.values)[:, 0] > 0,
        image=image,
        counted=whole(rows.counted.values)[:, 0],
    )
    target = made.put_right(findings)
    at = np.full(len(rows), -1)
    at[kept] = np.arange(len(kept))
    segments = {int(at[row]): given for row, given in rows.segmentations.items() if at[row] >= 0}
    found = Table(
        pictures, _by_image(image, pictures, findings), _numbered([rows.ids[row] for row in kept], findings), image,
        made.boxes, made.keypoints, made.areas, label, made.crowd, target, {},
    )  # fmt: skip
    found.ignored = _ignored(found, segments, made.names, findings)
    return found


def _by_image(image: NDArray[np.int64], pictures: Sequence[ImageEntry], findings: Findings) -> NDArray[np.int64]:
    """(A,): the rows in the order of their images (A,), each of which is told where its rows are."""
    order = np.argsort(image, kind="stable")
    bounds = np.searchsorted(image[order], np.arange(len(pictures) + 1)).tolist()
    for place, picture in enumerate(pictures):
        picture.first, picture.last = bounds[place], bounds[place + 1]
        if picture.last - picture.first > MOST_PERSONS:
            persons = f"{picture.file} ({picture.last - picture.first:,})"
            findings.add(f"images with more than {MOST_PERSONS:,} annotations", persons)
    return order


class _Maker:
    """What can be told of each row alone."""

    def __init__(self, rows: Rows, skeleton: Skeleton, findings: Findings) -> None:
        self.rows, self.findings = rows, findings
        self.count = rows.keypoints.values.shape[1]  # K times 3
        self.names = np.array([*rows.told, None], object)[:-1]  # which messages write out: words for all take 15 MB
        self.whole, self.bare = np.ones(len(rows), bool), np.zeros(len(rows), bool)
        if rows.strangers:
            findings.add(f"annotations that are no objects: {rows.strangers:,}")
        given, boxes, areas = rows.keypoints, rows.boxes, rows.areas
        self._fault("annotations without a bbox of four numbers", boxes.missing | boxes.wrong | (boxes.counts != 4))
        self._fault("annotations with key points that are no numbers", given.wrong)
        self._fault("annotations with an area that is no number", areas.wrong)
        self._fault("annotations with an iscrowd that is no number", rows.crowd.wrong)
        other = ~given.missing & ~given.wrong & (given.counts != self.count)
        self._fault(f"unknown key-point count, {self.count} numbers expected ({skeleton.name}), annotations", other)
        self._fault("annotations with NaN or infinite numbers", self._endless())
        states = given.values[:, 2::3]
        odd = ~given.missing & ~np.isin(states, (0, 1, 2)).all(1)
        self._fault("key-point visibility other than 0, 1, 2, annotations", odd)
        negative = np.asarray((boxes.values[:, 2:] < 0).any(1))
        self._fault("boxes with a negative width or height, annotations", negative)
        quoted = boxes.quoted | given.quoted | areas.quoted | rows.crowd.quoted | rows.counted.quoted
        self._note("numbers in quotes, read as numbers, annotations", quoted)

    def _fault(self, kind: str, who: Flags) -> None:
        if (here := who & self.whole).any():
            self.findings.add(kind, *self.names[here])
            self.whole &= ~who

    def _note(self, kind: str, who: Flags) -> None:
        if (here := who & self.whole).any():
            self.findings.note(kind, *self.names[here])

    def _endless(self) -> Flags:
        found = np.zeros(len(self.rows), bool)
        for column in (self.rows.boxes, self.rows.keypoints, self.rows.areas):
            found |= ~np.isfinite(column.values).all(1) & ~column.missing
        return found

    def images(self, places: Mapping[Any, int]) -> NDArray[np.int64]:
        """The place of each row's image, -1 without one."""
        found = np.array([places.get(identity(one), -1) for one in self.rows.images], np.int64)
        quoted = np.array([isinstance(one, str) for one in self.rows.images], bool) & (found >= 0)
        self._fault("annotations of no image of the file", found < 0)
        self._note("image_id in quotes, annotations", quoted)
        return found

    def classes(self, labels: Mapping[str, int], columns: Mapping[str, Sequence[int]]) -> tuple[Any, list[str]]:
        """The label of each row, -1 of what is left out, and its category's key."""
        keys = [category_key(one) for one in self.rows.categories]
        found = np.array([labels.get(key, _UNKNOWN) for key in keys], np.int64)
        self._fault("annotations of no category of the file", found == _UNKNOWN)
        silent = np.array([key not in columns for key in keys], bool) if columns else np.zeros(len(keys), bool)
        self.bare = bare = silent & self.rows.keypoints.missing
        self._fault("annotations of a category that names no key points", silent & ~bare)
        self._note("annotations of a category that names no key points, and without any: left out", bare)
        return np.where(bare, NO_CLASS, found), keys

    def points(self, keys: Sequence[str], columns: Mapping[str, Sequence[int]]) -> NDArray[np.floating]:
        """(A, K, 3) in the order of the set; not labelled where none are given."""
        given = self.rows.keypoints
        self._note("persons without key points, taken as regions to ignore, annotations", given.missing & ~self.bare)
        given.values[given.missing] = 0  # in place: of COCO's 50 MB one copy is enough
        points = given.values.reshape(len(self.rows), self.count // 3, 3)
        for key, order in columns.items():
            if list(order) != list(range(len(order))):
                mine = np.array([one == key for one in keys], bool)
                points[mine] = points[mine][:, list(order)]
        return points


@dataclass
class _Persons:
    """Persons that are whole, each with its image; what is wrong with their numbers is put right in place."""

    names: NDArray[np.object_]
    boxes: Floats
    sizes: Floats
    keypoints: NDArray[np.floating]
    areas: Floats
    crowd: Flags
    counted: Floats
    image: NDArray[np.int64]

    def put_right(self, findings: Findings) -> Flags:
        """(A,): who is a target."""
        given = self.boxes.copy()
        outside = self._boxes(findings)
        self._origin(findings)
        target = ~self.crowd & ~outside & (self.keypoints[..., 2] > 0).any(1)
        flat = target & (self.boxes[:, 2:].min(1, initial=np.inf) <= 0)
        self._note("boxes without extent, taken as regions to ignore, annotations", flat, findings)
        target &= ~flat
        self._places(given, np.flatnonzero(target), findings)
        target &= (self.keypoints[..., 2] > 0).any(1)
        self._areas(target, findings)
        labelled = (self.keypoints[..., 2] > 0).sum(1)
        other = (np.nan_to_num(self.counted, nan=-1) != labelled) & ~np.isnan(self.counted) & target
        self._note("num_keypoints other than the labelled key points, counted anew, annotations", other, findings)
        return target

    def _places(self, boxes: Floats, rows: NDArray[np.int64], findings: Findings) -> None:
        """Looks at the key points of targets; those outside the image are no longer labelled."""
        with np.errstate(over="ignore"):  # infinitely far is outside as well
            points = self.keypoints[rows].astype(np.float32, copy=False)  # exact enough to look at
        seen = Looks(self.names[rows], boxes[rows], self.sizes[rows], points, points[..., 2] > 0)
        check_places(seen, findings)
        check_twice(seen, self.image[rows], findings)
        over = outside_image(seen, findings)
        lost = np.zeros(len(boxes), bool)
        lost[rows[over.any(1)]] = True
        self._note("labelled key points outside the image, taken as not labelled, annotations", lost, findings)
        row, column = np.nonzero(over)
        self.keypoints[rows[row], column, 2] = 0

    def _note(self, kind: str, who: Flags, findings: Findings) -> None:
        if who.any():
            findings.note(kind, *self.names[who])

    def _boxes(self, findings: Findings) -> Flags:
        """Boxes over the edge are clipped; those by a rounding stay as they are, for the truth.

        Returns:
            (A,): boxes that are more than a little over it.
        """
        low, high = self.boxes[:, :2], self.boxes[:, :2] + self.boxes[:, 2:]
        over = np.asarray(((low < -BEYOND) | (high > self.sizes + BEYOND)).any(1) & (self.boxes[:, 2:] > 0).all(1))
        rows = np.flatnonzero(over)
        inner = np.clip(low[rows], 0, self.sizes[rows]), np.clip(high[rows], 0, self.sizes[rows])
        share = (inner[1] - inner[0]).prod(1) / (high - low)[rows].prod(1)
        outside, clipped = np.zeros(len(over), bool), np.zeros(len(over), bool)
        outside[rows], clipped[rows] = share < INSIDE, ~(share < INSIDE)
        if outside.any():
            findings.add("boxes outside the image, annotations", *self.names[outside])
        self._note("boxes over the edge of the image, clipped, annotations", clipped, findings)
        self.boxes[clipped] = np.hstack([inner[0], inner[1] - inner[0]])[clipped[rows]]
        return outside

    def _origin(self, findings: Findings) -> None:
        origin = (self.keypoints[..., 2] > 0) & (self.keypoints[..., :2] == 0).all(2)
        self._note("key points labelled at 0, 0, taken as not labelled, annotations", origin.any(1), findings)
        self.keypoints[origin, 2] = 0

    def _areas(self, target: Flags, findings: Findings) -> None:
        box = self.boxes[:, 2:].prod(1)
        odd = ~((self.areas > AREA_LEAST * box) & (self.areas <= AREA_MOST * box)) | (self.areas <= 0)
        odd = np.where(target, odd, ~(self.areas > 0))
        kind = f"areas that are missing, not above 0 or not of the box, taken as {AREA_OF_BOX} of the box, annotations"
        self._note(kind, odd & target, findings)
        self.areas[odd] = np.maximum(AREA_OF_BOX * box, 1.0)[odd]


def _numbered(ids: Sequence[Any], findings: Findings) -> NDArray[np.int64]:
    """The ids of the file where they are different whole numbers, else 1, 2, 3, ...: nothing stands on them."""
    found = [one if type(one) is int and abs(one) < LARGEST_ID else None for one in ids]
    if None in found or len(set(found)) < len(found):
        seen: set[Any] = set()
        odd = [one for one, name in zip(ids, found, strict=True) if name is None or name in seen or seen.add(name)]
        findings.note("annotation ids that are missing, no whole numbers or taken: all are numbered anew", *odd)
        return np.arange(1, len(ids) + 1)
    return np.array(found, np.int64)


def _ignored(
    table: Table, segments: Mapping[int, Any], names: NDArray[np.object_], findings: Findings
) -> dict[int, Segmentation]:
    """What persons cover that are no target: their segmentation, or their box where that is of no use."""
    found: dict[int, Segmentation] = {}
    for row in np.flatnonzero(~table.target).tolist():
        picture, given = table.pictures[table.image[row]], segments.get(row)
        if given is not None and not fits(given, picture.height, picture.width):
            findings.note("segmentations that cannot be decoded, the box is taken, annotations", names[row])
            given = None
        if given is not None:
            found[row] = given
        elif table.boxes[row, 2:].min() > 0:
            x, y, w, h = table.boxes[row].tolist()
            found[row] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return found
