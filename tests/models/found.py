"""What the catalogue finds, and small data for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch

from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.models import catalog, zoo
from workbench.models.network import Network
from workbench.slots import Coords, Loss
from workbench.tensors import Targets

FOUND = catalog.discover()
K = 17  # key points


def every(slot: str) -> pytest.MarkDecorator:
    """For every component of the slot."""
    return pytest.mark.parametrize("cls", FOUND[slot].values(), ids=FOUND[slot])


def some_persons(people: int) -> Targets:
    """Two images of 64 pixels; the second has one person less, as padding shows."""
    corner = torch.rand(2, people, 1, 2) * 20
    size = 24 + torch.rand(2, people, 1, 2) * 16
    present = torch.ones(2, people, dtype=torch.bool)
    present[1, :1] = False
    return Targets(
        boxes=torch.cat((corner, corner + size), -1)[:, :, 0],
        keypoints=corner + size * torch.rand(2, people, K, 2),
        visible=torch.ones(2, people, K),
        areas=size.prod(-1)[..., 0],
        labels=torch.zeros(2, people, dtype=torch.int64),
        keypoint_weights=torch.ones(2, people, K),
        present=present,
    )


def network_for(loss: Loss) -> Network:
    """The small network with this loss alone, on a coordinate stage that offers what it needs."""
    small = zoo.nano()
    stages = [small.coords, *(cls() for cls in FOUND["coords"].values())]
    coords = next(s for s in stages if isinstance(s, Coords) and loss.needs | {"teacher"} <= s.offers)
    return Network(small.vary({"losses": (loss,), "coords": coords}), seed=0)


def by_slot(*slots: str) -> pytest.MarkDecorator:
    """The same for several slots, with the name of the slot."""
    cases = [pytest.param(slot, cls, id=cls.__name__) for slot in slots for cls in FOUND[slot].values()]
    return pytest.mark.parametrize(("slot", "cls"), cases)


def edges(spec: Spec) -> Iterator[Spec]:
    """The spec with each of its numbers at -1 and 0, as far as that is not refused."""
    for field in dataclasses.fields(spec):
        held = getattr(spec, field.name)
        for value in (-1, 0):
            if isinstance(held, tuple) and held and all(isinstance(v, int | float) for v in held):
                changes = [(*held[:i], value, *held[i + 1 :]) for i in range(len(held))]
            else:
                changes = [value] if isinstance(held, int | float) and not isinstance(held, bool) else []
            for change in changes:
                try:
                    yield dataclasses.replace(spec, **{field.name: change})
                except Refused:
                    continue
