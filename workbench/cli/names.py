"""The names that a command line is checked against before anything is imported that takes seconds.

Each tuple repeats the names of a table elsewhere, in its order, and a test holds the two together. The tables hold
networks and training, so reading one imports torch: too long for a help text, for the shell's completion and for a word
that is mistyped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.core.errors import Refused

PROTOCOLS = ("smoke", "probe", "thaw", "fork", "short", "laptop", "proxy", "paper", "cost")
FROM_SCRATCH = ("smoke", "short", "laptop", "proxy", "paper")
NETWORKS = ("nano", *(f"rtmo-{size}" for size in "tsml"), *(f"rtmo-{size}-crowdpose" for size in "sml"))
STDC = ("stdcnano", "stdc1", "stdc2")
RELEASED = ("rtmo-t", *(f"rtmo-{size}-{data}" for data in ("coco", "crowdpose") for size in "sml"))
TRUNKS = ("regression", "joint", "heatmap", "joint-2", "joint-3", "joint-4")
RUNTIMES = ("eager", "torch", "cudagraph", "onnx")
DEVICES = ("cpu", "cuda")
PRECISIONS = ("float32", "bf16", "fp16", "int8")
FILE_PRECISIONS = ("float32", "fp16", "int8")
SAMPLERS = ("surrogate", "tpe", "nsga2", "nsga3", "random")
LEVELS = ("easy", "hard")


def check_networks(names: Sequence[str]) -> None:
    """Refuses a network that can not be, which `models.zoo.network_named` would refuse seconds later.

    Raises:
        Refused: a name that is neither a preset's nor that of a backbone in RTMO; which backbones timm has, only timm
            knows.
    """
    for name in names:
        if name.replace("_", "-") not in NETWORKS and not name.endswith("-rtmo"):
            raise Refused(
                f"no network {name!r}; there are {', '.join(NETWORKS)}, and BACKBONE-rtmo with {', '.join(STDC)} or a "
                "name of timm.list_models(), as in resnet50-rtmo"
            )


def check_source(what: str) -> None:
    """Refuses what no trained network can come from, which `inference.load` would refuse seconds later.

    Raises:
        Refused: neither a released model nor a file or folder.
    """
    if what not in RELEASED and what != "nano" and not Path(what).exists():
        raise Refused(f"{what!r}: no such file, folder or released model; released are {', '.join(RELEASED)}")


def check_trunks(names: Sequence[str]) -> None:
    """Refuses trunks that there are not, which `experiments.trunks` would refuse seconds later.

    Raises:
        Refused: the message says which there are.
    """
    if unknown := sorted(set(names) - set(TRUNKS)):
        raise Refused(f"no trunk {unknown}; there are {list(TRUNKS)}")
