"""Networks by name in every runtime: what is timed, under which names, and what is refused."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import _record, deploy_gpu
from tests.small import small_variant
from workbench import __main__ as command
from workbench.cli import names as known_names
from workbench.core.errors import Refused
from workbench.inference import runtimes, timing
from workbench.inference.latency import TimingTask, with_batch_statistics
from workbench.inference.runtimes import RUNTIMES, compare, latency_table
from workbench.inference.timing import Patience
from workbench.models import zoo
from workbench.models.network import Network
from workbench.tensors import Detections


def few_rounds(patience: Patience, times: Mapping[str, Sequence[float]], *_: object) -> bool:
    """Ten rounds are enough to see that it is measured; how long it takes has tests of its own."""
    return all(len(one) >= min(patience.most, timing.LEAST_ROUNDS) for one in times.values())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small networks under the names a and rtmo-s, on a machine where nobody else works."""
    small = {"a": lambda: small_variant(), "rtmo-s": lambda: small_variant(**{"neck.depth": 0.33})}
    monkeypatch.setattr(zoo, "NETWORKS", small)
    monkeypatch.setattr(known_names, "NETWORKS", tuple(small))
    monkeypatch.setattr(timing.CoreWatch, "others", lambda _: 0.0)
    monkeypatch.setattr(timing, "WINDOW", 0.0)
    monkeypatch.setattr(timing, "CALM", 1)
    monkeypatch.setattr(timing.Patience, "over", few_rounds)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["eager", "torch"])  # onnx takes seconds for each
@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
def test_exactly_the_stated_number_of_persons_is_found(runtime: str, size: tuple[int, int]) -> None:
    """Each in a cell of its own; the network computes all that it computes in use."""
    for persons in (0, 1, 7, 20):
        task = TimingTask(size, persons, batch=1 + (persons == 7))
        every = _found(RUNTIMES[runtime].prepare(with_batch_statistics(small_variant(), task), task, "float32"))
        assert [len(found) for found in every] == [persons] * task.batch
        for found in every:
            assert len({tuple(box) for box in found.boxes.tolist()}) == persons
            assert np.isfinite(found.keypoints).all()


def _found(call: timing.Call) -> list[Detections]:
    found = call()
    assert isinstance(found, list)
    return found


@pytest.mark.slow
def test_every_network_in_every_way_and_the_reference_beside_them() -> None:
    task = TimingTask((64, 64), persons=3)
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
    text = latency_table(found, task)
    assert all(name in text for name in names)
    assert "one image of 64 x 64, 3 persons" in text and found.conditions() in text
    alone = compare(["rtmo-s"], task, Patience(most=1), runtimes=["eager"])
    assert list(alone.seconds) == ["rtmo-s eager float32"]


@pytest.mark.parametrize("runtime", ["eager", "torch"])
def test_low_precisions_compute_in_them(runtime: str) -> None:
    """The answers differ from those in float32, and not by much; less where the type has more digits."""
    prepare, task = RUNTIMES[runtime].prepare, TimingTask((64, 64), persons=5)
    network = with_batch_statistics(small_variant(), task)
    full, *halves = (_found(prepare(network, task, p))[0].keypoints for p in ("float32", "bf16", "fp16"))
    coarse, fine = (np.median(np.abs(full - half)) for half in halves)
    assert 1e-4 < fine < coarse / 2 and 1e-3 < coarse < 3, "pixels"


