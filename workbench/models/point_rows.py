"""Weights that belong to key points, for another set of them: each begins with what its namesake had in a file.

What a network learns for each key point stands in rows: the same number for every point, in the order of the points.
Rows of the same place but another name would be the weights of another part of the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import Tensor

from workbench.core.keypoints import Skeleton, canonical
from workbench.core.weights import Weights
from workbench.models.recognised import learnt_shapes, skeleton_in
from workbench.models.variant import Variant
from workbench.models.weight_file import WeightFile

Pairs = dict[int, int]  # places of a key point: in the network, in the file


def rows_by_name(
    file: WeightFile, given: Weights, own: Mapping[str, Tensor], variant: Variant
) -> tuple[Weights, Pairs | None]:
    """`given` with the rows of key points where the network has them, and which of its points were found by name.

    Rows of points that the file does not have are those of `own`; where it has none of them, nothing is given. As it
    is, and None, where nothing tells the names of the file's points.

    Args:
        given: of the file, published names; own: of the network, the same names.
    """
    rows = tensor_rows(variant)
    count = next((len(given[name]) // each for name, each in rows.items() if name in given and given[name].ndim), 0)
    if not count or (there := _points(file, count)) is None:
        return given, None
    found = namesakes(variant.skeleton, there)
    whole = {name: each for name, each in rows.items() if _alike(given, own, name, each * count)}
    rest = {name: value for name, value in given.items() if name not in whole}
    return rest | {name: _moved(given[name], own[name], found, each) for name, each in whole.items() if found}, found


def _alike(given: Weights, own: Mapping[str, Tensor], name: str, length: int) -> bool:
    return name in given and name in own and given[name].shape == (length, *own[name].shape[1:])


def namesakes(here: Skeleton, there: Skeleton) -> Pairs:
    """Places of the key points that two sets share, by name in any spelling."""
    places = {name: place for place, name in enumerate(canonical(there.keypoints))}
    return {k: places[name] for k, name in enumerate(canonical(here.keypoints)) if name in places}


@cache
def tensor_rows(variant: Variant) -> Mapping[str, int]:
    """Of each tensor that has rows for key points (published name) how many there are for one."""
    mine, more = learnt_shapes(variant), learnt_shapes(variant.vary(one_more_point(variant)))
    return {name: more[name][0] - shape[0] for name, shape in mine.items() if more[name] != shape}


def one_more_point(variant: Variant) -> dict[str, Any]:
    """Changes after which what has a part for each key point has another shape."""
    count = variant.num_keypoints + 1
    points = Skeleton(
        name="more",
        keypoints=tuple(f"point {k}" for k in range(count)),
        sigmas=(0.1,) * count,
        flip=tuple(range(count)),
    )
    return {"num_keypoints": count, "keypoint_set": points}


def _points(file: WeightFile, count: int) -> Skeleton | None:
    """The key points of a file; None where they are only known by their number."""
    variant = file.job.variant if file.job else file.variant
    found = skeleton_in(file, count) if variant is None else variant.skeleton
    unnamed = variant is None and not file.keypoints and found.name == "of_the_file"
    return None if unnamed or len(found) != count else found


def _moved(given: Tensor, own: Tensor, found: Pairs, each: int) -> Tensor:
    rows, made = given.unflatten(0, (-1, each)), own.clone()
    made.unflatten(0, (-1, each))[list(found)] = rows[list(found.values())].to(own.dtype)
    return made
