"""The contracts that components keep, those of other packages as well; one line makes tests of them.

    # the whole test file of a package with a neck
    from my_package.my_neck import MyNeck
    from workbench.testing import contract_tests

    test_contracts = contract_tests(MyNeck(), MyNeck(keep=1))

Give small specs: their modules are run. A contract is a function of a spec. What does not keep it raises an
AssertionError that says what was expected. Needs pytest.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from workbench.components.losses.varifocal import VariFocal
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.core.spec import Spec, from_dict
from workbench.models import catalog
from workbench.models.criterion import losses
from workbench.models.network import Network, decoded, gather
from workbench.models.schedule import learning_rate
from workbench.models.variant import Variant
from workbench.models.zoo import NO_PROXY, nano
from workbench.slots import Assigner, Backbone, Coords, DenseHead, Head, Loss, Neck, Outputs, Pyramid, Segment
from workbench.tensors import Axis, Cells, Coordinates, Level, Levels, Targets

Contract = Callable[[Any], None]
_HEIGHT, _WIDTH, _SQUARE = 64, 96, 64  # of images, in pixels
_POSE, _K = 16, len(COCO)  # channels of a pose vector, key points
_GIVEN = (Level(24, 8), Level(40, 16), Level(57, 32))  # no two alike, one odd


def contract_tests(*specs: Spec, only: Collection[Contract] = ()) -> Callable[..., None]:
    """A test for pytest with a case for each contract of each of these components.

    Args:
        specs: what is tested, as small as can be. What is alike in all specs of a class is tested once.
        only: of all contracts these; empty for all.

    Raises:
        Refused: something that fills no slot.
    """
    cases: dict[tuple[object, Contract], Spec] = {}
    for spec in specs:
        for contract in contracts_of(spec):
            cases.setdefault((type(spec) if contract in OF_CLASSES else spec, contract), spec)
    chosen = [(contract, spec) for (_, contract), spec in cases.items() if not only or contract in only]
    names = [f"{type(spec).__name__}-{contract.__name__}" for contract, spec in chosen]

    @pytest.mark.parametrize(("contract", "spec"), chosen, ids=names)
    def test_contracts(contract: Contract, spec: Spec) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            contract(spec)

    return test_contracts


def contracts_of(spec: Spec) -> tuple[Contract, ...]:
    """Those of every component, and those of its kind.

    Raises:
        Refused: it fills no slot.
    """
    return (*OF_CLASSES, comes_back_from_json, *CONTRACTS[_kind(spec)])


def _kind(spec: Spec) -> str:
    for kind, base in catalog.KINDS.items():
        if isinstance(spec, base):
            return kind
    raise Refused(f"{spec!r} is no component; expected a spec of {', '.join(catalog.KINDS)}, as MyNeck()")


def _keeps(kept: object, spec: Spec, expected: str) -> None:
    assert kept, f"{spec}: {expected}"


# Of every component


def is_a_value(spec: Spec) -> None:
    """Final, frozen, described, equal to what is made alike, and with a default for each field."""
    cls = type(spec)
    _keeps(getattr(cls, "__final__", False), spec, "a component is not subclassed; decorate it with @final")
    described = inspect.getdoc(sys.modules[cls.__module__]) or not (cls.__doc__ or "").startswith(f"{cls.__name__}(")
    _keeps(described, spec, "says nowhere what it is; open its file with a docstring")
    _keeps(cls() == cls() and hash(cls()) == hash(cls()) and cls().key == cls().key, spec, "is not equal to its like")
    for field in dataclasses.fields(cls):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field.name, None)
    list(spec.flat())


def is_found(spec: Spec) -> None:
    """The catalogue lists it, by which commands, workers and records of runs know it."""
    found = catalog.discover()[_kind(spec)].get(type(spec).__name__)
    said = f"name its module in the entry-point group {catalog.GROUP} of the package, and install the package"
    _keeps(found is type(spec), spec, f"`workbench components` does not list it; {said}")


def comes_back_from_json(spec: Spec) -> None:
    """What a job's file holds of it is read as the same value, with and without what is at its default."""
    known = {**catalog.spec_types(), type(spec).__name__: type(spec)}
    for defaults in (False, True):
        again = from_dict(json.loads(json.dumps(spec.to_dict(defaults=defaults))), known)
        _keeps(again == spec and again.key == spec.key, spec, f"another value, {again}, was read from its JSON")


