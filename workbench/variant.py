"""Variant: a pose estimator as a value. Job: a variant and all else that decides its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from workbench.components.assigners.simota import SimOTA
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.components.coords.dcc import DCC
from workbench.components.heads.rtmo_head import RTMOHead
from workbench.components.losses.bbox_aux import BoxAux
from workbench.components.losses.iou import IoU
from workbench.components.losses.mle import MLE
from workbench.components.losses.oks import OKS
from workbench.components.losses.varifocal import VariFocal
from workbench.components.losses.visibility import Visibility
from workbench.components.necks.hybrid_encoder import HybridEncoder
from workbench.errors import Refused
from workbench.skeletons import skeleton
from workbench.slots import Assigner, Backbone, Coords, Head, Loss, Neck
from workbench.spec import Spec


@final
@dataclass(frozen=True, kw_only=True)
class Phase(Spec):
    """One part of training. The published three are in `RTMO_PHASES`; loss weights have one number per phase.

    Fields:
        start: fraction of all epochs at which the phase begins.
        proxy: key points of the coordinate stage teach the regression branch and the class target.
        overlaps_power: exponent of the class target.
        final: weak augmentation and ignore masks.
        exact_ignore: look the ignore mask up at the very pixel; published (False) is a look-up that is off by a little
            on square inputs and wrong on others.
    """

    start: float = 0.0
    proxy: bool = False
    overlaps_power: float = 0.5
    final: bool = False
    exact_ignore: bool = False


RTMO_PHASES = (Phase(), Phase(start=280 / 600, proxy=True), Phase(start=579 / 600, proxy=True, final=True))


@final
@dataclass(frozen=True, kw_only=True)
class Variant(Spec):
    """A whole estimator: one component per slot, its losses and its phases. The defaults are RTMO-s for COCO."""

    backbone: Backbone = CSPDarknet()
    neck: Neck = HybridEncoder()
    head: Head = RTMOHead()
    coords: Coords = DCC()
    assigner: Assigner = SimOTA()
    losses: tuple[Loss, ...] = (VariFocal(), IoU(), Visibility(), OKS(), MLE(), BoxAux())
    phases: tuple[Phase, ...] = RTMO_PHASES
    num_classes: int = 1
    num_keypoints: int = 17

    def check(self) -> None:
        skeleton(self.num_keypoints)
        self._check_phases()
        terms = [loss.term for loss in self.losses]
        if len(set(terms)) < len(terms):
            raise Refused(f"losses {terms}: a term stands twice; keep one of each")
        for loss in self.losses:
            missing = loss.needs - self.coords.offers
            if missing and any(loss.weights):
                raise Refused(
                    f"{type(loss).__name__} needs {sorted(loss.needs)}, but {type(self.coords).__name__} offers "
                    f"{sorted(self.coords.offers) or 'nothing'}: take the loss out or choose another coordinate stage"
                )

    def _check_phases(self) -> None:
        starts = [phase.start for phase in self.phases]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
            raise Refused(f"phases start at {starts}: they must begin at 0, ascend and stay below 1")
        if any(phase.proxy for phase in self.phases) and "teacher" not in self.coords.offers:
            raise Refused(
                f"a phase has proxy=True, but {type(self.coords).__name__} has no key points other than the regression "
                "branch's own: it would teach itself and its OKS loss would be 0. Set proxy=False in every phase"
            )
        for loss in self.losses:
            if len(loss.weights) != len(self.phases):
                raise Refused(
                    f"{type(loss).__name__}.weights {loss.weights}: {len(self.phases)} phases want as many weights"
                )


@final
@dataclass(frozen=True, kw_only=True)
class Warmup(Spec):
    """Quadratic: base * ((t + 1) / T)^2 for steps t before `end` (fraction of training) of T steps."""

    end: float = 5 / 600


@final
@dataclass(frozen=True, kw_only=True)
class Cosine(Spec):
    """From the value at `start` towards `floor`, half a period long `period`, broken off at `end` (all fractions)."""

    start: float = 5 / 600
    end: float = 280 / 600
    period: float = 280 / 600
    floor: float = 2e-4


@final
@dataclass(frozen=True, kw_only=True)
class Scale(Spec):
    """The value times `factor` from `start` on."""

    start: float = 280 / 600
    factor: float = 2.5


RTMO_SCHEDULE = (Warmup(), Cosine(), Scale(), Cosine(start=281 / 600, end=580 / 600, period=300 / 600))


@final
@dataclass(frozen=True, kw_only=True)
class Recipe(Spec):
    """How weights move. The defaults are the published ones (COCO, 600 epochs)."""

    lr: float = 4e-3
    encoder_lr_scale: float = 0.05
    weight_decay: float = 0.05
    clip: float = 0.1  # L2 norm over all gradients
    schedule: tuple[Spec, ...] = RTMO_SCHEDULE
    ema_momentum: float = 2e-4
    ema_gamma: float = 2000.0


@final
@dataclass(frozen=True, kw_only=True)
class Protocol(Spec):
    """What a run sees and how long. `images` and `eval_images` of 0 mean all that there are.

    Fields:
        data: "figures-easy", "figures-hard", or the fingerprint of a data set on disk (`workbench.data.source`).
        size: height and width of the network input; multiples of 32.
        sides: smallest and largest side of the random resize of each step; (0, 0) keeps `size`.
        images: distinct embedded scenes to train on (a data set on disk is used whole); first_image: the first one.
        epoch_images: images per epoch.
        trunk: `NAME@DIGEST` or `NAME` of a frozen trunk whose cached features stand for images; "" trains everything.
    """

    data: str = "figures-easy"
    size: tuple[int, int] = (640, 640)
    sides: tuple[int, int] = (0, 0)
    augment: Literal["none", "light", "rtmo", "rtmo-t", "rtmo-ml", "crowdpose"] = "none"
    images: int = 0
    first_image: int = 0
    epoch_images: int = 0
    epochs: int = 600
    batch: int = 256
    accumulate: int = 1
    eval_images: int = 0
    eval_every: int = 20
    score_threshold: float = 0.1
    nms_threshold: float = 0.65
    trunk: str = ""

    def check(self) -> None:
        if any(side <= 0 or side % 32 for side in self.size):
            raise Refused(f"size {self.size}: height and width must be positive multiples of 32")
        for name in ("epochs", "batch", "accumulate", "eval_every"):
            if getattr(self, name) < 1:
                raise Refused(f"{name} {getattr(self, name)}: must be at least 1")
        for name in ("images", "first_image", "epoch_images", "eval_images"):
            if getattr(self, name) < 0:
                raise Refused(f"{name} {getattr(self, name)}: must be 0 or more")
        if self.batch % self.accumulate:
            raise Refused(f"batch {self.batch} is no multiple of accumulate {self.accumulate}")


@final
@dataclass(frozen=True, kw_only=True)
class Job(Spec):
    """Everything that decides a result. `key` is its identity; device, workers and folders are not part of it."""

    variant: Variant = Variant()
    recipe: Recipe = Recipe()
    protocol: Protocol = Protocol()
    seed: int = 0

    def check(self) -> None:
        if self.seed < 0:
            raise Refused(f"seed {self.seed}: must be 0 or more")
        for i in range(len(self.variant.phases)):
            if not any(loss.weights[i] for loss in self.variant.losses):
                raise Refused(f"phase {i} has no loss of a weight other than 0: nothing would be learnt; keep one")


def phase_at(job: Job, progress: float) -> int:
    """Index of the phase that covers `progress`."""
    return sum(phase.start <= progress for phase in job.variant.phases) - 1
