"""What every loss keeps: any number of positives, what it teaches, its name and weights, and what it refuses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.components.losses.fixed import Fixed
from workbench.components.losses import bbox_aux, heatmap, iou, kld, mle, oks, proxy_l1, varifocal, visibility
from workbench.core.errors import Refused
from workbench.slots import Loss, Matched
from workbench.tensors import Coordinates

EVERY: dict[type[Loss], set[str]] = {  # and what each teaches
    varifocal.VariFocal: {"cls"},
    iou.IoU: {"boxes"},
    visibility.Visibility: {"vis"},
    oks.OKS: {"proxy"},
    mle.MLE: {"x", "y", "sigma", "boxes"},
    kld.KLD: {"x", "y"},
    bbox_aux.BoxAux: {"box_raw"},
    proxy_l1.ProxyL1: {"proxy"},
    heatmap.Heatmap: {"grid"},
}


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("cast", [False, True])
def test_any_number_of_positives(cls: type[Loss], count: int, cast: bool) -> None:
    matched = Fixed(count)
    matched.visible[:1, 0] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
        term = cls()(matched)
    assert term.shape == () and term.dtype == torch.float32 and term.isfinite()
    if not count and cls is not varifocal.VariFocal:
        assert term == 0
    term.backward()
    taught = {name for name, leaf in matched.leaves.items() if leaf.grad is not None}
    assert taught == EVERY[cls] if count else taught
    for name in taught:
        grad = matched.leaves[name].grad
        assert grad is not None and grad.isfinite().all()
        assert grad.any() or not count


def test_of_a_batch_that_nobody_shares_the_share_is_one_to_the_bit() -> None:
    """Or training would go another way, and its record would be of other numbers."""
    matched = object.__new__(Matched)
    for count in range(1, 400):
        matched.gt_boxes, matched.positives = torch.zeros(count, 4), torch.tensor(float(count))
        assert float(matched.share) == 1.0, count


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("first", [0, 1, 3])
def test_of_a_batch_that_ranks_share_the_mean_of_theirs_is_the_loss(cls: type[Loss], first: int) -> None:
    """However its positives are shared out: `first` of 5 to the first of two, the others to the second."""
    whole = Fixed(5)
    parts = [part_of(whole, slice(0, first), 0), part_of(whole, slice(first, 5), 1)]
    terms = [cls()(part) for part in parts]
    torch.testing.assert_close(torch.stack(terms).mean(), cls()(whole), rtol=1e-6, atol=1e-6)


def part_of(whole: Fixed, rows: slice, image: int) -> Fixed:
    """What one of two ranks has: so many of five positives, and one of two images."""

    def cut(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{field.name: cut(getattr(value, field.name)) for field in fields(value)})
        if not isinstance(value, Tensor) or value.dim() < 2 - (len(value.shape) == 1 and len(value) == 5):
            return value
        return value[rows] if len(value) == 5 else value[image : image + 1]

    part = Fixed(0)
    for name, value in vars(whole).items():
        setattr(part, name, value if name == "sigmas" else cut(value))
    part.positives, part.labelled = whole.positives / 2, whole.labelled / 2
    return part


@pytest.mark.parametrize("cls", [c for c in EVERY if c is not varifocal.VariFocal])
def test_invisible_key_points_teach_no_coordinates(cls: type[Loss]) -> None:
    matched = Fixed(2)
    matched.visible[:] = 0
    cls()(matched).backward()
    teaches = any(leaf.grad is not None and leaf.grad.any() for leaf in matched.leaves.values())
    assert teaches == (cls in (iou.IoU, visibility.Visibility, bbox_aux.BoxAux))


def test_terms_have_the_published_names_and_weights() -> None:
    published = {
        "loss_cls": (1.0, 1.0, 1.0),
        "loss_bbox": (5.0, 5.0, 5.0),
        "loss_vis": (1.0, 1.0, 1.0),
        "loss_oks": (30.0, 10.0, 10.0),
        "loss_mle": (1.0, 5.0, 5.0),
        "loss_bbox_aux": (0.0, 0.0, 1.0),
    }
    ours = {cls.term: cls().weights for cls in EVERY}
    assert len(ours) == len(EVERY)
    assert {term: ours[term] for term in published} == published


def test_refusals() -> None:
    matched = Fixed(2)
    matched.coords = Coordinates(keypoints=matched.gt_keypoints)
    matched.cells.proxy = None
    for cls in (mle.MLE, kld.KLD, heatmap.Heatmap, oks.OKS, proxy_l1.ProxyL1):
        with pytest.raises(Refused, match=r"remove the loss|does not offer"):
            cls()(matched)
