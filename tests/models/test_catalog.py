"""Contracts of everything that the catalogue finds, so that a new component is tested by being there."""

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
import torch

from tests.models.found import FOUND, K, every, some_persons
from workbench.components.backbones.csp_darknet import CSPDarknet
from workbench.core.augmentation import Augmentation
from workbench.core.errors import Refused
from workbench.core.skeletons import released_skeleton
from workbench.core.spec import Spec, from_dict
from workbench.experiments import protocols
from workbench.experiments.project import NECK
from workbench.models import catalog, zoo
from workbench.models.job import Job
from workbench.models.network import decoded
from workbench.models.variant import Phase, Variant
from workbench.slots import Assigner, Backbone, Coords, Head, Neck, Outputs
from workbench.tensors import Cells, Level

TYPES = catalog.spec_types()


LEVELS = (Level(24, 8), Level(40, 16), Level(56, 32))  # no two alike


WHOLE: dict[str, Spec] = {
    "nano": zoo.nano(),
    **{f"rtmo_{size}": zoo.rtmo(size) for size in "tsml"},
    **{f"rtmo_{size}_crowdpose": zoo.rtmo(size, 14) for size in "sml"},
    "job": Job(variant=zoo.nano(), recipe=protocols.NANO_RECIPE, seed=3),
}


everything = pytest.mark.parametrize("cls", TYPES.values(), ids=TYPES)


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


@everything
def test_specs_are_final_frozen_documented_values(cls: type[Spec]) -> None:
    assert getattr(cls, "__final__", False), "a component is not subclassed: decorate it with @final"
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}(")
    spec = cls()
    assert spec == cls() and hash(spec) == hash(cls()) and spec.key == cls().key
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field.name, None)
    list(spec.flat())


def again(spec: Spec, defaults: bool) -> Spec:
    return from_dict(json.loads(json.dumps(spec.to_dict(defaults=defaults))), TYPES)


@pytest.mark.parametrize("defaults", [False, True])
@everything
def test_defaults_survive_json(cls: type[Spec], defaults: bool) -> None:
    assert again(cls(), defaults) == cls()
    assert again(cls(), defaults).key == cls().key


@pytest.mark.parametrize("defaults", [False, True])
@pytest.mark.parametrize("name", WHOLE)
def test_presets_survive_json(name: str, defaults: bool) -> None:
    spec = WHOLE[name]
    assert again(spec, defaults) == spec and again(spec, defaults).key == spec.key


def test_unknown_names_are_refused() -> None:
    with pytest.raises(Refused, match="no spec is called 'Nothing'"):
        from_dict({"type": "Nothing"}, TYPES)
    with pytest.raises(Refused, match="channels"):
        from_dict({"type": "DCC", "channels": 3}, TYPES)


def specs() -> dict[str, Spec]:
    return {name: cls() for name, cls in TYPES.items()} | WHOLE


def keys() -> dict[str, str]:
    return {name: spec.key for name, spec in specs().items()}


@pytest.mark.slow
def test_keys_differ_and_are_the_same_in_another_process() -> None:
    here = keys()
    assert len(set(here.values())) == len(set(specs().values()))
    program = "import json; from tests.models.test_catalog import keys; print(json.dumps(keys()))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == here


