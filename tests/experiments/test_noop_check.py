"""Rows that differ in name and not in effect are refused."""

from dataclasses import dataclass
from typing import Any, ClassVar, final

import pytest
from torch import Tensor

from workbench.components.assigners.simota import SimOTA
from workbench.components.coords.dcc import DCC
from workbench.components.losses.kld import KLD
from workbench.core.errors import Refused
from workbench.experiments.noop_check import check_distinct, different
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.slots import Assigner
from workbench.study import PlannedJob, Row, Study, StudyProtocol
from workbench.tensors import Assignment, Dense, Targets


def cells(*rows: Row, trunks: tuple[str, ...] = (), base: dict[str, Any] | None = None) -> list[PlannedJob]:
    study = Study(name="s", question="", source="", base=nano().vary(base or {}), rows=rows)
    setting = StudyProtocol("t", "", Protocol(size=(96, 96)), NANO_RECIPE, seeds=2, trunks=trunks)
    return study.planned_jobs(setting)


@pytest.mark.slow
def test_rows_with_an_effect_pass() -> None:
    check_distinct(
        cells(
            Row("base"),
            Row("switch without parameters", {"coords.dynamic_allocation": False}),
            Row("gradient only", {"coords.box_gradient": False}),
            Row("dropout: in training only", {"coords.gau_dropout_rate": 0.1}),
            Row("assigner", {"assigner.candidate_topk": 5}),
            Row("loss weight", {"losses.MLE.weights": (1.0, 2.0, 2.0)}),
            Row("phase", {"phases.1.overlaps_power": 1.0}),
        )
    )


@pytest.mark.parametrize(
    ("base", "changes", "path"),
    [
        ({"coords.gau": False}, {"coords.gau_s": 48}, "coords.gau_s"),
        ({"losses.KLD": KLD(weights=(0.0, 0.0, 0.0))}, {"losses.KLD": None}, "KLD"),
        ({"coords.gau": False}, {"coords.gau_expansion_factor": 3}, "coords.gau_expansion_factor"),
    ],
)
def test_a_field_that_nothing_reads_is_found(base: dict[str, Any], changes: dict[str, Any], path: str) -> None:
    with pytest.raises(Refused, match=f"'base' and 'other' differ in .*{path}"):
        check_distinct(cells(Row("base"), Row("other", changes), base=base))


def test_the_same_row_with_other_seeds_is_no_fault() -> None:
    check_distinct(cells(Row("base"), Row("A/A", seed_offset=100)))


@pytest.mark.parametrize(
    "changes",
    [{"backbone.width": 0.5}, {"neck.transformer_encoder_layers": 2}, {"head.stacked_convs": 1}],
)
def test_a_frozen_trunk_can_not_be_changed_by_a_row(changes: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="frozen trunk"):
        check_distinct(cells(Row("base"), Row("other", changes), trunks=("a", "b")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"losses.IoU.mode": "linear"}, "losses.IoU.mode"),
        ({"losses.VariFocal": None}, "losses.VariFocal"),
        ({"losses.Visibility.weights": (2.0, 2.0, 2.0), "losses.BoxAux": None}, "losses.Visibility.weights"),
        ({"phases.2.overlaps_power": 1.0}, "phases.2.overlaps_power"),
        ({"phases.2.exact_ignore": True}, "phases.2.exact_ignore"),
        ({"assigner.overlap": "iou"}, "assigner.overlap"),
        ({"coords.box_gradient": False}, "coords.box_gradient"),
    ],
)
def test_what_a_frozen_trunk_does_not_train_is_no_difference(changes: dict[str, Any], path: str) -> None:
    rows = Row("base"), Row("other", changes)
    check_distinct(cells(*rows))  # trained whole, it is one
    with pytest.raises(Refused, match=f"'base' and 'other' differ in .*{path}.*frozen trunk they train the same"):
        check_distinct(cells(*rows, trunks=("a", "b")))


@pytest.mark.slow
def test_what_a_frozen_trunk_trains_is_a_difference() -> None:
    check_distinct(
        cells(
            Row("base"),
            Row("loss weight", {"losses.MLE.weights": (1.0, 2.0, 2.0)}),
            Row("other loss", {"losses.MLE": None, "losses.KLD": KLD()}),
            Row("no proxy loss", {"losses.ProxyL1": None}),
            Row("stage", {"coords.dynamic_allocation": False}),
            Row("assigner", {"assigner.candidate_topk": 5}),
            Row("phase", {"phases.1.proxy": False, "phases.2.proxy": False}),
            Row("start of a phase", {"phases.1.start": 0.3}),
            trunks=("a",),
        )
    )


@final
@dataclass(frozen=True, kw_only=True)
class Nearest(Assigner):
    """An assigner of somebody else's, one of whose fields shapes the class target alone."""

    without_effect_on_frozen_trunk: ClassVar[tuple[str, ...]] = ("sharpness",)

    radius: float = 1.0
    sharpness: float = 1.0

    def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
        return SimOTA().assign(dense, targets, sigmas)


@pytest.mark.slow
def test_an_assigner_says_which_of_its_fields_a_frozen_trunk_hides() -> None:
    base = {"assigner": Nearest()}
    check_distinct(cells(Row("base"), Row("other", {"assigner.radius": 2.0}), base=base, trunks=("a",)))
    rows = Row("base"), Row("other", {"assigner.sharpness": 2.0})
    check_distinct(cells(*rows, base=base))
    with pytest.raises(Refused, match=r"differ in .*assigner.sharpness.*only coords, head.out_pose, head.out_kpt_reg"):
        check_distinct(cells(*rows, base=base, trunks=("a",)))


def test_differences_are_named_by_path() -> None:
    a, b = (cell.job for cell in cells(Row("base"), Row("other", {"coords": DCC()}))[:2])
    assert "variant.coords.num_bins" in different(a, b)
