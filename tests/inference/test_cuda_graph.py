"""The form for CUDA graphs against the packed one; the capture itself where there is a GPU, else in play."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.ops import nms

from tests.inference.tiny import LOW, SHAPES, crowd, network
from tests.small import small_variant
from workbench import __main__ as command
from workbench.core.errors import Refused
from workbench.inference import cuda_graph, latency
from workbench.inference.cuda_graph import STEPS, CudaGraph, padded, suppressed
from workbench.inference.deployed import Deployed, Selection
from workbench.inference.latency import TimingTask
from workbench.models import catalog
from workbench.models.network import Network

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def close(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-3)


# --- the same persons


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("chosen", [LOW, replace(LOW, max_persons=3), replace(LOW, nms_threshold=0.3)], ids=str)
def test_room_for_all_holds_the_persons_of_the_packed_form(shape: tuple[int, int, int], chosen: Selection) -> None:
    deployed, images = Deployed(network(), chosen), crowd(*shape)
    theirs = deployed(images)
    *ours, width = padded(deployed, images)
    assert int(width) == theirs[0].shape[1] > 2
    most = min(chosen.max_persons, (shape[1] * shape[2]) // 16**2 + (shape[1] * shape[2]) // 32**2)
    assert [len(one) for one in ours[0]] == [most] * shape[0]
    close([t[:, : int(width)] for t in ours], theirs)
    assert not any(t[:, int(width) :].any() for t in ours)


def test_nobody_is_a_row_of_zeros() -> None:
    images = crowd(2, 128, 160)[1:]
    dets, keypoints, width = padded(Deployed(network()), images)
    assert int(width) == 1 and not dets.any() and not keypoints.any()


def boxes(seed: int, count: int = 200) -> Tensor:
    """Boxes that overlap much, the best first."""
    centre, size = torch.rand(2, count, 2, generator=torch.Generator().manual_seed(seed))
    corner, size = 60 * centre, 30 + 20 * size
    return torch.cat((corner, corner + size), 1)


@pytest.mark.parametrize("threshold", [0.3, 0.65, 0.9])
def test_steps_find_what_greedy_suppression_finds(threshold: float) -> None:
    every = torch.stack([boxes(seed) for seed in range(8)])
    fit = torch.rand(8, 200, generator=torch.Generator().manual_seed(8)) < 0.9
    kept, settled = suppressed(every, fit, threshold)
    assert settled.any()
    for i in settled.nonzero().flatten().tolist():
        falling = torch.arange(200, 0, -1.0)
        theirs = nms(every[i][fit[i]], falling[fit[i]], threshold).sort().values
        assert torch.equal(fit[i].nonzero().flatten()[theirs], kept[i].nonzero().flatten())
        assert 3 < len(theirs) < 190


def chain(links: int) -> Tensor:
    """Boxes (links, 4) of which each overlaps just the next by half."""
    left = 50.0 * torch.arange(links)
    return torch.stack((left, torch.zeros(links), left + 100, torch.ones(links)), 1)


def test_a_chain_that_is_too_long_is_said() -> None:
    for links, certain in ((STEPS, True), (STEPS + 2, False)):
        kept, settled = suppressed(chain(links)[None], torch.ones(1, links, dtype=torch.bool), 0.3)
        assert settled.tolist() == [certain]
        if certain:
            assert kept[0].nonzero().flatten().tolist() == list(range(0, links, 2))


def test_a_threshold_of_one_keeps_equal_boxes() -> None:
    kept, settled = suppressed(chain(1).expand(1, 5, 4), torch.ones(1, 5, dtype=torch.bool), 1.0)
    assert kept.all() and settled.all()


@pytest.mark.slow
def test_too_few_candidates_are_said_where_they_may_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    images = crowd(1, 128, 160)
    theirs = Deployed(network(), LOW)(images)
    monkeypatch.setattr(cuda_graph, "CANDIDATES", theirs[0].shape[1] - 1)
    assert int(padded(Deployed(network(), LOW), images)[2]) == -1
    few = Deployed(network(), replace(LOW, max_persons=2))  # the best two are among them
    *ours, width = padded(few, images)
    assert int(width) == 2
    close(ours, few(images))


# --- fit for a graph


class Stranger(TorchDispatchMode):
    """Stops at a tensor that is not where the others are: on a GPU, a copy that the host waits for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs, result)):
            assert not isinstance(leaf, Tensor) or leaf.is_meta, f"{func} touches a tensor of the host"
        return result


