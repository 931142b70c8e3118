"""From the words of a person to a job: the network stays as it is named, the protocol says how it is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.folders import content, folder
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO, CROWDPOSE
from workbench.experiments.own_job import WHOLE, own_job
from workbench.experiments.protocols import PROTOCOLS
from workbench.models.catalog import SLOTS
from workbench.models.zoo import nano
from workbench.row import job_of
from workbench.study import Study, find_study


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder(tmp_path, content())
    return folder(tmp_path, content(), "val2017")


def parts(variant: Any) -> dict[str, Any]:
    return {slot: getattr(variant, slot) for slot in ("backbone", "neck", "head")}


def test_a_small_network_trains_as_a_row_of_the_laptop_does() -> None:
    made = own_job("nano")
    laptop = PROTOCOLS["laptop"]
    assert (made.protocol, made.data) == ("laptop", None)
    assert made.job.variant == nano().vary({p: v for p, v in laptop.scale.items() if p not in SLOTS})
    assert (made.job.recipe, made.job.protocol) == (laptop.recipe, laptop.protocol)


@pytest.mark.parametrize("protocol", WHOLE)
@pytest.mark.parametrize("name", ["nano", "rtmo-s", "stdc1-rtmo"])
def test_no_protocol_makes_another_network_of_a_named_one(name: str, protocol: str, data: Path) -> None:
    made = own_job(name, data=data, protocol=protocol).job.variant
    assert parts(made) == parts(own_job(name).job.variant)


@pytest.mark.parametrize(
    ("name", "augment", "sides", "size", "epochs"),
    [
        ("rtmo-t", "rtmo-t", (320, 640), 416, 600),
        ("rtmo-s", "rtmo", (480, 800), 640, 600),
        ("rtmo_m", "rtmo-ml", (480, 800), 640, 600),
        ("rtmo-l", "rtmo-ml", (480, 800), 640, 600),
        ("stdc1-rtmo", "rtmo", (480, 800), 640, 600),
    ],
)
def test_a_published_network_on_data_is_trained_as_published(
    name: str, augment: str, sides: tuple[int, int], size: int, epochs: int, data: Path
) -> None:
    made = own_job(name, data=data)
    protocol = made.job.protocol
    assert (made.protocol, protocol.augment, protocol.sides) == ("paper", augment, sides)
    assert (protocol.size, protocol.epochs, protocol.batch) == ((size, size), epochs, 256)
    assert protocol.data.startswith("coco@") and made.data == data.resolve()


def test_crowdpose_has_its_own_schedule(tmp_path: Path) -> None:
    folder(tmp_path, content(14))
    made = own_job("rtmo-s-crowdpose", data=folder(tmp_path, content(14), "val2017")).job
    assert (made.protocol.epochs, made.protocol.augment) == (700, "crowdpose")
    assert made.recipe.schedule != own_job("rtmo-s").job.recipe.schedule
    assert made.variant.skeleton == CROWDPOSE and made.variant.num_keypoints == 14


def test_key_points_and_amount_are_those_of_the_data(data: Path) -> None:
    made = own_job("nano", data=data)
    protocol = made.job.protocol
    assert made.job.variant.skeleton == COCO and "coco (17)" in made.said
    assert (protocol.images, protocol.epoch_images, protocol.eval_images) == (0, 0, 0)
    assert (protocol.augment, protocol.size) == ("light", (96, 96))
    assert own_job("nano", data=data, protocol="smoke").job.protocol.epoch_images == 96, "a trial stays one"


def test_a_row_is_what_its_study_makes_of_it() -> None:
    study = find_study("ablate_dcc")
    assert isinstance(study, Study)
    row = study.rows[0]
    made = own_job(f"ablate_dcc:{row.label}", protocol="short", seed=2)
    assert made.job == job_of(study.base, row, PROTOCOLS["short"], 2)
    assert own_job(f"ablate_dcc:{row.label}").protocol == "laptop", "its own begins with trunks"


def test_what_follows_from_a_change_is_kept_in_proportion(data: Path) -> None:
    made = own_job("rtmo-s", data=data, changes={"protocol.epochs": 60, "protocol.size": (320, 320)}).job.protocol
    assert (made.epochs, made.eval_every, made.sides) == (60, 2, (256, 384))
    given = {"protocol.epochs": 60, "protocol.eval_every": 7, "protocol.size": (320, 320), "protocol.sides": (0, 0)}
    made = own_job("rtmo-s", data=data, changes=given).job.protocol
    assert (made.eval_every, made.sides) == (7, (0, 0))
    assert own_job("nano", changes={"protocol.epochs": 20}).job.protocol.eval_every == 2


def test_a_change_is_one_of_the_job() -> None:
    made = own_job("nano", seed=3, changes={"recipe.lr": 0.5, "variant.assigner": "SimOTA"}).job
    assert (made.seed, made.recipe.lr) == (3, 0.5)
    assert own_job("nano", changes={"protocol.data": "figures-hard"}).job.protocol.data == "figures-hard"
    assert replace(own_job("nano", seed=3).job, seed=0) == own_job("nano").job


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("nano", {"protocol": "thaw"}, "protocol thaw does not train one whole network from scratch.*use smoke, short"),
        ("nano", {"changes": {"seed": 3}}, "--set seed=3: seed has an option of its own; use --seed N"),
        ("nano", {"changes": {"start.key": "x"}}, "--set start.key=x: start has an option of its own"),
        ("nano", {"changes": {"protocol.data": "coco"}}, "data 'coco' is a data set on disk; add --data FOLDER"),
        ("nano", {"changes": {"recipe.rate": 1}}, "--set 'recipe.rate': Recipe has no 'rate'"),
        ("nano", {"changes": {"protocol.size": (100, 100)}}, "size .100, 100.: height and width must be"),
        ("rtmo-s", {"protocol": "paper"}, "rtmo-s: data 'coco' is a data set on disk; add --data FOLDER"),
        ("rtmo-s-crowdpose", {}, "embedded data set has 17 key points"),
        ("ablate_dcc:nobody", {}, "ablate_dcc has no row 'nobody'; there are"),
        ("profile_persons:x", {}, "profile_persons has no rows that are trained"),
        ("nano", {"data": Path("nowhere")}, "no data folder nowhere"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        own_job(name, **given)


def test_a_change_of_the_data_is_an_option(data: Path) -> None:
    with pytest.raises(Refused, match="use --data FOLDER"):
        own_job("nano", data=data, changes={"protocol.data": "figures-easy"})
