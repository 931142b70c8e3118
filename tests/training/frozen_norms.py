"""The command line in float32, with batch norms that keep their statistics: then it does not matter for what a batch
trains how it is shared out."""

from __future__ import annotations

import sys

import pytest
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from workbench.__main__ import main
from workbench.training import machine


def _never_training(self: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(self, False)


def freeze_norms(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(_BatchNorm, "train", _never_training)
    patch.setattr(machine, "has_bf16", lambda: False)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        freeze_norms(patch)
        sys.exit(main())
