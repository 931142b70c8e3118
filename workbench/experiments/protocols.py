"""The protocols of studies: how a base is scaled, how it is trained, on what, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workbench.components.segments.cosine import Cosine
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.models.job import Protocol, Recipe
from workbench.models.zoo import NANO, NO_PROXY, REGRESSION, rtmo
from workbench.study import Cited, StudyProtocol

# Source: published configurations; w_f and d_f are the widen and deepen factors, D the pose vector's length.
RTMO_S = Cited(67.7, "COCO val2017, 600 epochs; mmpose @ 759b39c, projects/rtmo")
NANO_RECIPE = Recipe(
    lr=1e-3,
    encoder_lr_scale=0.1,
    schedule=(Warmup(end=0.02), Cosine(start=0.02, end=1.0, period=1.0, floor=2e-5)),
)
SCENES = Protocol(
    data="figures-easy",
    size=(96, 96),
    images=40_000,
    epoch_images=16_000,
    epochs=8,
    batch=32,
    eval_images=1_000,
    eval_every=1,
    score_threshold=0.02,
)


# What is alike in all rows that do not change it themselves. KLD moves the boxes only where the encoding is dynamic; a
# stage that takes over as target at a fraction of a short schedule still knows less than its pupil; and where
# regression alone teaches the key points its weight stays (`reports/LOG.md`, 2026-11-26).
_SMALL: Mapping[str, Any] = {
    **NANO,
    **NO_PROXY,
    "coords.box_gradient": False,
    "losses.OKS.weights": (30.0, 30.0, 30.0),
}
# Frozen features: only what reads them is trained, so only the losses that reach it are computed.
_PROBE: Mapping[str, Any] = {
    **_SMALL,
    "losses.VariFocal": None,
    "losses.IoU": None,
    "losses.Visibility": None,
    "losses.BoxAux": None,
    # fewer positives, more steps in the same time
    "assigner.min_k": 1,
    "assigner.candidate_topk": 5,
    "phases.1.start": 0.25,
}
# The last quarter runs at a constant tenth of the first rate: what still learns shows it there.
_PROBE_RECIPE = replace(
    NANO_RECIPE,
    lr=2e-3,
    schedule=(Warmup(end=0.02), Cosine(start=0.02, end=0.75, period=0.73, floor=2e-4)),
)

_BEFORE_THAW = StudyProtocol(
    "before thaw",
    "every row trains its coordinate stage on the features of frozen trunks",
    replace(SCENES, images=16_000, first_image=1_000_000, epoch_images=6_400, epochs=4, eval_every=4),
    _PROBE_RECIPE,
    _PROBE,
)
# The last 40 % of `short`, begun with what the first 60 % taught: as long as that in all, and the same schedule.
_FORK = replace(SCENES, epoch_images=1_216, epochs=20, eval_every=20, eval_images=3_000)
_AT_FORK: Mapping[str, Any] = {"phases.1.start": 0.6}
_BEFORE_FORK = StudyProtocol(
    "before fork",
    "the coordinate stages of all rows learn beside each other on a network that regression teaches",
    replace(_FORK, stop=12),
    NANO_RECIPE,
    {**NANO, **REGRESSION, **_AT_FORK},
    together=True,
)

PROTOCOLS: dict[str, StudyProtocol] = {
    protocol.name: protocol
    for protocol in (
        StudyProtocol(
            "smoke",
            "a few steps of every row: proves that everything runs, says nothing of accuracy",
            replace(SCENES, images=96, epoch_images=96, epochs=2, batch=16, eval_images=32, score_threshold=0.001),
            NANO_RECIPE,
            _SMALL,
            seeds=1,
            answers="It says that everything runs, nothing of accuracy.",
        ),
        StudyProtocol(
            "probe",
            "every row trains its coordinate stage and its losses on the features of three frozen trunks",
            replace(SCENES, images=16_000, first_image=1_000_000, epoch_images=6_400, epochs=16, eval_every=4),
            _PROBE_RECIPE,
            _PROBE,
            seeds=1,  # other seeds of a probe differ by a tenth of what other trunks do
            trunks=("regression", "joint", "heatmap"),
            answers="It says what reads a given trunk better, not what trains a trunk better.",
        ),
        StudyProtocol(
            "thaw",
            "every row trains its coordinate stage on frozen trunks, then whole: a finish of mature networks",
            replace(SCENES, epoch_images=1_216, epochs=8, eval_every=8),
            replace(
                NANO_RECIPE, lr=4e-4, schedule=(Warmup(end=0.08), Cosine(start=0.08, end=1.0, period=0.92, floor=2e-5))
            ),
            _SMALL,
            seeds=1,
            trunks=("joint", "joint-2", "joint-3", "joint-4", "regression"),
            first=_BEFORE_THAW,
            phase=1,
            answers="It says which finish of a mature network is better, not which network is after 600 epochs.",
        ),
        StudyProtocol(
            "fork",
            "every row goes on from one young network per seed that regression taught: a finish of young networks",
            _FORK,
            NANO_RECIPE,
            {**_SMALL, **_AT_FORK},
            first=_BEFORE_FORK,
            taught="regression",
            answers="It says which finish of a young network is better, not which network is after 600 epochs.",
        ),
        StudyProtocol(
            "short",
            "every row from scratch, 24,000 easy scenes at 96 px, nano preset: under-trained",
            # epochs are short so that the last phase, the last 5 %, begins with one
            replace(SCENES, epoch_images=1_216, epochs=20, eval_every=4),
            NANO_RECIPE,
            _SMALL,
            seeds=2,
            answers="It says what is ahead after 24,000 scenes, not what is when training has ended.",
        ),
        StudyProtocol(
            "laptop",
            "every row from scratch, 128,000 easy scenes at 96 px, nano preset",
            SCENES,
            NANO_RECIPE,
            _SMALL,
            seeds=3,
            answers="It says what is ahead after 128,000 scenes, not what is after 600 epochs of COCO.",
        ),
        StudyProtocol(
            "proxy",
            "every row from scratch on one GPU, 512,000 hard scenes at 160 px, RTMO-t",
            replace(
                SCENES,
                data="figures-hard",
                size=(160, 160),
                images=64_000,
                epoch_images=64_000,
                batch=128,
                eval_every=2,
            ),
            NANO_RECIPE,
            {
                **{slot: getattr(rtmo("t"), slot) for slot in ("backbone", "neck", "head")},
                **{path: value for path, value in _SMALL.items() if path not in ("backbone", "neck", "head", "coords")},
            },
            seeds=2,
            answers="It says what is ahead after 512,000 scenes, not what is after 600 epochs of COCO.",
        ),
        StudyProtocol(
            "paper",
            "the published recipe unchanged: 600 epochs of COCO at 640 px, batch 256 over the GPUs at hand",
            Protocol(data="coco", sides=(480, 800), augment="rtmo"),
            seeds=1,
            answers="It says what the published recipe gives, and with one seed nothing of chance.",
        ),
        StudyProtocol(
            "cost",
            "nothing is trained: every row is counted and timed side by side, at 640 px and published size",
            Protocol(data="none"),
            seeds=1,
            trains=False,
        ),
    )
}


def protocol_named(name: str) -> StudyProtocol:
    """The protocol of that name.

    Raises:
        Refused: no such protocol.
    """
    if name not in PROTOCOLS:
        raise Refused(f"no protocol {name!r}; there are {list(PROTOCOLS)}")
    return PROTOCOLS[name]
