"""The persons of a batch as people give them, one entry for each image, packed into the tensors that losses take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from workbench.core.errors import Refused
from workbench.models.variant import Variant
from workbench.tensors import Targets

PersonsOfImage = Mapping[str, Any] | object
_SHAPES: dict[str, tuple[int | str, ...]] = {"boxes": (4,), "keypoints": ("K", 2), "visible": ("K",), "areas": ()}


def pack_targets(targets: Sequence[PersonsOfImage], images: Tensor, variant: Variant) -> Targets:
    """The persons of all images, padded.

    Raises:
        Refused: a field is missing or has another shape, or a value is not finite.
    """
    if isinstance(targets, Mapping | Tensor) or len(targets) != len(images):
        given = type(targets).__name__ if isinstance(targets, Mapping | Tensor) else f"{len(targets)} entries"
        raise Refused(f"targets: {given} given; expected a list with one entry for each of the {len(images)} images")
    rows = [_row(target, i, images.device, variant) for i, target in enumerate(targets)]
    columns = {name: pad_sequence([row[name] for row in rows], batch_first=True) for name in rows[0]}
    if not columns["boxes"].shape[1]:  # nobody in any image: one row of padding keeps the shapes
        columns = {name: value.new_zeros(len(images), 1, *value.shape[2:]) for name, value in columns.items()}
    counts = torch.tensor([len(row["boxes"]) for row in rows], device=images.device)
    width = columns["boxes"].shape[1]
    return Targets(
        boxes=columns["boxes"],
        keypoints=columns["keypoints"],
        visible=(columns["visible"] > 0).float(),
        areas=columns["areas"],
        labels=columns["labels"].long(),
        keypoint_weights=torch.ones_like(columns["visible"]),
        present=torch.arange(width, device=images.device) < counts[:, None],
    )


def _row(target: PersonsOfImage, index: int, device: torch.device, variant: Variant) -> dict[str, Tensor]:
    given = target if isinstance(target, Mapping) else {n: getattr(target, n, None) for n in (*_SHAPES, "labels")}
    missing = [name for name in _SHAPES if given.get(name) is None]
    if missing:
        raise Refused(f"targets[{index}]: no {', '.join(missing)}; expected {', '.join(_SHAPES)}")
    if variant.num_classes > 1 and given.get("labels") is None:
        raise Refused(f"targets[{index}]: no labels, and there are {variant.num_classes} classes; give labels (G,)")
    found = {name: torch.as_tensor(given[name], dtype=torch.float32, device=device) for name in _SHAPES}
    persons = len(found["boxes"]) if found["boxes"].ndim else 0
    labels = given.get("labels")
    found["labels"] = torch.zeros(persons, device=device) if labels is None else torch.as_tensor(labels, device=device)
    for name, value in found.items():
        shape = (persons, *(variant.num_keypoints if side == "K" else side for side in _SHAPES.get(name, ())))
        if tuple(value.shape) != shape:
            raise Refused(f"targets[{index}].{name}: shape {tuple(value.shape)}; expected {shape}")
        if not value.isfinite().all():
            raise Refused(f"targets[{index}].{name}: holds NaN or infinity; give numbers, 0 for what is not labelled")
    if not set(found["labels"].tolist()) <= set(range(variant.num_classes)):
        raise Refused(f"targets[{index}].labels: {found['labels'].tolist()}; expected 0..{variant.num_classes - 1}")
    return found
