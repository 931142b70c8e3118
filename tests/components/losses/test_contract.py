"""What every loss keeps: any number of positives, what it teaches, its name and weights, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from tests.components.losses.fixed import Fixed
from workbench.components.losses import bbox_aux, heatmap, iou, kld, mle, oks, proxy_l1, varifocal, visibility
from workbench.core.errors import Refused
from workbench.slots import Loss
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
