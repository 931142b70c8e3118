"""What does not keep a contract is found, and the line that a package writes makes a test of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, final

import pytest
import torch
from torch import Tensor, nn

from workbench import testing
from workbench.components.coords.regression import Regression
from workbench.components.necks.pafpn import PAFPN
from workbench.components.segments.scale import Scale
from workbench.core.errors import Refused
from workbench.models.job import Recipe
from workbench.slots import CoordinateStage, Coords, Loss, Matched, Neck, Pyramid, Segment
from workbench.tensors import Cells, Coordinates, Level, Levels
from workbench.testing import contract_tests, contracts_of


@final
@dataclass(frozen=True, kw_only=True)
class Flawed(Neck):
    """A projection of one level, with a flaw or without."""

    flaw: str = ""
    channels: int = 8

    def build(self, levels: Levels) -> Pyramid:
        return _Flawed(self, levels[-1])


class _Flawed(Pyramid):
    def __init__(self, spec: Flawed, level: Level) -> None:
        super().__init__()
        self.flaw = spec.flaw
        self.levels = (Level(spec.channels + (spec.flaw == "lies"), level.stride),)
        self.project = nn.Conv2d(level.channels, spec.channels, 1)
        self.spare = nn.Linear(2, 2) if spec.flaw == "idle" else nn.Identity()

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        if self.flaw == "careless":
            feats[-1].mul_(2)
        return [self.project(feats[-1]) * (float("nan") if self.flaw == "nan" else 1)]


class Open(Neck):
    """Nothing says that it is not to be subclassed."""

    def build(self, levels: Levels) -> Pyramid:
        return _Flawed(Flawed(), levels[-1])


@final
@dataclass(frozen=True, kw_only=True)
class Middle(Coords):
    """The middle of the box, with a flaw or without."""

    offers: ClassVar[frozenset[str]] = frozenset({"teacher"})

    flaw: str = ""

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _Middle(self, pose_channels, keypoints)


class _Middle(CoordinateStage):
    def __init__(self, spec: Middle, pose_channels: int, keypoints: int) -> None:
        super().__init__()
        self.flaw, self.offset = spec.flaw, nn.Linear(pose_channels, 2 * keypoints)

    def forward(self, cells: Cells) -> Coordinates:
        if self.flaw == "lonely" and len(cells) < 2:
            self.offset.requires_grad_(False)
        middle = (cells.boxes[:, :2] + cells.boxes[:, 2:]).float() / 2
        points = middle.unsqueeze(1) + self.offset(cells.pose).float().unflatten(1, (-1, 2))
        return Coordinates(keypoints=points, sigma=points[..., 0] if self.flaw == "more" else None)

    def decode(self, cells: Cells) -> Tensor:
        return self.forward(cells).keypoints + (self.flaw == "apart")


@final
@dataclass(frozen=True, kw_only=True)
class Mean(Loss):
    """The mean of the regressed key points, which nobody has where nobody is."""

    term: ClassVar[str] = "loss_mean"

    def __call__(self, matched: Matched) -> Tensor:
        assert matched.cells.proxy is not None
        return matched.cells.proxy.mean()


@final
@dataclass(frozen=True, kw_only=True)
class Falling(Segment):
    """A rate that falls below 0."""

    def rate(self, value: float, base: float, step: int, total: int) -> float:
        return value - base * step


@final
@dataclass(frozen=True, kw_only=True)
class Wanting(Loss):
    """It needs what no stage offers."""

    term: ClassVar[str] = "loss_wanting"
    needs: ClassVar[frozenset[str]] = frozenset({"depth"})

    def __call__(self, matched: Matched) -> Tensor:
        return matched.sigmas.sum()


FAULTS: tuple[tuple[Any, testing.Contract, str], ...] = (
    (Open(), testing.is_a_value, "decorate it with @final"),
    (Flawed(), testing.is_found, "entry-point group workbench.components"),
    (
        Flawed(),
        testing.runs_with_what_it_accepts,
        r"channels=-1\) is accepted, and then it fails: .*refuse it in check",
    ),
    (Flawed(flaw="lies"), testing.gives_maps_of_its_levels, r"maps of \[\(2, 9, 2, 3\)\]; it gives \[\(2, 8, 2, 3\)\]"),
    (Flawed(flaw="idle"), testing.learns_with_every_weight, r"\['spare.weight', 'spare.bias'\] get no gradient"),
    (Flawed(flaw="careless"), testing.learns_with_every_weight, "changes what it is given"),
    (Flawed(flaw="nan"), testing.fits_a_network, "finite boxes"),
    (Middle(flaw="more"), testing.offers_what_it_says, r"offers \['teacher'\]; it gives \['sigma'\]"),
    (Middle(flaw="apart"), testing.decodes_what_it_learns, "not close"),
    (Middle(flaw="lonely"), testing.learns_from_any_number_of_cells, "have no gradient with 0 cells"),
    (Falling(), testing.gives_a_rate_at_every_step, "rates of 0 or more in 7 steps"),
    (Wanting(), testing.is_a_finite_term_with_a_gradient, r"needs \['depth'\], which no coordinate stage offers"),
)


@pytest.mark.parametrize(("spec", "contract", "said"), FAULTS, ids=[f"{f[0]}-{f[1].__name__}" for f in FAULTS])
def test_a_fault_is_found_and_said(spec: Any, contract: testing.Contract, said: str) -> None:
    assert contract in contracts_of(spec)
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match=said):
        contract(spec)


@pytest.mark.slow
def test_a_loss_that_fails_without_persons_is_found() -> None:
    torch.manual_seed(0)
    with pytest.raises(AssertionError, match="a finite number with 0 persons"):
        testing.is_a_finite_term_with_a_gradient(Mean())


@pytest.mark.parametrize("spec", [Flawed(), Middle()])
def test_what_has_no_fault_but_that_it_is_not_installed_passes(spec: Any) -> None:
    left = {testing.is_found, testing.runs_with_what_it_accepts}
    for contract in contracts_of(spec):
        if contract not in left:
            contract(spec)


def cases(test: Any) -> list[str]:
    (mark,) = test.pytestmark
    return mark.kwargs["ids"]


def test_each_contract_is_a_case_and_those_of_a_class_are_tried_once() -> None:
    one, two = cases(contract_tests(PAFPN())), cases(contract_tests(PAFPN(), PAFPN(depth=1.0)))
    assert len(one) == len(contracts_of(PAFPN())) and "PAFPN-gives_maps_of_its_levels" in one
    assert len(two) == 2 * len(one) - len(testing.OF_CLASSES)
    only = contract_tests(PAFPN(), Regression(), Scale(), only=(testing.comes_back_from_json, testing.fits_a_network))
    assert cases(only) == [
        "PAFPN-comes_back_from_json",
        "PAFPN-fits_a_network",
        "Regression-comes_back_from_json",
        "Regression-fits_a_network",
        "Scale-comes_back_from_json",
    ]


def test_a_case_leaves_the_random_numbers_as_they_were() -> None:
    test: Any = contract_tests(PAFPN())
    before = torch.get_rng_state()
    test(testing.gives_maps_of_its_levels, PAFPN())
    assert torch.equal(torch.get_rng_state(), before)


def test_what_fills_no_slot_is_refused() -> None:
    with pytest.raises(Refused, match=r"is no component; expected a spec of backbone, neck, .*, as MyNeck\(\)"):
        contract_tests(Recipe())


def test_every_contract_of_a_module_is_in_a_list() -> None:
    """One that is written and not listed would test nothing."""
    listed = {*testing.OF_CLASSES, *testing.SPEC_CONTRACTS}
    written = {
        thing
        for name, thing in vars(testing).items()
        if getattr(thing, "__module__", "") == testing.__name__ and not name.startswith(("_", "random", "contract"))
        if callable(thing) and name != "network_taught_by" and not dataclasses.is_dataclass(thing)
    }
    assert written == listed
