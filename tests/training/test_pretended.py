"""All that a job computes, on an accelerator that is pretended: no tensor is left on the host.

`test_cuda.py` compares numbers on a real one.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from studies.ablate_dcc import STUDY
from tests.pretended import DEVICE, Elsewhere, Pretended
from tests.small import small_job, small_variant
from workbench.components.coords.box_heatmap import BoxHeatmap
from workbench.components.losses import iou
from workbench.components.losses.heatmap import Heatmap
from workbench.components.losses.proxy_l1 import ProxyL1
from workbench.data.loader import collate
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import protocol_named
from workbench.models import criterion, network
from workbench.models.criterion import losses
from workbench.models.decode import detect
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.variant import Variant
from workbench.study import with_starts
from workbench.tensors import Batch
from workbench.training.machine import Machine
from workbench.training.record import read_losses
from workbench.training.run import run

TO = str(DEVICE)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:CUDA is not available")]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """The accelerator; of its driver it has what a job asks for."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "pretended")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (2**30, 2**30))
    with Pretended() as mode:
        yield mode


def rows(protocol: str) -> dict[str, Job]:
    planned = StudyRun(STUDY, protocol_named(protocol), Path(), seeds=1).jobs()
    return {one.row: one.job for one in with_starts(planned)}


VARIANTS: dict[str, Variant] = {name: job.variant for name, job in rows("smoke").items()} | {
    "a 2-D heatmap": small_variant(coords=BoxHeatmap(), **{"losses.MLE": None, "losses.Heatmap": Heatmap()}),
    "L1 beside": small_variant(**{"losses.ProxyL1": ProxyL1(weights=(1.0, 1.0, 1.0))}),
}


def scenes(size: int = 64) -> Batch:
    """With an area to ignore in the first image."""
    drawn = SyntheticScenes("easy", size, count=2)
    made = collate([drawn[0], drawn[1]])
    ignore = torch.zeros(2, size, size)
    ignore[0, :32] = 1
    return replace(made, targets=replace(made.targets, ignore=ignore))


def step(net: Network, batch: Batch, phase: int) -> dict[str, Tensor]:
    """The terms of a phase, with their gradients in the network."""
    terms = losses(net, net(batch.images), batch.targets, phase)
    torch.stack(list(terms.values())).sum().backward()
    return terms


def test_it_keeps_places_apart(there: Pretended) -> None:
    host = torch.arange(3.0)
    moved = host.to(TO)
    assert moved.device == DEVICE and host.device.type == "cpu"
    alike = (moved + 1, moved[1:], moved * torch.tensor(2.0), torch.zeros(2, device=moved.device), moved.new_ones(1))
    assert all(one.device == DEVICE for one in alike)
    assert (moved * 2).cpu().numpy().tolist() == [0, 2, 4] and float(moved.sum()) == 3
    host.copy_(moved)
    assert {one.device.type for one in (host, moved.cpu(), moved.to(host.device), host + 1)} == {"cpu"}
    leaf = moved.clone().requires_grad_()
    (leaf * 2).sum().backward()
    assert leaf.grad is not None and leaf.grad.device == leaf.detach().device == leaf.data.device == DEVICE
    mixed: list[Callable[[], object]] = [
        lambda: moved + host,
        lambda: torch.stack([host, moved]),
        lambda: moved[torch.arange(2)],
        lambda: moved.numpy(),
    ]
    for wrong in mixed:
        with pytest.raises(Elsewhere, match="a tensor on cuda:7"):
            wrong()


def in_a_loss(patch: pytest.MonkeyPatch) -> None:
    plain = iou.iou_loss
    patch.setattr(iou, "iou_loss", lambda boxes, *rest: plain(boxes, *rest) * torch.arange(len(boxes)))


def in_the_network(patch: pytest.MonkeyPatch) -> None:
    plain = network.priors
    patch.setattr(network, "priors", lambda shapes, strides, _: plain(shapes, strides, torch.device("cpu")))


def in_the_assignment(patch: pytest.MonkeyPatch) -> None:
    def without_a_place(values: Any, device: Any) -> Tensor:
        return made(values)

    made = torch.tensor
    patch.setattr(criterion.torch, "tensor", without_a_place)


@pytest.mark.parametrize("planted", [in_a_loss, in_the_network, in_the_assignment])
def test_a_tensor_that_is_left_on_the_host_is_found(
    planted: Callable[[pytest.MonkeyPatch], None], there: Pretended, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, batch = Network(small_variant(), 0).to(TO), scenes().to(TO)
    step(net, batch, 0)
    with monkeypatch.context() as patch:
        planted(patch)
        with pytest.raises(Elsewhere, match="meets some of the host, of shape"):
            step(net, batch, 0)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_loss_in_every_phase_and_decoding(name: str, there: Pretended) -> None:
    variant = VARIANTS[name]
    net, batch = Network(variant, 0).to(TO), scenes().to(TO)
    for phase in range(len(variant.phases)):
        terms = step(net.train(), batch, phase)
        assert terms.keys() == {loss.term for loss in variant.losses if loss.weights[phase]}
        assert all(term.device == DEVICE and term.isfinite() for term in terms.values())
    assert all(p.grad is None or p.grad.device == DEVICE for p in net.parameters())
    found = detect(net.eval(), batch.images, score_threshold=0.0, nms_pre=50)
    assert len(found) == 2 and len(found[0].keypoints) > 0


@pytest.mark.parametrize("resident", [0.0, pytest.param(0.5, marks=pytest.mark.soak)])
def test_a_job_from_its_beginning_to_its_record(resident: float, there: Pretended, tmp_path: Path) -> None:
    """Loaded, augmented, trained, averaged, paused, gone on with, evaluated; images may stay on the accelerator."""
    job, machine = small_job(augment="rtmo", epochs=2), Machine(TO, resident=resident)
    run(job, machine, tmp_path, until=1)
    result = run(job, machine, tmp_path)
    assert result.tags["machine"] == "pretended"
    assert_learnt(read_losses(result.folder), 2)


def test_a_job_on_a_frozen_trunk(there: Pretended, tmp_path: Path) -> None:
    job = rows("probe")["+ MLE (RTMO)"]
    short = replace(job.protocol, images=32, epoch_images=32, epochs=2, eval_images=8, eval_every=2)
    result = run(replace(job, protocol=short), Machine(TO), tmp_path)
    assert_learnt(read_losses(result.folder), 2)
    assert result.metrics["mOKS"] > 0, "the trunk finds persons from the first step on"


def assert_learnt(lines: list[dict[str, float]], epochs: int) -> None:
    assert len(lines) == epochs and bool(torch.tensor([[*line.values()] for line in lines]).isfinite().all())
