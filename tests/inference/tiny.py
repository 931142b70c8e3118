"""The recorded tiny model, images of crowds, and what it should find on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.models.tiny import loaded, pixels, tiny
from tests.recorded import golden
from tests.small import small_job
from workbench.inference.deployed import Deployed, Selection, detections
from workbench.models.decode import detect
from workbench.models.network import Network
from workbench.tensors import Detections

LOW = Selection(score_threshold=0.05)
SHAPES = ((1, 128, 160), (2, 160, 96), (5, 64, 256))  # batch, height, width


@cache
def network() -> Network:
    return loaded(tiny()).eval()


def crowd(batch: int, height: int, width: int) -> Tensor:
    """Images with other numbers of persons: windows of the recorded pictures tiled, the last image of a batch empty."""
    tile = pixels(golden("tiny/inference")["image_uint8_bgr_nhwc"])
    wide = torch.cat([tile[0], tile[1]], -1).repeat(1, 2, 2)  # (3, 256, 640)
    images = torch.stack([wide[:, 16 * i : 16 * i + height, 48 * i : 48 * i + width] for i in range(batch)])
    if batch > 1:
        images[-1] = 114.0
    return images


def found(deployed: Deployed, images: Tensor) -> list[Detections]:
    dets, keypoints = deployed(images)
    return detections(dets.numpy(), keypoints.numpy())


def same(ours: Sequence[Detections], theirs: Sequence[Detections], pixels: float = 0.05) -> None:
    assert [len(one) for one in ours] == [len(one) for one in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.keypoints, b.keypoints, rtol=0, atol=pixels)
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=0, atol=pixels)
        np.testing.assert_allclose(a.scores, b.scores, rtol=0, atol=1e-4)
        np.testing.assert_allclose(a.keypoint_scores, b.keypoint_scores, rtol=0, atol=1e-4)


def expected(images: Tensor, selection: Selection, net: Network | None = None) -> list[Detections]:
    s = selection
    return detect(net or network(), images, score_threshold=s.score_threshold, nms_threshold=s.nms_threshold)


def disturbed(net: Network) -> Network:
    """The network with statistics in its norms as training leaves them, and some cells that are persons."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0.0, 0.1)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]
    last: Any = net.head.get_submodule("out_cls")
    for conv in last:
        nn.init.normal_(conv.weight, 0.0, 1.0)
        nn.init.constant_(conv.bias, -1.0)
    return net.eval()


def stored_job(folder: Path, **changes: Any) -> Path:
    """The folder of a small job as training leaves it, whose network finds persons."""
    job = small_job().vary(changes)
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(job.to_dict(defaults=True)))
    save_file(disturbed(Network(job.variant, seed=0)).state_dict(), folder / "weights.safetensors")
    return folder
