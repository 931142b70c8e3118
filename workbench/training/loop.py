"""Training: a generator that yields after each step. Its caller saves, logs, evaluates and stops in the `for` body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from workbench.components.batch_norm import known_norms
from workbench.core.distributed import averaged, in_parallel
from workbench.models.criterion import losses
from workbench.models.job import Job, phase_at
from workbench.models.network import Network
from workbench.models.schedule import learning_rate
from workbench.tensors import Batch, Dense, Targets
from workbench.training.machine import CPU, Machine
from workbench.training.optim import MovingAverage, clip_gradients, parameter_groups


class TrainingState:
    """All that changes during training: weights, their average, the optimiser, the epoch, the random state."""

    def __init__(self, job: Job, machine: Machine, network: Network | None = None) -> None:
        torch.manual_seed(job.seed)
        self.model = (network or Network(job.variant, job.seed)).to(machine.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.ema = MovingAverage(self.model, job.recipe)
        self.optim = torch.optim.AdamW(parameter_groups(self.model, job.recipe), fused=True)
        self.epoch = 0

    @property
    def averaged(self) -> Network:
        """The network that is evaluated and kept."""
        return cast(Network, self.ema.network)

    def saved(self) -> dict[str, Any]:
        """Everything, as plain data; what the optimiser knows stands under the names of the parameters."""
        known = self.optim.state
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.network.state_dict(),
            "ema_steps": self.ema.steps,
            "optim": {name: known[p] for name, p in self.model.named_parameters() if p in known},
            "epoch": self.epoch,
            "random": torch.get_rng_state(),
        }

    def load(self, data: Mapping[str, Any]) -> None:
        """Takes over what `saved` gave; training goes on as if it had not been interrupted."""
        self.model.load_state_dict(data["model"])
        self.ema.network.load_state_dict(data["ema"])
        self.ema.steps = data["ema_steps"]
        names = {id(p): name for name, p in self.model.named_parameters()}
        order = [names[id(p)] for group in self.optim.param_groups for p in group["params"]]
        known = {i: data["optim"][name] for i, name in enumerate(order) if name in data["optim"]}
        self.optim.load_state_dict({"state": known, "param_groups": self.optim.state_dict()["param_groups"]})
        self.epoch = data["epoch"]
        torch.set_rng_state(data["random"])

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Takes the weights of another network of the same variant; all else begins anew."""
        self.model.load_state_dict(weights)
        self.ema.network.load_state_dict(weights)


@dataclass(frozen=True, slots=True)
class Tick:
    """One step done."""

    progress: float  # 0..1
    epoch: int  # complete epochs
    phase: int
    lr: float
    terms: dict[str, Tensor]  # weighted, detached
    images: int
    epoch_end: bool


def forward_of(model: Network, job: Job, machine: Machine) -> Callable[[Any], Dense]:
    """The network's forward pass as the machine runs it. Compiled are backbone, neck and the head's towers, and only
    where all batches have one size: each further size would compile anew."""
    if not machine.compiler or job.protocol.trunk or job.protocol.sides[0]:
        return model
    towers = torch.compile(model.towers, backend=machine.compiler, dynamic=False)
    return lambda images: model(towers(images))


def _terms_of(model: Network, job: Job, machine: Machine) -> Callable[[Any, Targets, int], dict[str, Tensor]]:
    """The weighted terms of the loss of images, their targets and a phase; where several ranks share a batch, their
    gradients become those of all of it."""
    forward = forward_of(model, job, machine)

    def terms(images: Any, targets: Targets, phase: int) -> dict[str, Tensor]:
        return losses(model, forward(images), targets, phase)

    return in_parallel(model, terms)


def norms_for(model: Network, batch: Batch) -> AbstractContextManager[None]:
    """How the model's batch norms are to treat a batch: as ever, unless all of it is black.

    Black images stay exactly zero from layer to layer. Each norm would divide their gradient by the root of its epsilon
    once more, until it is infinite. With the statistics of other batches it is finite. Pixels are not looked at here:
    they are on the device, and the host would wait for it in each step.
    """
    return known_norms(model) if batch.black and isinstance(batch.images, Tensor) else nullcontext()


def train(
    job: Job, state: TrainingState, data: Callable[[int], Iterable[Batch]], steps: int, machine: Machine = CPU
) -> Iterator[Tick]:
    """From `state.epoch` to the end. `data(epoch)` gives `steps` batches, the same ones each time it is asked.

    Raises:
        RuntimeError: the gradient is not finite; nothing was stepped.
    """
    model, total, accumulate = state.model.train(), job.protocol.epochs * steps, job.protocol.accumulate
    loss = _terms_of(model, job, machine)
    for epoch in range(state.epoch, job.protocol.last):
        phase = phase_at(job, epoch / job.protocol.epochs)
        for i, batch in enumerate(data(epoch), start=1):
            step = epoch * steps + i - 1
            for group in state.optim.param_groups:
                group["lr"] = learning_rate(job.recipe.schedule, group["base"], step, total)

            batch = batch.to(machine.device)
            whole = i % accumulate == 0 or i == steps  # what is left at the end of an epoch is in no checkpoint
            with averaged(loss, now=whole):
                with machine.autocast(), norms_for(model, batch):
                    terms = loss(batch.images, batch.targets, phase)
                (torch.stack(list(terms.values())).sum() / accumulate).backward()
            if whole:
                clip_gradients(model, job.recipe)
                state.optim.step()
                state.optim.zero_grad(set_to_none=True)
                state.ema.update(model)

            state.epoch = epoch + (i == steps)
            terms = {name: term.detach() for name, term in terms.items()}
            lr = state.optim.param_groups[0]["lr"]
            yield Tick((step + 1) / total, state.epoch, phase, lr, terms, len(batch.image_ids), i == steps)
