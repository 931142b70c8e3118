"""What a fairness audit reads off a job before it is trained: when its targets change, and what rows should share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from zlib import crc32

from torch import nn

from workbench.models.job import Job, phase_at
from workbench.models.network import Network
from workbench.models.schedule import learning_rate
from workbench.slots import Segment
from workbench.training.optim import ema_momentum, parameter_groups
from workbench.training.source import Source

BATCHES = 2  # that all rows are judged on


@dataclass(frozen=True)
class Switch:
    """The begin of a phase: the step, of how many, and what a target or a weight becomes, by its name."""

    phase: int
    step: int
    total: int
    changes: Mapping[str, str]

    @property
    def moment(self) -> str:
        return f"step {self.step} of {self.total} ({100 * self.step / self.total:.0f} %)"


def first_phase(job: Job) -> int:
    """The phase that training begins in."""
    return phase_at(job, job.start.epoch / job.protocol.epochs)


def switches_of(job: Job, steps: int) -> tuple[Switch, ...]:
    """Where phases begin, with `steps` per epoch: with the first epoch that lies in them. Short jobs miss some."""
    first, epochs = job.start.epoch, job.protocol.epochs
    phases = [phase_at(job, epoch / epochs) for epoch in range(first, job.protocol.last)]
    return tuple(
        Switch(new, epoch * steps, epochs * steps, _changed(targets_of(job, old), targets_of(job, new)))
        for epoch, (old, new) in enumerate(pairwise(phases), start=first + 1)
        if new != old
    )


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{old[name]} -> {value}" for name, value in new.items() if value != old[name]}


def targets_of(job: Job, phase: int) -> dict[str, str]:
    """What the regression branch and the scores learn in a phase, and how much each loss weighs."""
    spec = job.variant.phases[phase]
    return {
        "target of the regression branch": "the coordinate stage" if spec.proxy else "the truth",
        "class target": "OKS of the coordinate stage" if spec.proxy else "overlap by which cells were assigned",
        "power of the class target": f"{spec.overlaps_power:g}",
        "augmentation": "weak" if spec.final else "full",
        **{f"weight of {loss.term}": f"{loss.weights[phase]:g}" for loss in job.variant.losses},
    }


def facts_of(network: Network, job: Job, source: Source) -> dict[str, str]:
    """What should be the same in all rows, by name."""
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    updates = job.protocol.epochs * math.ceil(source.steps / job.protocol.accumulate)
    horizon = 1 / ema_momentum(job.recipe, updates)
    ids = [image for batch in islice(source.train(0), BATCHES) for image in batch.image_ids]
    return {
        "trained parameters": f"{trained:,}",
        **rates(network, job, source.steps),
        "weight average": f"over {horizon:.3g} of {updates} updates",
        "batch norms": norms_of(network),
        "first images": f"{' '.join(map(str, ids[:3]))} ... ({crc32(repr(ids).encode()):08x})",
    }


def rates(network: Network, job: Job, steps: int) -> dict[str, str]:
    """The effective learning rate of each group, with `steps` per epoch: its mean and its sum over what is trained."""
    bases = sorted({float(str(group["base"])) for group in parameter_groups(network, job.recipe)}, reverse=True)
    trained = range(job.start.epoch * steps, job.protocol.last * steps)
    found: dict[str, str] = {}
    for base, name in zip(bases, ("learning rate", "learning rate of the slow part"), strict=False):
        sums = _summed(job.recipe.schedule, base, trained, job.protocol.epochs * steps)
        found[name] = f"mean {sums / len(trained):.3g}, sum {sums:.4g}"
    return found


@cache
def _summed(schedule: tuple[Segment, ...], base: float, steps: range, total: int) -> float:
    return math.fsum(learning_rate(schedule, base, step, total) for step in steps)


def norms_of(network: Network) -> str:
    """Momentum and epsilon of the batch norms of what is trained, each pair once."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    trained = [m for m in norms if any(p.requires_grad for p in m.parameters())]
    pairs = sorted({(m.momentum or 0.0, m.eps) for m in trained})
    return ", ".join(f"momentum {momentum:g} eps {eps:g}" for momentum, eps in pairs) or "none"
