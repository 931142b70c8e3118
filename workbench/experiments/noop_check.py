"""The no-op check: rows that are declared to differ must differ in what is built and trained.

A row can change a field that nothing reads: the width of a loss of weight 0, the size of a part that is switched off.
Its numbers would be the noise of the base under another name. So every row is built and asked what it is. On a frozen
trunk only what is trained there counts: a loss on boxes moves nothing where the boxes are fixed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from workbench.core.errors import Refused, one_line
from workbench.core.spec import Plain
from workbench.models.criterion import losses
from workbench.models.job import Job, Start
from workbench.models.network import Network, gather
from workbench.models.trunk import freeze, probed
from workbench.models.variant import Phase, Variant
from workbench.slots import Assigner
from workbench.study import PlannedJob
from workbench.tensors import Targets
from workbench.training.optim import parameter_groups

TRUNK_SLOTS = ("backbone", "neck", "head")
SIDE = 64  # pixels of the probe image


def check_distinct(planned: Sequence[PlannedJob]) -> None:
    """Refuses rows whose difference has no effect.

    Rows of the same configuration (an A/A row: other seeds) are exempt. One job of each row and trunk is built.

    Raises:
        Refused: two rows differ in configuration and not in what is built; or, with a frozen trunk, a row changes the
            trunk. The message names both rows and the paths.
    """
    jobs: dict[str, dict[str, Job]] = {}
    for one in planned:
        # begun with what another row begins with is begun the same: the start follows from the row
        jobs.setdefault(one.trunk, {}).setdefault(one.row, one.job.vary({"seed": 0, "start": Start()}))
    for rows in jobs.values():
        if any(job.protocol.trunk for job in rows.values()):
            _check_trunk(rows)
    if jobs:
        _check_rows(next(iter(jobs.values())))  # the rows of the other trunks differ in the trunk's name alone


def _check_trunk(rows: Mapping[str, Job]) -> None:
    first, *others = rows.items()
    for label, job in others:
        for slot in TRUNK_SLOTS:
            if getattr(job.variant, slot) != getattr(first[1].variant, slot):
                paths = [p for p in different(first[1], job) if p.startswith(f"variant.{slot}")]
                raise Refused(
                    f"rows {first[0]!r} and {label!r} differ in {paths}, which a frozen trunk computes for both: "
                    "no effect here; use a protocol that trains from scratch, such as laptop"
                )


def _check_rows(rows: Mapping[str, Job]) -> None:
    seen: list[tuple[str, Job, Fingerprint]] = []
    for label, job in rows.items():
        if any(twin.key == job.key for _, twin, _ in seen):
            continue
        mark = _fingerprint_of(label, job)
        for other, twin, known in seen:
            if mark.same(known):
                raise Refused(f"rows {other!r} and {label!r} differ in {different(twin, job)}, but {_why(job)}")
        seen.append((label, job, mark))


def _fingerprint_of(label: str, job: Job) -> Fingerprint:
    try:
        return fingerprint(job)
    except (RuntimeError, MemoryError, OverflowError) as error:
        raise Refused(f"row {label!r}: its network can not be built and run here ({one_line(error)})") from error


def _why(job: Job) -> str:
    if job.protocol.trunk:
        learns = ", ".join(name.rstrip(".") for name in probed(job.variant))
        return (
            f"on a frozen trunk they train the same: only {learns} learn there, and none of these fields reaches them; "
            "use a protocol that trains from scratch, such as laptop, or take a row out"
        )
    return (
        "what is built and trained is the same: nothing reads these fields there; change something that has an effect "
        "or take a row out"
    )


def different(a: Job, b: Job) -> list[str]:
    """Dotted paths whose values differ."""
    left, right = dict(a.flat()), dict(b.flat())
    return [path for path in left | right if left.get(path, ...) != right.get(path, ...)]


@dataclass(frozen=True)
class Fingerprint:
    """What a job builds and how that is trained.

    Fields:
        declared: digest of all that is equal or not: modules, shapes, losses, groups.
        behaviour: numbers that are equal but for rounding, which depends on where tensors lie in memory.
    """

    declared: str
    behaviour: tuple[Tensor, ...]

    def same(self, other: Fingerprint) -> bool:
        """Equal, behaviour to 1e-4 of the largest number of each tensor."""
        return self.declared == other.declared and all(
            a.shape == b.shape and bool(((a - b).abs().max() <= 1e-4 * b.abs().max()).item())
            for a, b in zip(self.behaviour, other.behaviour, strict=True)
        )


def fingerprint(job: Job) -> Fingerprint:
    """Of a job, blind to fields without effect.

    Modules by path, shapes, the answers and gradients of the network with fixed weights on a fixed image (a switch
    without parameters shows there); losses of non-zero weight with their fields; assigner; phases; optimiser groups;
    schedule. On a frozen trunk: of these, what moves the weights that are trained there.
    """
    with torch.random.fork_rng(devices=[]):
        network = Network(job.variant, seed=0)
        terms = {loss.term for loss in job.variant.losses if any(loss.weights)}
        if job.protocol.trunk:
            freeze(network)
            terms = _reaching(network)
        parts = [*_structure(network), *_training(job, terms), *_groups(network, job)]
        behaviour = tuple(answer.detach().double() for answer in _behaviour(network))
    return Fingerprint(hashlib.sha256(repr(parts).encode()).hexdigest(), behaviour)


def _structure(network: Network) -> Iterator[tuple[Any, ...]]:
    for path, module in network.named_modules():
        yield path, f"{type(module).__module__}.{type(module).__qualname__}"
    for path, tensor in network.state_dict().items():
        yield path, tuple(tensor.shape)


def _reaching(network: Network) -> set[str]:
    """The terms of the total that have a gradient on some weight, in any phase."""
    dense, found = network.train()(_images()), set[str]()
    for phase in range(len(network.variant.phases)):
        terms = losses(network, dense, _one_person(network.variant), phase)
        found |= {name for name, term in terms.items() if term.requires_grad}
    return found


def _one_person(variant: Variant) -> Targets:
    """One person in each of the probe images, all key points visible."""
    points = torch.linspace(0.2, 0.8, variant.num_keypoints)[:, None].expand(2, 1, -1, 2) * SIDE
    return Targets(
        boxes=torch.tensor([0.1, 0.1, 0.9, 0.9]).expand(2, 1, 4) * SIDE,
        labels=torch.zeros(2, 1, dtype=torch.int64),
        keypoints=points,
        visible=torch.ones(2, 1, variant.num_keypoints),
        areas=torch.full((2, 1), 0.4 * SIDE**2),
        keypoint_weights=torch.ones(2, 1, variant.num_keypoints),
        present=torch.ones(2, 1, dtype=torch.bool),
    )


def _training(job: Job, terms: set[str]) -> Iterator[tuple[Any, ...]]:
    variant: Variant = job.variant
    frozen = bool(job.protocol.trunk)
    for loss in sorted(variant.losses, key=lambda loss: loss.term):
        if loss.term in terms:
            yield ("loss", loss.term, type(loss).__name__, *loss.flat())
    yield ("assigner", type(variant.assigner).__name__, *_with_effect(variant.assigner, frozen))
    for phase in variant.phases:
        yield ("phase", *_with_effect(phase, frozen))
    yield ("recipe", *job.recipe.flat())
    yield ("protocol", *job.protocol.flat())


def _with_effect(spec: Assigner | Phase, frozen: bool) -> list[tuple[str, Plain]]:
    unread = spec.without_effect_on_frozen_trunk if frozen else ()
    return [(path, value) for path, value in spec.flat() if path not in unread]


def _groups(network: Network, job: Job) -> Iterator[tuple[Any, ...]]:
    names = {id(p): name for name, p in network.named_parameters()}
    for group in parameter_groups(network, job.recipe):
        parameters: Any = group["params"]
        yield group["base"], group["weight_decay"], sorted(names[id(p)] for p in parameters)


def _behaviour(network: Network) -> Iterator[Tensor]:
    """What the network says of a fixed image, in training and in use, and how that moves the weights."""
    torch.manual_seed(0)  # dropout
    for training in (True, False):
        network.train(training).zero_grad()
        dense = network(_images())
        answers = [t for t in (dense.cls, dense.box_raw, dense.proxy, dense.vis, dense.pose) if t is not None]
        some = torch.arange(0, dense.cls.shape[1], 5)
        coordinates = network.coords(gather(dense, torch.zeros_like(some), some))
        answers.append(coordinates.keypoints)
        if coordinates.sigma is not None:
            answers.append(coordinates.sigma)
        yield from answers
        loss = torch.stack([answer.double().square().mean() for answer in answers]).sum()
        loss.backward()
        for child in (network.backbone, network.neck, network.head, network.coords):
            grads = [p.grad.double().norm() for p in child.parameters() if p.grad is not None]
            yield torch.stack(grads) if grads else torch.zeros(1)


def _images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255
