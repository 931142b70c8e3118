"""Job: a variant and all else that decides its result: recipe, protocol, seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from workbench.core.augmentation import AUGMENTATIONS, Augmentation, AugmentationName, shortest
from workbench.core.errors import Refused
from workbench.core.spec import Spec
from workbench.models.schedule import RTMO_SCHEDULE, check_schedule
from workbench.models.variant import Variant
from workbench.slots import Segment


@final
@dataclass(frozen=True, kw_only=True)
class Recipe(Spec):
    """How weights move. The defaults are the published ones (COCO, 600 epochs).

    Fields:
        lr: the rate that the schedule starts from; encoder_lr_scale: factor on it for what the neck calls `slow`.
        clip: largest L2 norm over all gradients.
        schedule: no segments are a constant rate.
        ema_momentum: share of the new weights in the moving average, in the end; ema_gamma: updates over which it
            falls to that.
    """

    lr: float = 4e-3
    encoder_lr_scale: float = 0.05
    weight_decay: float = 0.05
    clip: float = 0.1
    schedule: tuple[Segment, ...] = RTMO_SCHEDULE
    ema_momentum: float = 2e-4
    ema_gamma: float = 2000.0

    def check(self) -> None:
        for name in ("lr", "clip", "ema_gamma"):
            if getattr(self, name) <= 0:
                raise Refused(f"{name} {getattr(self, name)}: must be above 0")
        for name in ("encoder_lr_scale", "weight_decay"):
            if getattr(self, name) < 0:
                raise Refused(f"{name} {getattr(self, name)}: must be 0 or more")
        if not 0 < self.ema_momentum <= 1:
            raise Refused(f"ema_momentum {self.ema_momentum}: must be above 0 and at most 1")
        check_schedule(self.schedule)


MOST_SIDE, MOST_COUNTED = 8192, 10**9  # pixels; epochs, images and the like
LARGEST_SEED = 2**31 - 1  # of every generator that is seeded with it
EMBEDDED = {"figures-easy": "easy", "figures-hard": "hard"}  # scenes that need no data on disk, and their level


@final
@dataclass(frozen=True, kw_only=True)
class Protocol(Spec):
    """What a run sees and how long. `images` and `eval_images` of 0 mean all that there are.

    Fields:
        data: one of `EMBEDDED`, or the fingerprint of a data set on disk (`workbench.data.datasets.folder`).
        size: height and width of the network input; multiples of 32.
        sides: smallest and largest side of the random resize of each step; (0, 0) keeps `size`, as scenes must.
        augment: steps, or the name of some; steps that have a name are always written as it.
        images: distinct embedded scenes to train on (a data set on disk is used whole); first_image: the first one.
        epoch_images: images per epoch.
        trunk: `NAME@DIGEST` or `NAME` of a frozen trunk whose cached features are the input; "" trains everything.
        stop: epochs after which training ends and its whole state is kept, for jobs that go on from there; schedule and
            phases are those of all `epochs`. 0 trains all of them and keeps the weights.
    """

    data: str = "figures-easy"
    size: tuple[int, int] = (640, 640)
    sides: tuple[int, int] = (0, 0)
    augment: AugmentationName | Augmentation = "none"
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
    stop: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "augment", shortest(self.augment))  # one value, one key

    @classmethod
    def opened(cls, name: str, value: Any) -> Any:
        """As of `Spec`: a path may lead into an augmentation that is given by its name."""
        return AUGMENTATIONS.get(value, value) if name == "augment" and isinstance(value, str) else value

    @property
    def last(self) -> int:
        """The epoch that training ends with."""
        return self.stop or self.epochs

    @property
    def scenes(self) -> str:
        """The level of the embedded scenes, "" for a data set on disk."""
        return EMBEDDED.get(self.data, "")

    def _check_data(self) -> None:
        if self.data.startswith("figures-") and "@" not in self.data and not self.scenes:
            raise Refused(f"data {self.data!r}: no such embedded scenes; there are {', '.join(EMBEDDED)}")
        low, high = self.sides
        if self.sides != (0, 0) and (low < 1 or low > high or low % 32 or high % 32):
            raise Refused(
                f"sides {self.sides}: expected the smallest and the largest side, positive multiples of 32 in that "
                "order, as (480, 800), or (0, 0) for none"
            )
        if self.trunk and self.augment != "none":
            raise Refused(f"trunk {self.trunk!r}: its features are of images as they are; set augment='none'")
        if self.scenes and self.size[0] != self.size[1]:
            raise Refused(f"size {self.size}: the embedded scenes are square")
        if self.sides != (0, 0) and self.scenes:
            raise Refused(f"sides {self.sides}: embedded scenes keep their size; leave sides at (0, 0)")

    def check(self) -> None:
        if any(side <= 0 or side % 32 or side > MOST_SIDE for side in self.size):
            raise Refused(f"size {self.size}: height and width must be positive multiples of 32, at most {MOST_SIDE}")
        for name in ("epochs", "batch", "accumulate", "eval_every"):
            if not 1 <= getattr(self, name) <= MOST_COUNTED:
                raise Refused(f"{name} {getattr(self, name)}: must be at least 1, and at most {MOST_COUNTED:,}")
        for name in ("images", "first_image", "epoch_images", "eval_images", "stop"):
            if not 0 <= getattr(self, name) <= MOST_COUNTED:
                raise Refused(f"{name} {getattr(self, name)}: must be 0 or more, and at most {MOST_COUNTED:,}")
        if self.stop > self.epochs:
            raise Refused(f"stop {self.stop}: training has {self.epochs} epochs")
        if not 0 <= self.score_threshold < 1:
            raise Refused(f"score_threshold {self.score_threshold}: must be 0 or more and below 1, or nobody is found")
        if self.nms_threshold <= 0:
            raise Refused(f"nms_threshold {self.nms_threshold}: must be above 0; 1 and more keeps all")
        if self.batch % self.accumulate:
            raise Refused(f"batch {self.batch} is no multiple of accumulate {self.accumulate}")
        self._check_data()


@final
@dataclass(frozen=True, kw_only=True)
class Start(Spec):
    """The complete job, or the file of weights, that a job begins with; "" for none.

    Fields:
        key: of the job whose weights are taken. It stands in for everything that decides them.
        epoch: 0 takes the averaged weights alone, into a training of its own. More takes weights, average and optimiser
            of a job with this `protocol.stop`, and goes on with the epoch after it.
        phase: of the variant, that training begins in; earlier ones are passed over.
        coords: where the coordinate stage is in the network of that job, as the names of its parameters begin; ""
            where it has none. Other stages of that job are left behind.
        weights: the first digits of the sha256 of a file whose weights are taken as far as they fit, see
            `models.initial`; "" for none.
    """

    key: str = ""
    epoch: int = 0
    phase: int = 0
    coords: str = "coords"
    weights: str = ""

    def check(self) -> None:
        if self.epoch < 0 or self.phase < 0:
            raise Refused(f"start: epoch {self.epoch} and phase {self.phase} must be 0 or more")
        if self.weights and (self.key or self.epoch):
            raise Refused(f"start: weights of the file {self.weights} and of the job {self.key}; give one")
        if not self.key and not self.weights and (self.epoch or self.phase):
            raise Refused(f"start: epoch {self.epoch} and phase {self.phase} of no job; give the key of one")


@final
@dataclass(frozen=True, kw_only=True)
class Job(Spec):
    """Everything that decides a result. `key` is its identity; device, workers and folders are not part of it."""

    variant: Variant = Variant()
    recipe: Recipe = Recipe()
    protocol: Protocol = Protocol()
    seed: int = 0
    start: Start = Start()

    def check(self) -> None:
        if self.start.epoch >= self.protocol.last:
            raise Refused(f"start.epoch {self.start.epoch}: training ends after {self.protocol.last} epochs")
        if self.start.phase >= len(self.variant.phases):
            raise Refused(f"start.phase {self.start.phase}: there are {len(self.variant.phases)} phases, from 0")
        if (begun := self.start.key or self.start.weights) and self.protocol.trunk:
            raise Refused(f"start {begun!r} and trunk {self.protocol.trunk!r}: weights of both; give one")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise Refused(f"seed {self.seed}: must be 0 or more, and at most {LARGEST_SEED}")
        for i in range(len(self.variant.phases)):
            if not any(loss.weights[i] for loss in self.variant.losses):
                raise Refused(f"phase {i} has no loss of a weight other than 0: nothing would be learnt; keep one")


def phase_at(job: Job, progress: float) -> int:
    """Index of the phase that covers `progress`."""
    return max(job.start.phase, sum(phase.start <= progress for phase in job.variant.phases) - 1)