STAGES = {name: kind() for name, kind in catalog.discover()["coords"].items()}
STAGES["DCC, static"] = STAGES["DCC"].vary({"dynamic_allocation": False, "dynamic_encoding": False})


def with_stage(name: str) -> Network:
    losses = {f"losses.{loss}": None for loss in ("MLE", "OKS")}
    phases = {"phases.1.proxy": False, "phases.2.proxy": False}
    return Network(small_variant(coords=STAGES[name], **losses, **phases), seed=0).eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(STAGES))
@pytest.mark.parametrize("plant", [False, True])
def test_nothing_waits_for_the_device(name: str, plant: bool) -> None:
    """On tensors without data whatever asks for a value fails."""
    net = with_stage(name)
    deployed = Deployed(latency.with_persons(net, TimingTask((64, 96), 3)) if plant else net).to("meta")
    images = torch.empty(2, 3, 64, 96, device="meta")
    with Stranger():
        dets, keypoints, width = padded(deployed, images)
    assert dets.shape == (2, 30, 5) and keypoints.shape == (2, 30, 17, 3) and width.shape == ()


def test_what_waits_is_seen() -> None:
    deployed, images = Deployed(network()).to("meta"), torch.empty(1, 3, 64, 64, device="meta")
    with Stranger(), pytest.raises(Exception, match="meta"):
        deployed(images)  # persons are packed
    with Stranger(), pytest.raises(AssertionError, match="host"):
        images.add(torch.ones(64))


# --- capture


class Played:
    """In place of a graph: computes into the same memory each time."""

    captures = 0

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, ...]], sample: tuple[Tensor]) -> None:
        Played.captures += 1
        self.function, (self.images,) = function, sample
        self.results = function(self.images)

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        self.images.copy_(images)
        for there, new in zip(self.results, self.function(self.images), strict=True):
            there.copy_(new)
        return self.results


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "captures", 0)
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", Played)
    monkeypatch.setattr(cuda_graph, "check_on_gpu", lambda _: None)


def test_one_capture_a_shape_and_results_of_one_s_own(played: None) -> None:
    deployed = Deployed(network(), LOW)
    whole, kinds = CudaGraph(deployed), [crowd(*shape) for shape in ((1, 128, 160), (2, 96, 64))]
    batches = [images.roll(shift, -1) for shift in (0, 32) for images in kinds]
    before = [images.clone() for images in batches]
    every = [whole(images) for images in batches]
    assert Played.captures == 2
    for images, ours in zip(before, every, strict=True):
        close(ours, deployed(images))
    assert all(torch.equal(a, b) for a, b in zip(batches, before, strict=True))
    assert every[0][0].shape[1] > 2 and not torch.equal(every[0][0], every[2][0])


def test_what_the_graph_can_not_tell_is_computed_as_ever(played: None, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed, images = Deployed(network(), LOW), crowd(1, 128, 160)
    monkeypatch.setattr(cuda_graph, "CANDIDATES", 2)
    close(CudaGraph(deployed)(images), deployed(images))


def test_a_network_that_is_on_no_gpu_is_refused() -> None:
    with pytest.raises(Refused, match=r"the network is on cpu; expected a GPU: call .to\('cuda'\)"):
        CudaGraph(Deployed(network()))


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--runtime", "cudagraph"], "runtime cudagraph does not run on cpu; add --device cuda")]
    + [(["--runtime", "eager,cudagraph", "--device", "cuda"], "device cuda, but torch sees no GPU")]
    * (not torch.cuda.is_available()),
)
def test_the_command_refuses_in_one_line(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["latency", "nano", "--size", "64", *options]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


@gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_captured_is_the_plain_form(dtype: torch.dtype) -> None:
    deployed = Deployed(network(), LOW, dtype).to("cuda")
    whole = CudaGraph(deployed)
    for turn in range(2):  # captured, then only started
        for shape in SHAPES:
            images = crowd(*shape).roll(32 * turn, -1).cuda()
            assert int(padded(deployed, images)[2]) > 2
            ours, theirs = whole(images), deployed(images)
            close([t.cpu() for t in ours], [t.cpu() for t in theirs])


@gpu
@pytest.mark.parametrize("name", sorted(STAGES))
def test_every_coordinate_stage_can_be_captured(name: str) -> None:
    deployed = Deployed(latency.with_persons(with_stage(name), TimingTask((64, 96), 3))).to("cuda")
    images = 255 * torch.rand(2, 3, 64, 96, device="cuda")
    close(CudaGraph(deployed)(images), deployed(images))
