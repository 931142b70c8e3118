"""The L1 loss of regressed key points against its formula."""

from __future__ import annotations

from tests.components.losses.fixed import Fixed
from tests.recorded import close
from workbench.components.losses import proxy_l1


def test_proxy_l1_as_the_formula_says() -> None:
    matched = Fixed(3)
    assert matched.cells.proxy is not None
    offset = (matched.cells.proxy - matched.gt_keypoints).abs().sum(-1) / 20
    close(proxy_l1.ProxyL1()(matched), offset[matched.visible > 0].mean())