@pytest.mark.slow
def test_a_written_file_runs_beside_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it finds is tested with the export."""
    task = TimingTask((64, 64), persons=3)
    monkeypatch.setattr(runtimes, "written_call", lambda path, task: lambda: [path])
    found = compare(["a", "mine.onnx"], task, Patience(most=1))
    assert list(found.seconds) == ["a torch float32", "rtmo-s eager float32", "mine.onnx onnx"]
    with pytest.raises(Refused, match="runtime onnx does not run on cuda"):
        runtimes.check_runtimes(["onnx"], ["float32"], "cuda")


def test_what_onnx_runtime_does_not_read_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "other.onnx").write_text("hello")
    with pytest.raises(Refused, match="not a file that ONNX Runtime reads"):
        runtimes.written_call(tmp_path / "other.onnx", TimingTask((64, 64)))


@pytest.mark.parametrize(
    ("runtime", "package", "extras"), [("onnx", "onnxscript", "onnx"), ("openvino", "openvino", "onnx,openvino")]
)
def test_what_is_not_installed_is_refused(
    runtime: str, package: str, extras: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = rf"latency: runtime {runtime}: it is not installed; install rtmo-workbench\[{extras}\]"
    with pytest.raises(Refused, match=said):
        compare(["a"], TimingTask((64, 64)), Patience(), runtimes=["torch", runtime])


def test_what_can_not_be_timed_is_refused() -> None:
    task = TimingTask((64, 64), persons=3)
    cases: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
        ("no network 'b'; there are a, rtmo-s", ["b"], {}),
        ("x.onnx: no such file", ["x.onnx"], {}),
        ("x.onnx: one stands there twice", ["x.onnx", "x.onnx"], {}),
        ("no runtime 'tvm'; there are eager, torch", ["a"], {"runtimes": ["tvm"]}),
        ("runtime torch has no precision 'int4'; it has float32", ["a"], {"precisions": ["int4"]}),
        ("twice", ["a", "a"], {}),
    )
    for message, names, more in cases:
        with pytest.raises(Refused, match=message):
            compare(names, task, Patience(), **more)


def test_a_device_that_a_runtime_has_not_is_refused() -> None:
    with pytest.raises(Refused, match="runtime cudagraph does not run on cpu; add --device cuda"):
        compare(["a"], TimingTask((64, 64)), Patience(), runtimes=["eager", "cudagraph"])
    with pytest.raises(Refused, match="runtime onnx does not run on cuda:1; add --device cpu"):
        runtimes.check_runtimes(["eager", "onnx"], ["float32"], "cuda:1")


@pytest.mark.soak
def test_the_benchmark_for_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--network", "a", "--size", "64", "--batch", "2", "--seconds", "1", "--anyway"]
    if not torch.cuda.is_available():
        assert command.main(["bench", "deploy_gpu", *options]) == 2
        assert "torch sees no GPU" in capsys.readouterr().err
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(deploy_gpu, "DEVICE", "cpu")
    monkeypatch.setattr(deploy_gpu, "FORMS", ("eager", "torch"))
    monkeypatch.setattr(deploy_gpu, "PRECISIONS", ("bf16",))
    monkeypatch.setattr(deploy_gpu, "PERSONS", (0, 10))
    assert command.main(["bench", "deploy_gpu", *options]) == 0
    assert "torch bf16 10: 10 persons; key points differ by" in capsys.readouterr().out
    with (tmp_path / "bench_deploy_gpu.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["form"], line["persons"], line["batch"]) for line in lines] == [
        ("eager float32", "10", "1"),
        *((f"{form} bf16", persons, "1") for form in ("eager", "torch") for persons in ("0", "10")),
        ("eager float32", "10", "2"),
        *((f"{form} bf16", "10", "2") for form in ("eager", "torch")),
    ]
    for line in lines:
        low, p50, high = (float(line[name]) for name in ("p50_low", "p50_ms", "p50_high"))
        assert 0 < low <= p50 <= high
        assert float(line["images_per_s"]) == pytest.approx(1000 * int(line["batch"]) / p50, rel=0.01)


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["latency", "a", "--size", "64", "--persons", "2", "--threads", "1", "--seconds", "1", "--anyway"]
    assert command.main([*common, "--runtime", "eager,torch"]) == 0
    text = capsys.readouterr().out
    assert "a eager float32" in text and "a torch float32" in text and "x rtmo-s eager float32" in text
    assert "2 persons" in text and "1 thread on" in text
    assert command.main([*common, "--runtime", "paper"]) == 2
    assert "--runtime 'paper': expected eager, torch" in capsys.readouterr().err


@pytest.mark.slow
def test_a_runtime_is_one_entry(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    called: list[str] = []

    def prepare(network: Network, task: TimingTask, precision: str) -> timing.Call:
        called.append(precision)
        return RUNTIMES["eager"].prepare(network, task, precision)

    monkeypatch.setitem(runtimes.RUNTIMES, "mine", runtimes.Runtime(("float32",), prepare))  # pyright: ignore[reportArgumentType]
    monkeypatch.setattr(known_names, "RUNTIMES", (*known_names.RUNTIMES, "mine"))
    words = ["latency", "a", "--runtime", "mine", "--size", "64", "--persons", "1", "--threads", "1", "--seconds", "1"]
    assert command.main([*words, "--anyway"]) == 0
    assert "a mine float32" in capsys.readouterr().out and called == ["float32"]