@every("backbone")
def test_backbones_give_what_their_levels_say(cls: type[Backbone]) -> None:
    with torch.device("meta"):
        module = cls().build().eval()
        feats = module(torch.empty(2, 3, 64, 96))
    assert [level.stride for level in module.levels] == [8, 16, 32]
    shapes = [(2, level.channels, 64 // level.stride, 96 // level.stride) for level in module.levels]
    assert [tuple(f.shape) for f in feats] == shapes


@every("neck")
def test_necks_give_what_their_levels_say(cls: type[Neck]) -> None:
    with torch.device("meta"):
        module = cls().build(LEVELS).eval()
        feats = module([torch.empty(2, level.channels, 64 // level.stride, 96 // level.stride) for level in LEVELS])
    strides = [level.stride for level in module.levels]
    assert strides and strides == sorted(set(strides))
    shapes = [(2, level.channels, 64 // level.stride, 96 // level.stride) for level in module.levels]
    assert [tuple(f.shape) for f in feats] == shapes


@pytest.mark.parametrize("cls", [*FOUND["assigner"].values(), Phase])
def test_fields_without_effect_on_a_frozen_trunk_exist(cls: type[Assigner] | type[Phase]) -> None:
    assert set(cls.without_effect_on_frozen_trunk) <= {field.name for field in dataclasses.fields(cls)}


@pytest.mark.parametrize("proxy", [False, True])
@pytest.mark.parametrize("levels", [LEVELS, LEVELS[1:], LEVELS[:1]])
@every("head")
def test_heads_answer_for_every_cell(cls: type[Head], levels: tuple[Level, ...], proxy: bool) -> None:
    with torch.device("meta"):
        module = cls().build(levels, 2, K).eval()
        feats = [torch.empty(3, level.channels, 64 // level.stride, 96 // level.stride) for level in levels]
        out = module(feats, proxy)
    cells = sum(64 // level.stride * 96 // level.stride for level in levels)
    assert module.strides == tuple(level.stride for level in levels)
    widths = {"cls": 2, "box": 4, "vis": K, "pose": module.pose_channels} | ({"proxy": 2 * K} if proxy else {})
    for name, width in widths.items():
        assert getattr(out, name).shape == (3, cells, width), name
    assert (out.proxy is None) == (not proxy)


def some_cells(p: int) -> Cells:
    points = torch.rand(p, 2) * 96
    return Cells(
        pose=torch.randn(p, 16),
        boxes=torch.cat((points - 20, points + 30), 1),
        points=points,
        strides=torch.full((p,), 16.0),
        proxy=points.unsqueeze(1) + torch.randn(p, K, 2),
        canvas=(96, 96),
    )


@pytest.mark.parametrize("p", [0, 1, 3])
@every("coords")
def test_coordinate_stages_offer_what_they_say(cls: type[Coords], p: int) -> None:
    stage, cells = cls().build(16, K), some_cells(p)
    for training in (True, False):
        out = stage.train(training)(cells)
        held = {"sigma": out.sigma, "axes": out.x and out.y, "grid": out.grid}
        assert {name for name, value in held.items() if value is not None} == cls().offers - {"teacher", "probes"}
        assert out.keypoints.shape == (p, K, 2) and out.keypoints.isfinite().all()
    with torch.no_grad():
        decoded_only = stage.decode(cells)
    torch.testing.assert_close(decoded_only, out.keypoints, rtol=0, atol=1e-2)


@every("coords")
def test_coordinate_stages_read_the_regression_branch_only_if_they_say_so(cls: type[Coords]) -> None:
    cells = dataclasses.replace(some_cells(2), proxy=None)
    stage = cls().build(16, K).eval()
    if cls().reads_proxy:
        with pytest.raises(Refused):
            stage.decode(cells)
    else:
        assert stage.decode(cells).shape == (2, K, 2)


@pytest.mark.parametrize("people", [0, 1, 3])
@every("assigner")
def test_assigners_give_every_cell_at_most_one_person_who_is_there(cls: type[Assigner], people: int) -> None:
    shapes = [(4, 4), (2, 2)]
    out = Outputs(
        cls=torch.randn(2, 20, 1),
        box=torch.randn(2, 20, 4) * 0.3,
        proxy=torch.randn(2, 20, 2 * K),
        vis=torch.randn(2, 20, K),
        pose=torch.randn(2, 20, 16),
    )
    targets = some_persons(people)
    got = cls().assign(decoded(out, shapes, (16, 32)), targets, torch.tensor(released_skeleton(K).sigmas))
    flat = got.image * 20 + got.cell
    assert flat.tolist() == sorted(set(flat.tolist()))
    assert targets.present[got.image, got.person].all()
    assert ((got.overlaps >= 0) & (got.overlaps <= 1)).all()
    assert len(got.image) == len(got.cell) == len(got.person) == len(got.overlaps)
    assert bool(len(flat)) == bool(targets.present.any())


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


def test_a_file_of_ones_own_that_raises_is_refused_with_its_name(own_folder: Path) -> None:
    (own_folder / "studies").mkdir()
    (own_folder / "components/odd.py").write_text("1 / 0")
    with pytest.raises(Refused, match=r"components/odd.py cannot be imported: ZeroDivisionError.*; correct it"):
        catalog.discover()
