"""Trained networks by what a user has of them; `models.named` says what can be named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.models.job import Job
from workbench.models.named import open_network, open_untrained
from workbench.models.network import Network


@dataclass(frozen=True)
class Trained:
    """A network in eval mode. `size` (height, width) is that of its training, `source` what it came from.

    `job` is its training, where it is known.
    """

    network: Network
    size: tuple[int, int]
    source: str
    job: Job | None = None


def load_trained(what: str, weights: str | Path | None = None) -> Trained:
    """The network that `what` names, with its weights.

    Args:
        what: a released model, whose weights are downloaded once; a file of weights; the folder of a complete job; or,
            with `weights`, a preset, a backbone in RTMO-s or the row of a study.
        weights: the file of the weights, or the folder of a job, where `what` has none; in place of released ones.

    Raises:
        Refused: there is no such thing, or it holds no weights of a known network.
    """
    network, plan = open_network(what, weights)
    return Trained(network, plan.size, plan.source, plan.job)


def load_untrained(what: str) -> Trained:
    """The network that `what` names, with random weights: right for sizes and times, and nothing else.

    Raises:
        Refused: there is no such thing.
    """
    network, plan = open_untrained(what)
    return Trained(network, plan.size, f"{plan.source}, random weights")