def runs_with_what_it_accepts(spec: Spec) -> None:
    """No number is accepted and fails only when a job has started: of each, -1 and 0 are refused, or run."""
    for edge in _edges(spec):
        try:
            _run(edge)
        except Exception as error:
            raise AssertionError(f"{edge} is accepted, and then it fails: {error!r}; refuse it in check()") from error


def _edges(spec: Spec) -> Iterator[Spec]:
    """The spec with each of its numbers at -1 and 0, as far as that is not refused."""
    for field in dataclasses.fields(spec):
        held = getattr(spec, field.name)
        for value in (-1, 0):
            if isinstance(held, tuple) and held and all(isinstance(v, int | float) for v in held):
                changes = [(*held[:i], value, *held[i + 1 :]) for i in range(len(held))]
            else:
                changes = [value] if isinstance(held, int | float) and not isinstance(held, bool) else []
            for change in changes:
                try:
                    yield dataclasses.replace(spec, **{field.name: change})
                except Refused:
                    continue


def _run(spec: Spec) -> None:
    """Once, in the cheapest way that finds what fails."""
    if isinstance(spec, Segment):
        assert all(0 <= learning_rate((spec,), 1e-3, step, 50) < 1 for step in range(50)), "a rate below 0 or above 1"
    elif isinstance(spec, Loss | Assigner):
        _run_losses(spec)
    elif isinstance(spec, Coords):
        fits_a_network(spec)
    elif _kind(spec) in catalog.SLOTS:
        with torch.device("meta"):
            dense = Network(_nano_with(spec)).train()(torch.empty(1, 3, _SQUARE, _SQUARE))
        assert dense.boxes.shape[-1] == 4, "no boxes"


def _run_losses(spec: Loss | Assigner) -> None:
    loss = spec if isinstance(spec, Loss) else VariFocal()
    network = network_taught_by(loss)
    if isinstance(spec, Assigner):
        network = Network(network.variant.vary({"assigner": spec}), seed=0)
    targets, images = random_persons(2), torch.rand(2, 3, _SQUARE, _SQUARE) * 255
    for phase in range(len(network.variant.phases)):
        terms = losses(network, network.train()(images), targets, phase)
        assert all(term.isfinite() for term in terms.values()), f"a term is not finite: {terms}"


# Of backbones, necks and heads


