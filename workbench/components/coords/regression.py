"""Direct regression: the head's regression branch is the answer. The floor of the coordinate slot.

No parameters, no cost beyond the head's 1x1 layer, which this stage also needs at inference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from workbench.core.errors import Refused
from workbench.slots import CoordinateStage, Coords
from workbench.tensors import Cells, Coordinates


@final
@dataclass(frozen=True, kw_only=True)
class Regression(Coords):
    """Hands on the regressed key points. It offers nothing: what it says can not teach the branch it comes from."""

    offers: ClassVar[frozenset[str]] = frozenset()
    reads_proxy: ClassVar[bool] = True

    def build(self, pose_channels: int, keypoints: int) -> CoordinateStage:
        return _Regression()


class _Regression(CoordinateStage):
    def forward(self, cells: Cells) -> Coordinates:
        return Coordinates(keypoints=_regressed(cells))

    def decode(self, cells: Cells) -> Tensor:
        return _regressed(cells)


def _regressed(cells: Cells) -> Tensor:
    if cells.proxy is None:
        raise Refused("Regression: the cells have no regressed key points; read the head with proxy=True")
    return cells.proxy
