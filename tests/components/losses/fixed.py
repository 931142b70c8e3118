"""Matched cells of random numbers, for losses alone."""

from __future__ import annotations

import torch
from torch import Tensor

from workbench.slots import Matched
from workbench.tensors import Axis, Cells, Coordinates, Dense

WIDE, HIGH, COLUMNS, ROWS, KEYPOINTS = 12, 16, 4, 3, 5


class Fixed(Matched):
    """What a criterion would hand out for `count` positives, of random numbers. `leaves` need gradients."""

    labelled: Tensor

    def __init__(self, count: int, seed: int = 0) -> None:
        rng = torch.Generator().manual_seed(seed)
        self.leaves: dict[str, Tensor] = {}

        def leaf(name: str, *shape: int, scale: float = 1.0) -> Tensor:
            self.leaves[name] = (torch.randn(*shape, generator=rng) * scale).requires_grad_()
            return self.leaves[name]

        self.cls_target = torch.zeros(2, 6, 1)
        self.cls_target.view(-1)[:count] = 0.6
        self.cls_weight = torch.ones(2, 6, 1)
        self.positives = torch.tensor(float(max(count, 1)))
        self.sigmas = torch.full((KEYPOINTS,), 0.07)
        self.gt_keypoints = 32 + 10 * torch.randn(count, KEYPOINTS, 2, generator=rng)
        self.gt_boxes = torch.cat([self.gt_keypoints.amin(1), self.gt_keypoints.amax(1)], -1)
        self.visible = (torch.rand(count, KEYPOINTS, generator=rng) > 0.3).float()
        self.labelled = self.visible.sum().clamp(min=1)
        self.areas = torch.full((count,), 400.0)
        self.keypoint_weights = torch.ones(count, KEYPOINTS)
        self.proxy_target, self.proxy_weight = self.gt_keypoints, self.visible
        self.vis = leaf("vis", count, KEYPOINTS)
        self.box_raw = leaf("box_raw", count, 4, scale=0.3)
        boxes = self.gt_boxes + leaf("boxes", count, 4, scale=2.0)
        proxy = self.gt_keypoints + leaf("proxy", count, KEYPOINTS, 2, scale=2.0)
        points, strides = torch.full((count, 2), 30.0), torch.full((count,), 16.0)
        pose = torch.zeros(count, 3)
        self.cells = Cells(pose=pose, boxes=boxes, points=points, strides=strides, proxy=proxy, canvas=(64, 64))
        cls = leaf("cls", 2, 6, 1)
        every = torch.zeros(2, 6, 4)
        self.dense = Dense(
            cls=cls,
            box_raw=every,
            boxes=every,
            proxy=None,
            vis=every,
            pose=every,
            points=torch.zeros(6, 2),
            strides=torch.ones(6),
            canvas=(64, 64),
        )
        low, span = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        bins = [low[..., i] + span[..., i] * torch.linspace(-0.1, 1.1, n) for i, n in ((0, WIDE), (1, HIGH))]
        logits = [leaf("x", count, KEYPOINTS, WIDE), leaf("y", count, KEYPOINTS, HIGH)]
        x, y = (Axis(logits=z, prob=z.softmax(-1), bins=b) for z, b in zip(logits, bins, strict=True))
        places = torch.cartesian_prod(torch.linspace(0, 1, ROWS), torch.linspace(0, 1, COLUMNS)).flip(-1)
        z = leaf("grid", count, KEYPOINTS, ROWS * COLUMNS)
        grid = Axis(logits=z, prob=z.softmax(-1), bins=(low + places * span).detach())
        sigma = 0.1 * leaf("sigma", count, KEYPOINTS).sigmoid()
        self.coords = Coordinates(keypoints=self.gt_keypoints, sigma=sigma, x=x, y=y, grid=grid)