def gives_maps_of_its_levels(spec: Backbone | Neck) -> None:
    """Fine to coarse, with the channels and strides that its `levels` say; a backbone's strides are 8, 16 and 32."""
    with torch.device("meta"):
        module = _pyramid(spec).eval()
        images, maps = torch.empty(2, 3, _HEIGHT, _WIDTH), random_maps(_GIVEN)
        feats = module(images if isinstance(spec, Backbone) else maps)
    strides = [level.stride for level in module.levels]
    _keeps(strides and strides == sorted(set(strides)), spec, f"strides ascend; its levels have {strides}")
    if isinstance(spec, Backbone):
        _keeps(strides == [8, 16, 32], spec, f"a backbone has strides 8, 16 and 32; its levels have {strides}")
    shapes = [(2, level.channels, _HEIGHT // level.stride, _WIDTH // level.stride) for level in module.levels]
    given = [tuple(f.shape) for f in feats]
    _keeps(given == shapes, spec, f"its levels say maps of {shapes}; it gives {given}")


def learns_with_every_weight(spec: Backbone | Neck | Head) -> None:
    """Each parameter gets a gradient, what it is given stays as it is, and bfloat16 gives finite numbers."""
    module = _built(spec)
    for p in module.parameters():  # some networks start with residual branches scaled by 0, which stops gradients
        if p.ndim == 1 and not p.any():
            nn.init.constant_(p, 0.5)
    images = (torch.rand(2, 3, _HEIGHT, _WIDTH) * 255).contiguous(memory_format=torch.channels_last)
    given: Any = images if isinstance(spec, Backbone) else random_maps(_GIVEN)
    before = [x.clone() for x in given]
    _random_sum(_answers(module, given)).backward()
    _keeps(all(map(torch.equal, given, before)), spec, "changes what it is given; leave it as it is")
    silent = [n for n, p in module.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    _keeps(not silent, spec, f"{silent} get no gradient; use them, or leave them out")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        sound = all(bool(t.isfinite().all()) for t in _answers(module.eval(), given))
    _keeps(sound, spec, "gives infinity or NaN in bfloat16")


def _built(spec: Backbone | Neck | Head) -> Pyramid | DenseHead:
    return spec.build(_GIVEN, 2, _K) if isinstance(spec, Head) else _pyramid(spec)


def _pyramid(spec: Backbone | Neck) -> Pyramid:
    return spec.build() if isinstance(spec, Backbone) else spec.build(_GIVEN)


def _answers(module: Pyramid | DenseHead, given: Any) -> list[Tensor]:
    if isinstance(module, Pyramid):
        return list(module(given))
    out = module(given, True)
    return [t for t in (out.cls, out.box, out.proxy, out.vis, out.pose) if t is not None]


def _random_sum(parts: list[Tensor]) -> Tensor:
    """With random factors: a sum over probabilities is constant and has no gradient."""
    return torch.stack([(t * torch.randn_like(t)).sum() for t in parts]).sum()


def answers_for_every_cell(spec: Head) -> None:
    """On any number of levels, with and without the regression branch."""
    for levels in (_GIVEN, _GIVEN[1:], _GIVEN[:1]):
        for proxy in (False, True):
            with torch.device("meta"):
                module = spec.build(levels, 2, _K).eval()
                out = module(random_maps(levels, batch=3), proxy)
            _keeps(module.strides == tuple(level.stride for level in levels), spec, "its strides are those of its maps")
            cells = sum(_HEIGHT // level.stride * _WIDTH // level.stride for level in levels)
            widths = {"cls": 2, "box": 4, "vis": _K, "pose": module.pose_channels} | (
                {"proxy": 2 * _K} if proxy else {}
            )
            for name, width in widths.items():
                shape = tuple(getattr(out, name).shape)
                _keeps(shape == (3, cells, width), spec, f"expected {name} {(3, cells, width)}; it gives {shape}")
            _keeps((out.proxy is None) == (not proxy), spec, "regresses key points where asked to, else not")


# Of coordinate stages


def offers_what_it_says(spec: Coords) -> None:
    """Its answers hold what `offers` names and nothing else; heatmaps are softmaxes of their logits."""
    stage = spec.build(_POSE, _K)
    for count in (0, 1, 3):
        for training in (True, False):
            out = stage.train(training)(random_cells(count))
            parts = {"sigma": out.sigma, "axes": out.x and out.y, "grid": out.grid, "probes": out.probes or None}
            held = {name for name, value in parts.items() if value is not None}
            _keeps(held == spec.offers - {"teacher"}, spec, f"offers {sorted(spec.offers)}; it gives {sorted(held)}")
            points = out.keypoints
            _keeps(points.shape == (count, _K, 2) and points.isfinite().all(), spec, "finite key points (P, K, 2)")
            for heat in _heatmaps(out):
                shape, bins = heat.prob.shape, heat.bins.shape
                _keeps(heat.logits.shape == shape and bins[:2] == (count, shape[-1]), spec, "a position for each bin")
                torch.testing.assert_close(heat.prob, heat.logits.softmax(-1))
    said = "`teacher` is for key points that are not the regression branch's own"
    _keeps(("teacher" in spec.offers) == (not spec.reads_proxy), spec, said)


def decodes_what_it_learns(spec: Coords) -> None:
    """`decode` gives the key points of `forward`, which the losses teach."""
    stage, cells = spec.build(_POSE, _K).eval(), random_cells(4)
    torch.testing.assert_close(stage.decode(cells), stage(cells).keypoints, rtol=0, atol=1e-2)


def reads_the_regression_branch_if_it_says_so(spec: Coords) -> None:
    """A stage with `reads_proxy` refuses cells without regressed key points; others do not miss them."""
    cells, stage = dataclasses.replace(random_cells(2), proxy=None), spec.build(_POSE, _K).eval()
    if spec.reads_proxy:
        with pytest.raises(Refused):
            stage.decode(cells)
    else:
        _keeps(stage.decode(cells).shape == (2, _K, 2), spec, "key points (P, K, 2) without the regression branch")


def learns_from_any_number_of_cells(spec: Coords) -> None:
    """Of 0, 1 or 4 cells, in float32 and bfloat16: finite float32 answers, and a gradient for every parameter."""
    for count in (0, 1, 4):
        for way in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
            stage = spec.build(_POSE, _K).train()
            with way:
                parts = list(_numbers(stage(random_cells(count))))
            sound = all(t.dtype == torch.float32 and bool(t.isfinite().all()) for t in parts)
            _keeps(sound, spec, f"finite float32 answers for {count} cells, also in bfloat16")
            _random_sum(parts).backward()
            without = [name for name, p in stage.named_parameters() if p.grad is None]
            _keeps(not without, spec, f"{without} have no gradient with {count} cells; training on GPUs would wait")
            # the bias of logits may have one of 0: a softmax does not see it
            silent = [n for n, p in stage.named_parameters() if p.ndim > 1 and p.grad is not None and not p.grad.any()]
            _keeps(count < 4 or not silent, spec, f"{silent} never learn; use them, or leave them out")


def is_made_of_its_spec_alone(spec: Coords) -> None:
    """Two modules of one spec fit each other's finite weights."""
    state = spec.build(_POSE, _K).state_dict()
    spec.build(_POSE, _K).load_state_dict(state)
    _keeps(all(t.isfinite().all() for t in state.values()), spec, "begins with infinity or NaN")


def _heatmaps(out: Coordinates) -> list[Axis]:
    return [heat for heat in (out.x, out.y, out.grid) if heat is not None]


def _numbers(out: Coordinates) -> Iterator[Tensor]:
    """All that a loss may read, also of stages beside the own one."""
    yield out.keypoints
    if out.sigma is not None:
        yield out.sigma
    for heat in _heatmaps(out):
        yield from (heat.prob, heat.bins)
    for probe in out.probes:
        yield from _numbers(probe)


# Of backbones, necks, heads and coordinate stages


def fits_a_network(spec: Backbone | Neck | Head | Coords) -> None:
    """With the other parts of the preset `nano`: cells with boxes, and key points of two of them."""
    network = Network(_nano_with(spec), seed=0).eval()
    dense = network(torch.rand(1, 3, _SQUARE, _SQUARE) * 255, proxy=True)
    _keeps(dense.boxes.isfinite().all(), spec, "finite boxes in a network")
    cells = gather(dense, torch.zeros(2, dtype=torch.int64), torch.arange(2))
    _keeps(network.coords.decode(cells).isfinite().all(), spec, "finite key points in a network")


def _nano_with(spec: Spec) -> Variant:
    """The small network with this part and nothing that teaches."""
    return nano().vary({"losses": (), **NO_PROXY, _kind(spec): spec})


# Of assigners, losses and segments


def gives_a_cell_at_most_one_person(spec: Assigner) -> None:
    """A person who is there; some cell where somebody is there; overlaps from 0 to 1, all in order."""
    shapes, cells = [(4, 4), (2, 2)], 20
    for people in (0, 1, 3):
        out = Outputs(
            cls=torch.randn(2, cells, 1),
            box=torch.randn(2, cells, 4) * 0.3,
            proxy=torch.randn(2, cells, 2 * _K),
            vis=torch.randn(2, cells, _K),
            pose=torch.randn(2, cells, _POSE),
        )
        targets = random_persons(people)
        got = spec.assign(decoded(out, shapes, (16, 32)), targets, torch.tensor(COCO.sigmas))
        flat = (got.image * cells + got.cell).tolist()
        _keeps(flat == sorted(set(flat)), spec, "positives ascend by image, then cell, each cell once")
        _keeps(targets.present[got.image, got.person].all(), spec, "no cell learns padding")
        _keeps(((got.overlaps >= 0) & (got.overlaps <= 1)).all(), spec, "overlaps from 0 to 1")
        lengths = {len(got.image), len(got.cell), len(got.person), len(got.overlaps)}
        _keeps(len(lengths) == 1, spec, "one row for each positive in all its fields")
        _keeps(bool(flat) == bool(targets.present.any()), spec, "a cell learns where somebody is there, else none")


def is_a_finite_term_with_a_gradient(spec: Loss) -> None:
    """With and without persons; its weight of a phase is a factor, and one of 0 leaves it out."""
    loss = spec.vary({"weights": (0.0, 2.0, 1.0)})
    _keeps(loss.term.startswith("loss"), spec, f"its term is called {loss.term!r}; expected loss_...")
    for people in (0, 3):
        network = network_taught_by(loss).train()
        dense, targets = network(torch.rand(2, 3, _SQUARE, _SQUARE) * 255), random_persons(people)
        terms = [losses(network, dense, targets, phase) for phase in range(3)]
        _keeps(terms[0] == {}, spec, "is not computed where its weight is 0")
        double, single = (term[loss.term] for term in terms[1:])
        _keeps(double.shape == () and double.isfinite(), spec, f"a finite number with {people} persons")
        torch.testing.assert_close(double, single * 2)
        single.backward()
        grads = [p.grad for p in network.parameters() if p.grad is not None]
        _keeps(grads and all(g.isfinite().all() for g in grads), spec, f"finite gradients with {people} persons")
        _keeps(not people or any(g.any() for g in grads), spec, "teaches something where there are persons")


def gives_a_rate_at_every_step(spec: Segment) -> None:
    """A finite number of 0 or more, however long the training is."""
    for total in (1, 2, 7, 1000):
        rates = [spec.rate(2e-3, 1e-3, step, total) for step in range(total)]
        _keeps(all(math.isfinite(rate) and rate >= 0 for rate in rates), spec, f"rates of 0 or more in {total} steps")


OF_CLASSES: tuple[Contract, ...] = (is_a_value, is_found, runs_with_what_it_accepts)  # alike in all specs of a class
CONTRACTS: Mapping[str, tuple[Contract, ...]] = {
    "backbone": (gives_maps_of_its_levels, learns_with_every_weight, fits_a_network),
    "neck": (gives_maps_of_its_levels, learns_with_every_weight, fits_a_network),
    "head": (answers_for_every_cell, learns_with_every_weight, fits_a_network),
    "coords": (
        offers_what_it_says,
        decodes_what_it_learns,
        reads_the_regression_branch_if_it_says_so,
        learns_from_any_number_of_cells,
        is_made_of_its_spec_alone,
        fits_a_network,
    ),
    "assigner": (gives_a_cell_at_most_one_person,),
    "losses": (is_a_finite_term_with_a_gradient,),
    "schedule": (gives_a_rate_at_every_step,),
    "augment": (),
}
SPEC_CONTRACTS: tuple[Contract, ...] = (
    comes_back_from_json,
    *dict.fromkeys(contract for listed in CONTRACTS.values() for contract in listed),
)


# What contracts are tried on


def random_maps(levels: Levels, height: int = _HEIGHT, width: int = _WIDTH, batch: int = 2) -> list[Tensor]:
    """Feature maps of images of that size, one for each level."""
    return [torch.randn(batch, channels, height // stride, width // stride) for channels, stride in levels]


def random_cells(count: int, keypoints: int = _K, channels: int = _POSE, canvas: tuple[int, int] = (96, 160)) -> Cells:
    """Cells near the middle of persons somewhere on a canvas (height, width) that is not square."""
    height, width = canvas
    points = torch.rand(count, 2) * torch.tensor([width, height])
    half = 5 + 20 * torch.rand(count, 2)
    return Cells(
        pose=torch.randn(count, channels).requires_grad_(),
        boxes=torch.cat((points - half, points + 1.5 * half), 1).requires_grad_(),
        points=points,
        strides=torch.full((count,), 16.0),
        proxy=(points.unsqueeze(1) + torch.randn(count, keypoints, 2)).requires_grad_(),
        canvas=canvas,
    )


def random_persons(people: int) -> Targets:
    """In two images of 64 pixels; the second has one person less, as padding shows."""
    corner = torch.rand(2, people, 1, 2) * 20
    size = 24 + torch.rand(2, people, 1, 2) * 16
    present = torch.ones(2, people, dtype=torch.bool)
    present[1, :1] = False
    return Targets(
        boxes=torch.cat((corner, corner + size), -1)[:, :, 0],
        keypoints=corner + size * torch.rand(2, people, _K, 2),
        visible=torch.ones(2, people, _K),
        areas=size.prod(-1)[..., 0],
        labels=torch.zeros(2, people, dtype=torch.int64),
        keypoint_weights=torch.ones(2, people, _K),
        present=present,
    )


def network_taught_by(loss: Loss) -> Network:
    """The small network with this loss alone, on a coordinate stage that offers what it needs.

    Raises:
        AssertionError: the catalogue has no such stage.
    """
    stages = [nano().coords, *(cls() for cls in catalog.discover()["coords"].values())]
    fit = [s for s in stages if isinstance(s, Coords) and loss.needs | {"teacher"} <= s.offers]
    _keeps(fit, loss, f"needs {sorted(loss.needs)}, which no coordinate stage offers; bring one along")
    return Network(nano().vary({"losses": (loss,), "coords": fit[0]}), seed=0)
