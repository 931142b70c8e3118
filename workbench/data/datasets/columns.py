"""Annotations with their key points in the order of a set, whatever the order in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.core.keypoints import Skeleton


def in_order(content: Mapping[str, Any], columns: Mapping[str, Sequence[int]], skeleton: Skeleton) -> Mapping[str, Any]:
    """A copy of a COCO file's content with ordered columns; the content itself where they are in order already.

    Key points that are no list of K times three are left as they are, for whoever checks them.

    Args:
        columns: of each category, by its id as text: where each key point of `skeleton` stands in the file.
    """
    moved = {name: list(order) for name, order in columns.items() if list(order) != list(range(len(order)))}
    if not moved:
        return content
    return {
        **content,
        "categories": [_category(one, moved, skeleton) for one in content["categories"]],
        "annotations": [_annotation(one, moved) for one in content["annotations"]],
    }


def _annotation(one: Any, moved: Mapping[str, list[int]]) -> Any:
    order = moved.get(str(one.get("category_id"))) if isinstance(one, Mapping) else None
    flat = one.get("keypoints") if order else None
    if not order or not isinstance(flat, list) or len(flat) != 3 * len(order):
        return one
    return {**one, "keypoints": [number for k in order for number in flat[3 * k : 3 * k + 3]]}


def _category(one: Any, moved: Mapping[str, list[int]], skeleton: Skeleton) -> Any:
    if not isinstance(one, Mapping) or str(one.get("id")) not in moved:
        return one
    limbs = [[a + 1, b + 1] for a, b in skeleton.limbs]
    return {**one, "keypoints": list(skeleton.keypoints), "skeleton": limbs}


def unnamed_skeleton(content: Mapping[str, Any]) -> Skeleton:
    """Stands in for the set of a file that does not say which it has: as many as the first annotation has."""
    people = content.get("annotations", ())
    flat = next((one.get("keypoints") for one in people if isinstance(one, Mapping)), None)
    count = len(flat) // 3 if isinstance(flat, list) else 0
    names = tuple(map(str, range(1, count + 1)))
    return Skeleton(name="unknown", keypoints=names, sigmas=(0.1,) * count, flip=tuple(range(count)))
