"""The names that a command line is checked against before anything is imported that takes seconds.

Each tuple repeats the names of a table elsewhere, in its order, and a test holds the two together. The tables hold
networks and training, so reading one imports torch: too long for a help text, for the shell's completion and for a word
that is mistyped.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.core.errors import Refused
from workbench.core.network_names import NetworkKind, check_no_onnx, check_weights, kind_of

PROTOCOLS = ("smoke", "probe", "thaw", "fork", "short", "laptop", "proxy", "paper", "cost")
FROM_SCRATCH = ("smoke", "short", "laptop", "proxy", "paper")
NETWORKS = ("nano", *(f"rtmo-{size}" for size in "tsml"), *(f"rtmo-{size}-crowdpose" for size in "sml"))
RELEASED = (
    "rtmo-t",
    *(f"rtmo-{size}-{data}" for data in ("coco", "crowdpose", "body7") for size in "sml"),
    "rtmo-l-body7-crowdpose",
)
TRUNKS = ("regression", "joint", "heatmap", "joint-2", "joint-3", "joint-4")
RUNTIMES = ("eager", "torch", "cudagraph", "onnx", "openvino")
DEVICES = ("cpu", "cuda")
PRECISIONS = ("float32", "bf16", "fp16", "int8")
FILE_PRECISIONS = ("float32", "fp16", "int8")
SAMPLERS = ("surrogate", "tpe", "nsga2", "nsga3", "random")
LEVELS = ("easy", "hard")


def check_network(what: str, onnx: str = "") -> NetworkKind:
    """Refuses a name that can mean no network, which `models.named` would refuse seconds later.

    Args:
        onnx: what an ONNX file has not that the command needs; "" where it takes one.

    Returns:
        what kind of thing it names.

    Raises:
        Refused: it names nothing; which backbones timm has, and which rows a study, is found out later.
    """
    kind = kind_of(what, RELEASED, NETWORKS)
    if onnx:
        check_no_onnx(what, kind, onnx)
    return kind


def check_source(what: str, weights: object = None, onnx: str = "") -> None:
    """Refuses a name from which no trained network can come, likewise.

    Args:
        weights: the file that is given beside it, None for none.

    Raises:
        Refused: as `check_network`, or it has no weights, or has its own beside those given.
    """
    check_weights(what, check_network(what, onnx), weights)


def check_trunks(names: Sequence[str]) -> None:
    """Refuses trunks that there are not, which `experiments.trunks` would refuse seconds later.

    Raises:
        Refused: the message says which there are.
    """
    if unknown := sorted(set(names) - set(TRUNKS)):
        raise Refused(f"no trunk {unknown}; there are {list(TRUNKS)}")
