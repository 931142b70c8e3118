"""The command line in float32, with batch norms that keep their statistics: then it does not matter for what a batch
trains how it is shared out."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from workbench.__main__ import main
from workbench.core.torchrun import QUIET_TORCH


def freeze_norms(patch: pytest.MonkeyPatch) -> None:
    from torch import nn

    def never_training(self: Any, mode: bool = True) -> Any:
        return nn.Module.train(self, False)

    for norm in (nn.BatchNorm1d, nn.BatchNorm2d):
        patch.setattr(norm, "train", never_training)
    patch.setattr("workbench.training.machine.has_bf16", lambda: False)


if __name__ == "__main__":
    os.environ.update(QUIET_TORCH | os.environ)  # as the command does, which is to come before torch
    with pytest.MonkeyPatch.context() as patch:
        freeze_norms(patch)
        sys.exit(main())
