"""What the catalogue finds, and that all of it keeps its contracts: a new component is tested by being there."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest

from tests.models.found import FOUND
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.core.augmentation import Augmentation
from workbench.core.errors import Refused
from workbench.core.spec import Spec, from_dict
from workbench.experiments import protocols
from workbench.experiments.project import NECK
from workbench.models import catalog, zoo
from workbench.models.job import Job
from workbench.models.variant import Phase, Variant
from workbench.slots import Assigner, Backbone
from workbench.testing import (
    OF_CLASSES,
    SPEC_CONTRACTS,
    comes_back_from_json,
    contract_tests,
    contracts_of,
    fits_a_network,
    is_a_finite_term_with_a_gradient,
    is_a_value,
    learns_with_every_weight,
    runs_with_what_it_accepts,
)

TYPES = catalog.spec_types()
DEFAULTS = [cls() for named in FOUND.values() for cls in named.values()]
LONGER = (runs_with_what_it_accepts, is_a_finite_term_with_a_gradient, learns_with_every_weight, fits_a_network)
QUICK = [contract for contract in (*OF_CLASSES, *SPEC_CONTRACTS) if contract not in LONGER]


WHOLE: dict[str, Spec] = {
    "nano": zoo.nano(),
    **{f"rtmo_{size}": zoo.rtmo(size) for size in "tsml"},
    **{f"rtmo_{size}_crowdpose": zoo.rtmo(size, 14) for size in "sml"},
    "job": Job(variant=zoo.nano(), recipe=protocols.NANO_RECIPE, seed=3),
}


def test_every_slot_is_filled_by_the_published_part() -> None:
    published = {
        "backbone": {"CSPDarknet"},
        "neck": {"HybridEncoder"},
        "head": {"RTMOHead"},
        "coords": {"DCC"},
        "assigner": {"SimOTA"},
        "losses": {type(loss).__name__ for loss in Variant().losses},
        "schedule": {type(segment).__name__ for segment in Job().recipe.schedule},
        "augment": {type(step).__name__ for step in (*Augmentation().main, *Augmentation().final)},
    }
    assert list(FOUND) == list(published)
    for slot, names in published.items():
        assert names <= set(FOUND[slot])


def test_the_listing_names_every_component_and_knob() -> None:
    lines = catalog.listing().splitlines()
    for slot, named in FOUND.items():
        assert slot in lines
        for name in named:
            assert any(line.startswith(f"  {name}: ") and line.split(": ", 1)[1] for line in lines)
    assert "      padding = 1.25" in lines


class Point:
    """An entry point that gives `thing`."""

    name, value = "other", "package:Thing"

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def load(self) -> object:
        if isinstance(self.thing, Exception):
            raise self.thing
        return self.thing


def installed(monkeypatch: pytest.MonkeyPatch, thing: object) -> dict[str, dict[str, type[Spec]]]:
    points = [cast(EntryPoint, Point(thing))]
    monkeypatch.setattr(catalog, "entry_points", lambda group: points if group == "workbench.components" else [])
    return catalog.discover()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Foreign(Backbone):
    """A component that another package brings."""

    def build(self) -> Any:
        return CSPDarknet().build()


def test_installed_packages_bring_components(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed(monkeypatch, Foreign)["backbone"]["Foreign"] is Foreign
    assert installed(monkeypatch, sys.modules[__name__])["backbone"]["Foreign"] is Foreign
    assert catalog.spec_types()["Foreign"] is Foreign


def test_what_is_no_component_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = dataclasses.make_dataclass("CSPDarknet", [], bases=(Foreign,), frozen=True, kw_only=True)
    for thing, word in (
        (twin, "two components are called CSPDarknet"),
        (ModuleType("empty"), "no component"),
        (Backbone, "no component"),
        (ImportError("no such library"), "no such library"),
    ):
        with pytest.raises(Refused, match=word):
            installed(monkeypatch, thing)


test_contracts = contract_tests(*DEFAULTS, only=QUICK)
test_contracts_that_take_longer = pytest.mark.slow(contract_tests(*DEFAULTS, only=LONGER))


@pytest.mark.parametrize("cls", catalog.OTHERS)
def test_what_is_no_component_is_a_value_as_well(cls: type[Spec]) -> None:
    is_a_value(cls())
    comes_back_from_json(cls())


@pytest.mark.parametrize("name", WHOLE)
def test_presets_survive_json(name: str) -> None:
    comes_back_from_json(WHOLE[name])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(Refused, match="no spec is called 'Nothing'"):
        from_dict({"type": "Nothing"}, TYPES)
    with pytest.raises(Refused, match="channels"):
        from_dict({"type": "DCC", "channels": 3}, TYPES)


def specs() -> dict[str, Spec]:
    return {name: cls() for name, cls in TYPES.items()} | WHOLE


def keys() -> dict[str, str]:
    return {name: spec.key for name, spec in specs().items()}


def test_keys_differ() -> None:
    assert len(set(keys().values())) == len(set(specs().values()))


@pytest.mark.soak
def test_keys_are_the_same_in_another_process() -> None:
    program = "import json; from tests.models.test_catalog import keys; print(json.dumps(keys()))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == keys()


@pytest.mark.parametrize("cls", [*FOUND["assigner"].values(), Phase])
def test_fields_without_effect_on_a_frozen_trunk_exist(cls: type[Assigner] | type[Phase]) -> None:
    assert set(cls.without_effect_on_frozen_trunk) <= {field.name for field in dataclasses.fields(cls)}


def test_components_are_named_on_the_command_line() -> None:
    filled = catalog.filled(
        {"variant.neck": "PAFPN", "variant.losses.KLD": "KLD", "variant.neck.depth": 0.33, "a": "x"}
    )
    assert [type(v).__name__ for v in filled.values()] == ["PAFPN", "KLD", "float", "str"]
    assert Variant().vary({"neck": filled["variant.neck"]}).neck == TYPES["PAFPN"]()


def test_a_slot_is_not_filled_with_an_unknown_name() -> None:
    with pytest.raises(Refused, match=r"PAFN.*neck.*HybridEncoder.*PAFPN"):
        catalog.filled({"variant.neck": "PAFN"})


# Files of one's own


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with `components/`."""
    (tmp_path / "components").mkdir()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "components"]:
        del sys.modules[name]


def test_a_component_in_the_current_folder_is_found_beside_studies(own_folder: Path) -> None:
    (own_folder / "components/my_neck.py").write_text(NECK)
    assert "PlainNeck" not in catalog.discover()["neck"], "a folder of that name alone is none of ours"
    (own_folder / "studies").mkdir()
    neck = catalog.discover()["neck"]["PlainNeck"]
    assert catalog.filled({"variant.neck": "PlainNeck"}) == {"variant.neck": neck()}
    assert "PlainNeck: A 1x1 projection per level" in catalog.listing()
    for contract in contracts_of(neck()):
        contract(neck())


def test_a_file_of_ones_own_that_raises_is_refused_with_its_name(own_folder: Path) -> None:
    (own_folder / "studies").mkdir()
    (own_folder / "components/odd.py").write_text("1 / 0")
    with pytest.raises(Refused, match=r"components/odd.py cannot be imported: ZeroDivisionError.*; correct it"):
        catalog.discover()
