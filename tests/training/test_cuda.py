"""On a GPU: the same numbers as on the CPU, part by part, and whole jobs. Skipped without one."""

import warnings
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from studies.ablate_dcc import STUDY
from tests.small import small_job
from workbench.core import distributed
from workbench.data.loader import collate
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import protocol_named
from workbench.models.criterion import losses
from workbench.models.decode import keep, poses
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.study import with_starts
from workbench.tensors import Batch
from workbench.training.loop import TrainingState, train
from workbench.training.machine import Machine
from workbench.training.record import Result, read_losses
from workbench.training.run import run
from workbench.training.source import open_source
from workbench.training.validate import evaluate_network

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"),
]
TO = "cuda"


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Products in float32: by default convolutions on a GPU take 10 bits of each factor (TF32)."""
    products, before = torch.backends.cudnn, torch.backends.cudnn.allow_tf32  # pyright: ignore[reportAttributeAccessIssue]
    products.allow_tf32 = False  # pyright: ignore[reportAttributeAccessIssue]
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # what torch says of a card is no fault of ours
        yield
    products.allow_tf32 = before  # pyright: ignore[reportAttributeAccessIssue]


def rows(protocol: str) -> dict[str, Job]:
    """The jobs of `ablate_dcc`'s first seed by row, those first that others begin with."""
    planned = StudyRun(STUDY, protocol_named(protocol), Path(), seeds=1).jobs()
    return {one.row: one.job for one in with_starts(planned)}


ROWS = rows("smoke") | {f"fork, {name}": job for name, job in rows("fork").items() if not job.start.key}


def batch(count: int = 8, size: int = 96) -> Batch:
    scenes = SyntheticScenes("easy", size, count=count)
    return collate([scenes[i] for i in range(count)])


def moved(value: Any) -> Any:
    """Tensors, and records of them, on the GPU."""
    if isinstance(value, Tensor):
        return value.detach().to(TO)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: moved(getattr(value, f.name)) for f in fields(value)})
    return value


def close(ours: Tensor, theirs: Tensor, within: float = 1e-4) -> None:
    """By the norm of the difference, as a share of the norm."""
    ours, theirs = ours.detach().double().cpu(), theirs.detach().double().cpu()
    assert ours.shape == theirs.shape and bool(torch.isfinite(ours).all())
    assert float((ours - theirs).norm()) <= within * float(theirs.norm()) + 1e-9


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_the_network_says_the_same(name: str, training: bool) -> None:
    net = Network(ROWS[name].variant, 0).train(training)
    there, images = Network(ROWS[name].variant, 0).train(training).to(TO), batch().images
    with torch.no_grad():
        ours, theirs = there(images.to(TO)), net(images)
    for part in ("cls", "box_raw", "vis", "pose"):
        close(getattr(ours, part), getattr(theirs, part))


@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize("name", ROWS)
def test_every_loss_and_its_gradient_in_every_phase(name: str, phase: int) -> None:
    net, there, seen = Network(ROWS[name].variant, 0), Network(ROWS[name].variant, 0).to(TO), batch()
    dense = net.train()(seen.images)
    ours = losses(there.train(), moved(dense), seen.targets.to(TO), phase)
    theirs = losses(
        net, replace(dense, **{f.name: detached(getattr(dense, f.name)) for f in fields(dense)}), seen.targets, phase
    )
    assert ours.keys() == theirs.keys()
    for term in ours:
        close(ours[term], theirs[term])
    for terms in (ours, theirs):
        torch.stack(
            [t for t in terms.values() if t.requires_grad] or [next(there.parameters()).sum() * 0]
        ).sum().backward()
    close(gradient(there), gradient(net), 1e-3)


def gradient(network: Network) -> Tensor:
    """Of the coordinate stage, as a whole: of a bias before a norm it is 0 but for rounding."""
    found = [p.grad.flatten() for p in network.coords.parameters() if p.grad is not None]
    return torch.cat(found) if found else torch.zeros(1)


def detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("name", ROWS)
def test_the_same_cells_learn_and_the_same_persons_are_found(name: str) -> None:
    variant, seen = ROWS[name].variant, batch()
    net, there = Network(variant, 0).eval(), Network(variant, 0).eval().to(TO)
    sigmas = torch.tensor(variant.skeleton.sigmas)
    with torch.no_grad():
        dense = net(seen.images, proxy=True)
        mine = variant.assigner.assign(moved(dense), seen.targets.to(TO), sigmas.to(TO))
        other = variant.assigner.assign(dense, seen.targets, sigmas)
        assert len(other.cell) > 0
        for part in ("image", "cell", "person"):
            assert torch.equal(getattr(mine, part).cpu(), getattr(other, part))
        close(mine.overlaps, other.overlaps)
        threshold = float(dense.cls.sigmoid().quantile(0.9))
        kept, wanted = keep(moved(dense), threshold, 0.65), keep(dense, threshold, 0.65)
        assert torch.equal(kept.image.cpu(), wanted.image) and torch.equal(kept.cell.cpu(), wanted.cell)
        close(
            poses(there, moved(dense), kept.image, kept.cell).keypoints,
            poses(net, dense, wanted.image, wanted.cell).keypoints,
        )


