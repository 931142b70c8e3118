"""Specs: fitted to their types, equal keys for equal values, changed by path, refused with a useful message."""

import inspect
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, final

import pytest

from workbench.components.coords.regression import Regression
from workbench.components.losses.kld import KLD
from workbench.core.errors import Refused
from workbench.core.spec import Spec, from_dict
from workbench.models.catalog import spec_types
from workbench.models.job import Job
from workbench.models.variant import Variant


@final
@dataclass(frozen=True, kw_only=True)
class Knob(Spec):
    ratio: float = 1.0
    pair: tuple[int, int] = (1, 2)
    mode: Literal["a", "b"] = "a"
    note: str | None = None


@final
@dataclass(frozen=True, kw_only=True)
class Box(Spec):
    knob: Knob = Knob()
    knobs: tuple[Knob, ...] = (Knob(), Knob(ratio=2))


def test_values_are_fitted_to_their_types() -> None:
    assert Knob(ratio=64) == Knob(ratio=64.0)
    assert Knob(ratio=64).key == Knob(ratio=64.0).key
    assert Knob(pair=[3, 4]).pair == (3, 4)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wrong", [{"ratio": "1"}, {"pair": (1, 2, 3)}, {"mode": "c"}, {"note": 3}, {"ratio": True}])
def test_a_wrong_type_is_refused(wrong: dict) -> None:
    with pytest.raises(Refused, match=f"Knob.{next(iter(wrong))}"):
        Knob(**wrong)


def test_the_key_is_the_same_in_another_process() -> None:
    """Of a spec alone, which needs no torch; keys of all specs and of a whole job: tests/models/test_catalog.py."""
    known = "from dataclasses import *; from typing import *; from workbench.core.spec import Spec"
    code = f"{known}\n{inspect.getsource(Knob)}\nprint(Knob(ratio=3, mode='b').key)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == Knob(ratio=3, mode="b").key != Knob(ratio=4, mode="b").key
    assert Job(seed=3).key != Job(seed=4).key


def test_a_field_at_its_default_does_not_change_the_key() -> None:
    assert "ratio" not in Knob(ratio=1.0).to_dict()
    assert Knob(ratio=1.0).key == Knob().key != Knob(ratio=1.5).key


def test_paths_lead_into_specs_and_tuples() -> None:
    box = Box().vary({"knob.ratio": 3, "knobs.1.mode": "b"})
    assert (box.knob.ratio, box.knobs[0].mode, box.knobs[1].mode) == (3.0, "a", "b")


def test_a_path_that_leads_nowhere_says_what_there_is() -> None:
    with pytest.raises(KeyError, match=r"'neck.chanels': HybridEncoder has no 'chanels'; it has .*'width'"):
        Variant().vary({"neck.chanels": 3})
    with pytest.raises(KeyError, match=r"no 'KLD' here; there is .*'MLE'"):
        Variant().vary({"losses.KLD.width": 3.0})


def test_losses_are_removed_and_added_by_class_name() -> None:
    variant = Variant().vary({"losses.MLE": None, "losses.KLD": KLD(width=4.0)})
    assert [loss.term for loss in variant.losses][-1] == "loss_kld"
    assert "loss_mle" not in [loss.term for loss in variant.losses]


def test_changes_are_checked_together_not_one_by_one() -> None:
    changes = {"coords": Regression(), "losses.MLE": None, "phases.1.proxy": False, "phases.2.proxy": False}
    assert Variant().vary(changes) == Variant().vary(dict(reversed(changes.items())))


def test_what_was_written_is_read_back() -> None:
    box = Box().vary({"knob.note": "x", "knobs.0.pair": (5, 6)})
    known: dict[str, type[Spec]] = {"Box": Box, "Knob": Knob}
    assert from_dict(box.to_dict(), known) == box == from_dict(box.to_dict(defaults=True), known)
    with pytest.raises(Refused, match=r"no field .*'size'"):
        from_dict({"type": "Knob", "size": 1}, known)
    with pytest.raises(Refused, match="no spec is called 'Knop'"):
        from_dict({"type": "Knop"}, known)


def test_flat_names_every_knob() -> None:
    flat = dict(Box().flat())
    assert flat["knob.pair"] == "1 2" and flat["knobs.1.ratio"] == 2.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 10**400])
@pytest.mark.parametrize("cls", spec_types().values(), ids=spec_types())
def test_no_field_holds_what_is_not_finite(cls: type[Spec], value: float) -> None:
    for field in fields(cls):
        held = getattr(cls(), field.name)
        several = isinstance(held, tuple) and held and isinstance(held[-1], float)
        if isinstance(held, float) or several:
            with pytest.raises(Refused, match=rf"{cls.__name__}.{field.name}.*is no finite number"):
                cls(**{field.name: (*held[:-1], value) if isinstance(held, tuple) else value})


def test_zero_has_one_key() -> None:
    assert Knob(ratio=-0.0).key == Knob(ratio=0.0).key


@final
@dataclass(frozen=True, kw_only=True)
class Trimmed(Spec):
    removed: ClassVar[Mapping[str, Any]] = {"beta": 1.0, "sides": (2, 3), "inner": Knob()}

    ratio: float = 1.0


def test_a_removed_field_is_passed_over_at_its_old_default_alone() -> None:
    known: dict[str, type[Spec]] = {"Trimmed": Trimmed, "Knob": Knob}
    old = {"type": "Trimmed", "ratio": 2, "beta": 1, "sides": [2, 3], "inner": {"type": "Knob"}}
    assert from_dict(old, known) == Trimmed(ratio=2.0)
    assert "beta" not in Trimmed(ratio=2.0).to_dict(defaults=True)
    for name, value in (("beta", 2.0), ("sides", [2, 4]), ("inner", {"type": "Knob", "ratio": 2.0})):
        with pytest.raises(Refused, match=rf"Trimmed.{name}: .* given, but the field was removed and only"):
            from_dict(old | {name: value}, known)
    with pytest.raises(TypeError):
        Trimmed(beta=1.0)  # pyright: ignore[reportCallIssue]


def test_no_removed_field_is_still_there() -> None:
    for cls in spec_types().values():
        assert not set(cls.removed) & {f.name for f in fields(cls)}


def test_an_old_file_of_a_loss_with_options_is_read() -> None:
    old = KLD(width=3.0).to_dict(defaults=True) | {
        "beta": 1.0,
        "label_softmax": False,
        "label_beta": 10.0,
        "reduce": "sum",
    }
    assert from_dict(old, spec_types()) == KLD(width=3.0)
    with pytest.raises(Refused, match=r"KLD.reduce: 'mean' given, but the field was removed"):
        from_dict(old | {"reduce": "mean"}, spec_types())
