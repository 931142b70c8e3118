"""Networks by name in every runtime: what is timed, under which names, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.small import small_variant
from workbench import __main__ as command
from workbench import latency, runtimes
from workbench.errors import Refused
from workbench.latency import Patience, Task
from workbench.runtimes import RUNTIMES, compare, table
from workbench.tensors import Detections


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks under the names a and rtmo-s, on a machine where nobody else works."""
    small = {"a": lambda: small_variant(), "rtmo-s": lambda: small_variant(**{"neck.depth": 0.33})}
    monkeypatch.setattr(runtimes.presets, "NETWORKS", small)
    monkeypatch.setattr(latency._Watch, "others", lambda _: 0.0)
    monkeypatch.setattr(latency, "WINDOW", 0.0)
    monkeypatch.setattr(latency, "CALM", 1)


@pytest.mark.parametrize("runtime", [name for name in RUNTIMES if name != "onnx"])  # it takes seconds for each
@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
def test_exactly_the_stated_number_of_persons_is_found(runtime: str, size: tuple[int, int]) -> None:
    """Each in a cell of its own; the network computes all that it computes in use."""
    for persons in (0, 1, 7, 20):
        (found,) = _found(RUNTIMES[runtime].prepare(small_variant(), Task(size, persons), "float32"))
        assert len(found) == persons
        assert len({tuple(box) for box in found.boxes.tolist()}) == persons
        assert np.isfinite(found.keypoints).all()


def _found(call: latency.Call) -> list[Detections]:
    found = call()
    assert isinstance(found, list)
    return found


def test_every_network_in_every_way_and_the_reference_beside_them() -> None:
    task = Task((64, 64), persons=3)
    found = compare(
        ["a"],
        task,
        Patience(most=1),
        runtimes=["eager", "torch"],
        precisions=["float32", "bf16"],
    )
    names = [f"a {r} {p}" for r in ("eager", "torch") for p in ("float32", "bf16")]
    assert list(found.seconds) == [*names, "rtmo-s eager float32"] and found.reference == "rtmo-s eager float32"
    assert found.ratio(found.reference).value == 1
    text = table(found, task)
    assert all(name in text for name in names)
    assert "one image of 64 x 64, 3 persons" in text and found.conditions() in text
    alone = compare(["rtmo-s"], task, Patience(most=1), runtimes=["eager"])
    assert list(alone.seconds) == ["rtmo-s eager float32"]


@pytest.mark.parametrize("runtime", ["eager", "torch"])
def test_bf16_computes_in_bf16(runtime: str) -> None:
    """The answers differ from those in float32, and not by much."""
    prepare, task = RUNTIMES[runtime].prepare, Task((64, 64), persons=5)
    full, half = (_found(prepare(small_variant(), task, p))[0].keypoints for p in ("float32", "bf16"))
    apart = np.median(np.abs(full - half))
    assert 1e-3 < apart < 3, "pixels"


def test_what_can_not_be_timed_is_refused() -> None:
    task = Task((64, 64), persons=3)
    cases: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
        ("no network 'b'; there are a, rtmo-s", ["b"], {}),
        ("no runtime 'tvm'; there are eager, torch", ["a"], {"runtimes": ["tvm"]}),
        ("runtime torch has no precision 'int4'; it has float32", ["a"], {"precisions": ["int4"]}),
        ("twice", ["a", "a"], {}),
    )
    for message, names, more in cases:
        with pytest.raises(Refused, match=message):
            compare(names, task, Patience(), **more)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["latency", "a", "--size", "64", "--persons", "2", "--threads", "1", "--seconds", "1", "--anyway"]
    assert command.main([*common, "--runtime", "eager,torch"]) == 0
    text = capsys.readouterr().out
    assert "a eager float32" in text and "a torch float32" in text and "x rtmo-s eager float32" in text
    assert "2 persons" in text and "1 thread on" in text
    assert command.main([*common, "--runtime", "paper"]) == 2
    assert "no runtime 'paper'" in capsys.readouterr().err
