"""The benchmarks measure what they say: the step in parts is the real one, the plain step computes the same."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import _record, same
from benchmarks import train as bench
from benchmarks._floors import multiply_adds, products
from benchmarks._plain import OneByOne, PlainTraining
from tests.components.assigners.test_simota import SETTINGS, drawn
from tests.small import small_job
from workbench import __main__ as command
from workbench.components.assigners.simota import SimOTA
from workbench.core.errors import Refused
from workbench.data.loader import Loader
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.inference import cost, timing
from workbench.models.job import Job
from workbench.training.loop import TrainingState, train
from workbench.training.machine import Machine


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(timing, "WINDOW", 0.0)
    return tmp_path


def loader(job: Job) -> Loader:
    return Loader(list(SyntheticScenes("easy", 64, count=24)), job.protocol.batch, seed=job.seed, images=16)


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_plain_assignment_is_the_real_one(setting: Mapping[str, float]) -> None:
    spec = SimOTA(**setting)  # pyright: ignore[reportArgumentType]
    for seed in range(4):
        dense, targets, sigmas = drawn(seed, classes=2)
        targets.present[1] = False  # an image with nobody
        ours, plain = (s.assign(dense, targets, sigmas) for s in (spec, OneByOne(as_in=spec)))
        assert len(ours.cell) > 3
        for name in ("image", "cell", "person"):
            assert torch.equal(getattr(ours, name), getattr(plain, name)), name
        torch.testing.assert_close(ours.overlaps, plain.overlaps)


@pytest.mark.slow
def test_the_plain_step_moves_the_weights_as_the_real_one() -> None:
    job = small_job(epochs=2)
    data = loader(job)
    state, plain = TrainingState(job, Machine()), PlainTraining(job)
    first, total = weights(state.model), job.protocol.epochs * len(data)
    for tick, batch in zip(train(job, state, data, len(data)), (b for e in range(2) for b in data(e)), strict=True):
        plain.step(batch, round(tick.progress * total) - 1, total)
    for real, other in ((state.model, plain.model), (state.averaged, plain.ema)):
        moved, there = weights(real), weights(other)
        assert moved.keys() == there.keys()
        names = [n for n, t in moved.items() if t.is_floating_point()]
        a, b = (torch.cat([(w[n] - first[n]).flatten() for n in names]) for w in (moved, there))
        assert a.norm() > 0
        assert (a - b).norm() < 0.02 * a.norm()


def test_the_step_in_parts_is_the_real_one() -> None:
    job = small_job(epochs=4)
    data = loader(job)
    parts, state = bench.Parts(job, data, len(data), Machine()), TrainingState(job, Machine())
    state.epoch = bench.middle(job)
    for _ in train(job, state, data, len(data)):
        parts()
    for real, cut in ((state.model, parts.state.model), (state.averaged, parts.state.averaged)):
        ours, theirs = weights(cut), weights(real)
        assert all(torch.equal(ours[n], theirs[n]) for n in theirs)
    assert {len(parts.seconds[p]) for p in bench.PARTS} == {len(parts.cpu[p]) for p in bench.PARTS} == {2 * len(data)}


def test_what_is_alive_is_counted_once_and_no_longer_than_it_lives() -> None:
    kept = torch.zeros(1000)
    with bench.Alive([kept, kept[:10]]) as alive:
        assert alive.now == 4000
        big = torch.ones(2000)
        view = big.view(2, 1000) + 0  # a view costs nothing
        del view
        assert alive.now == 12_000 and alive.peak == 20_000
        del big
        kept.add_(1)
        small = torch.zeros(10)
        assert alive.now == 4040 and alive.peak == 20_000
        del small


def test_a_backward_pass_is_seen_and_what_it_keeps() -> None:
    layer, x = nn.Linear(100, 50, bias=False), torch.ones(10, 100)
    peak = bench.peak(lambda: layer(x).square().sum().backward(), layer)
    weight, output = 4 * 5000, 4 * 500
    assert 2 * weight + output <= 1e6 * peak <= 2 * weight + 3 * output


@pytest.mark.slow
def test_the_floor_makes_as_many_multiply_adds_as_the_step() -> None:
    job = small_job()
    one = cost.flops(job.variant, (64, 64), persons=1, form="published", counter="torch")
    assert multiply_adds(job, 5) == 3 * ((one.backbone + one.neck + one.head) * 8 + 5 * one.coords)
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        products(700_000_000, Machine())()
    assert counter.get_total_flops() // 2 == pytest.approx(700_000_000, rel=0.1)


@pytest.mark.soak
def test_the_training_benchmark(
    record: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = bench.Case("tiny", small_job(epochs=1000, eval_images=2), threads=1)
    monkeypatch.setattr(bench, "cases", lambda: [case])
    monkeypatch.setattr(bench, "WORKERS", 0)
    assert command.main(["bench", "train", "--rounds", "2", "--label", "before", "--anyway"]) == 0
    text = capsys.readouterr().out
    with (record / "bench_train.csv").open() as file:
        lines = {line["what"]: line for line in csv.DictReader(file)}
    assert list(lines) == [*bench.PARTS, "train", "plain", "matrix products", "loader alone", "loader alone, 0 workers"]
    assert all(what in text for what in lines)
    assert all(float(line["images_per_s"]) > 0 and line["label"] == "before" for line in lines.values())
    assert sum(float(lines[part]["share"]) for part in bench.PARTS) == pytest.approx(1, abs=1e-3)
    assert float(lines["plain"]["x_plain"]) == 1
    assert float(lines["train"]["peak_mb"]) > 0 and float(lines["plain"]["peak_mb"]) > 0
    assert int(lines["train"]["positives"]) > 0 and lines["train"]["rounds"] == "2"


@pytest.mark.soak
def test_the_benchmark_of_the_instrument(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--size", "64", "--repeat", "2", "--seconds", "0.1", "--anyway"]
    code = command.main(["bench", "same", *options])
    with (record / "bench_same.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["repetition"] for line in lines] == ["1", "2"]
    worst = max(abs(float(line["ratio"]) - 1) for line in lines)
    assert code == (worst >= same.ALLOWED)
    assert f"largest difference {worst:.2%}" in capsys.readouterr().out


def test_lines_are_added_and_other_columns_refused(record: Path) -> None:
    path = _record.append("x", [{"a": 1, "b": "two, three"}])
    assert _record.append("x", [{"a": 2, "b": ""}]) == path == record / "bench_x.csv"
    assert path.read_text() == 'a,b\n1,"two, three"\n2,\n'
    with pytest.raises(Refused, match=r"columns \['a', 'b'\], the new lines \['a', 'c'\]"):
        _record.append("x", [{"a": 1, "c": 2}])
    assert path.read_text().count("\n") == 3
