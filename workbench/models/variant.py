"""Variant: a pose estimator as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

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
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.skeletons import RELEASED_SKELETONS, SKELETONS, released_skeleton, skeleton_named
from workbench.core.spec import Spec
from workbench.slots import Assigner, Backbone, Coords, Head, Loss, Neck


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

    `without_effect_on_frozen_trunk` is as of an assigner: these fields shape the class target, its weight and the
    augmentation.
    """

    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ("overlaps_power", "final", "exact_ignore")

    start: float = 0.0
    proxy: bool = False
    overlaps_power: float = 0.5
    final: bool = False
    exact_ignore: bool = False

    def check(self) -> None:
        if self.overlaps_power < 0:
            raise Refused(f"Phase.overlaps_power {self.overlaps_power}: must be 0 or more")


RTMO_PHASES = (Phase(), Phase(start=280 / 600, proxy=True), Phase(start=579 / 600, proxy=True, final=True))


PERSON = "person"  # what the only class is called, if nothing says otherwise


@final
@dataclass(frozen=True, kw_only=True)
class Variant(Spec):
    """A whole estimator: one component per slot, its losses and its phases. The defaults are RTMO-s for COCO.

    Fields:
        keypoint_set: the key points, or the name of a set of `workbench.core.skeletons`; "" is that of the released
            models with `num_keypoints` key points. Written as short as possible: a released set as "", a named one as
            its name.
        class_names: what the classes are called, in the order of their labels; () is `person`, or their numbers.
    """

    backbone: Backbone = CSPDarknet()
    neck: Neck = HybridEncoder()
    head: Head = RTMOHead()
    coords: Coords = DCC()
    assigner: Assigner = SimOTA()
    losses: tuple[Loss, ...] = (VariFocal(), IoU(), Visibility(), OKS(), MLE(), BoxAux())
    phases: tuple[Phase, ...] = RTMO_PHASES
    num_classes: int = 1
    num_keypoints: int = 17
    keypoint_set: str | Skeleton = ""
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        found = self.skeleton
        if found == RELEASED_SKELETONS.get(self.num_keypoints):  # one value, one key
            object.__setattr__(self, "keypoint_set", "")
        elif found == SKELETONS.get(found.name):
            object.__setattr__(self, "keypoint_set", found.name)
        if self.class_names == (PERSON,):
            object.__setattr__(self, "class_names", ())

    @property
    def skeleton(self) -> Skeleton:
        """The key points that the network finds: their names, OKS constants, mirror pairs and limbs."""
        if isinstance(self.keypoint_set, Skeleton):
            return self.keypoint_set
        return skeleton_named(self.keypoint_set) if self.keypoint_set else released_skeleton(self.num_keypoints)

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, in the order of the labels."""
        numbered = (PERSON,) if self.num_classes == 1 else tuple(f"class {k}" for k in range(self.num_classes))
        return self.class_names or numbered

    def check(self) -> None:
        if len(self.skeleton) != self.num_keypoints:
            raise Refused(
                f"keypoint_set {self.skeleton.name!r} has {len(self.skeleton)} key points, num_keypoints is "
                f"{self.num_keypoints}: set num_keypoints={len(self.skeleton)}"
            )
        if self.num_classes < 1:
            raise Refused(f"num_classes {self.num_classes}: must be at least 1")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise Refused(f"class_names {self.class_names}: num_classes is {self.num_classes}; give as many names")
        self._check_phases()
        terms = [loss.term for loss in self.losses]
        if len(set(terms)) < len(terms):
            raise Refused(f"losses {terms}: two have the same term; keep one of each")
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
