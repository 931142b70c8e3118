"""Latency of networks: what a network does when it is timed, and the calls that the instrument in `timing` times.

The coordinate stage runs per person who was found, so each latency states its number of persons.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from workbench.components.blocks import fused
from workbench.core.errors import Refused
from workbench.inference import cost
from workbench.inference.timing import Call, Comparison, Patience, measure
from workbench.models.decode import detect
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.slots import DenseHead, Outputs, Towers
from workbench.tensors import Detections

# Networks


@dataclass(frozen=True)
class TimingTask:
    """What a network does when it is timed: images of `size` (height, width) on each of which `persons` are found."""

    size: tuple[int, int] = (640, 640)
    persons: int = cost.PERSONS
    threads: int = 1
    device: str = "cpu"
    batch: int = 1

    def __post_init__(self) -> None:
        if any(side <= 0 or side % 32 for side in self.size):
            raise Refused(f"latency: size {self.size[0]} x {self.size[1]}; sides must be positive multiples of 32")
        if self.batch < 1:
            raise Refused(f"latency: a batch of {self.batch}; expected at least 1 image")
        if torch.device(self.device).type == "cuda" and not torch.cuda.is_available():
            raise Refused(f"latency: device {self.device}, but torch sees no GPU here; expected cpu")


_LOW = {"bf16": torch.bfloat16, "fp16": torch.float16}


def as_call(network: Network, task: TimingTask, precision: str = "float32") -> Call:
    """The whole way of a `planted` network from its images to their persons, as a call."""
    image, network, low = noise_images(task).to(task.device), network.to(task.device), _LOW.get(precision)

    def call() -> list[Detections]:
        with torch.autocast(torch.device(task.device).type, low, enabled=low is not None):
            return detect(network, image)

    return call


def noise_images(task: TimingTask) -> Tensor:
    """The images: (B, 3, H, W), the same each time."""
    return torch.rand(task.batch, 3, *task.size, generator=torch.Generator().manual_seed(0)) * 255


@torch.no_grad()
def with_batch_statistics(variant: Variant, task: TimingTask) -> Network:
    """A network with random weights whose batch norms hold the statistics of the first image.

    With the statistics that norms begin with, activations die away from layer to layer, down to numbers so small that
    processors are slow with them.
    """
    network = cost.untrained(variant, "cpu", "published")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    image = noise_images(replace(task, batch=1))
    network(torch.cat((image, image.flip(-1))))  # two, because the deepest map of a small one has a single pixel
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum
    return network


def with_persons(network: Network, task: TimingTask) -> Network:
    """A network with the same weights that finds exactly as many persons as the task says, whatever these are.

    Raises:
        Refused: there are fewer cells than persons.
    """
    cells = _cells(network, task.size)
    if task.persons > cells:
        raise Refused(f"latency: {task.persons} persons on {task.size}, where the network has {cells} cells")
    twin = copy.copy(network)  # it shares the parts, but not the table of them
    twin._modules = dict(network._modules)
    twin.head = _Planted(network.head, task.persons)
    return twin


def _cells(network: Network, size: tuple[int, int]) -> int:
    return sum((size[0] // stride) * (size[1] // stride) for stride in network.head.strides)


class _Planted(DenseHead):
    """Evenly spread cells get a high score and a box of their own, all others a low score. Nothing is left uncomputed:
    scores and boxes are the head's own, times 0, plus what is wanted."""

    def __init__(self, head: DenseHead, persons: int) -> None:
        super().__init__()
        self.head, self.persons = head, persons
        self.strides, self.pose_channels = head.strides, head.pose_channels

    def towers(self, feats: list[Tensor]) -> Towers:
        return self.head.towers(feats)

    def read(self, towers: Towers, proxy: bool) -> Outputs:
        outputs = self.head.read(towers, proxy)
        cell = torch.arange(outputs.cls.shape[1], device=outputs.cls.device)
        cells = torch.ones_like(cell).sum()  # a tensor, as exporters want it
        score = 20.0 * (cell * self.persons % cells < self.persons) - 10.0
        return replace(outputs, cls=outputs.cls * 0 + score[:, None], box=outputs.box * 0)


OWN, REFERENCE = "own", "reference"  # names of the calls of `timed_beside`


def timed_beside(variant: Variant, reference: Variant, size: tuple[int, int], patience: Patience) -> Comparison:
    """The deployed paths of two networks in the same rounds, on one CPU thread and as busy as the machine is.

    Images are of `size` (height, width) with `PERSONS` persons, or as many as both networks have cells for.
    """
    both = {OWN: variant, REFERENCE: reference}
    networks = {name: with_batch_statistics(one, TimingTask(size)) for name, one in both.items()}
    task = TimingTask(size, min(cost.PERSONS, *(_cells(network, size) for network in networks.values())))
    calls = {name: as_call(cast(Network, fused(with_persons(n, task))), task) for name, n in networks.items()}
    return measure(calls, REFERENCE, patience=patience, anyway=True)