def trained(machine: Machine, home: Path, job: Job, steps: int) -> tuple[TrainingState, list[float]]:
    """The state after so many steps, and the sum of the losses at each."""
    source = open_source(job, machine.workers, home, None, machine.device, machine.resident)
    state = TrainingState(job, machine)
    ticks = train(job, state, source.train, source.steps, machine)
    return state, [float(torch.stack([*next(ticks).terms.values()]).sum()) for _ in range(steps)]


@pytest.mark.parametrize("name", ["regression", "static bins, KLD", "+ MLE (RTMO)"])
def test_steps_of_training(name: str, tmp_path: Path) -> None:
    (_, theirs), (_, ours), (_, low) = (
        trained(m, tmp_path, ROWS[name], 4) for m in (Machine(), Machine(TO), Machine(TO, bf16=True))
    )
    assert ours[0] == pytest.approx(theirs[0], rel=1e-4)
    assert ours == pytest.approx(
        theirs, rel=2e-2
    )  # rounding grows from step to step: Adam takes signs of small numbers
    assert low == pytest.approx(theirs, rel=1e-1)


def test_the_evaluation(tmp_path: Path) -> None:
    job = ROWS["+ MLE (RTMO)"]
    state, _ = trained(Machine(TO), tmp_path, job, 6)
    found: list[dict[str, float]] = []
    for machine in (Machine(), Machine(TO)):
        source = open_source(job, 0, tmp_path, None, machine.device)
        found.append(dict(evaluate_network(job, state.averaged.to(machine.device), source, machine)[0]))
    assert found[1] == pytest.approx(found[0], abs=2e-3, nan_ok=True)


WAYS = {
    "bf16": Machine(TO, bf16=True),
    "loaded by processes": Machine(TO, bf16=True, workers=2),
    "resident": Machine(TO, bf16=True, resident=0.2),
    "resident, sketched by processes": Machine(TO, bf16=True, workers=2, resident=0.2),
}


def assert_learnt(result: Result, job: Job) -> None:
    """Every loss is a number; the coordinate stage is finite and another one than in the beginning."""
    losses = [value for line in read_losses(result.folder) for value in line.values()]
    assert losses and bool(torch.tensor(losses).isfinite().all())
    weights, begun = load_file(result.folder / "weights.safetensors"), Network(job.variant, job.seed)
    learning = [name for name, _ in begun.named_parameters() if name.startswith("coords.")]
    assert learning and all(bool(weights[name].isfinite().all()) for name in learning)
    assert not all(torch.equal(weights[name], begun.get_parameter(name)) for name in learning)


@pytest.mark.parametrize("augment", ["none", "rtmo"])
@pytest.mark.parametrize("way", WAYS)
def test_a_job_from_its_beginning_to_its_record(way: str, augment: str, tmp_path: Path) -> None:
    job = small_job(augment=augment)
    run(job, WAYS[way], tmp_path, until=1)
    result = run(job, WAYS[way], tmp_path)
    assert [line["epoch"] for line in result.curve] == [1, 2, 3]
    assert_learnt(result, job)
    assert result.tags["machine"] == torch.cuda.get_device_name() and result.tags["precision"] == "bf16"


def test_a_job_on_a_frozen_trunk(tmp_path: Path) -> None:
    job = rows("probe")["+ MLE (RTMO)"]
    short = replace(job.protocol, images=64, epoch_images=64, epochs=2, eval_images=16, eval_every=1)
    small = replace(job, protocol=short)
    result = run(small, WAYS["bf16"], tmp_path)
    assert_learnt(result, small)
    assert result.metrics["mOKS"] > 0, "the trunk finds persons from the first step on"


def test_a_process_of_its_own_for_the_gpu(tmp_path: Path) -> None:
    distributed.start(1, alone, tmp_path)
    assert (tmp_path / "done").read_text() == "3.0 nccl"


def alone(home: Path) -> None:
    mean = float(distributed.mean(torch.tensor([3.0], device=TO)))
    distributed.wait()
    trained(Machine(TO), home, small_job(), 1)
    (home / "done").write_text(f"{mean} {torch.distributed.get_backend()}")
