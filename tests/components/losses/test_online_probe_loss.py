"""The loss of stages beside the network's own: the sum of what each would be taught by alone."""

from dataclasses import replace

import pytest
import torch

from workbench.components.coords.dcc import DCC
from workbench.components.coords.online_probes import OnlineProbes
from workbench.components.losses.kld import KLD
from workbench.components.losses.mle import MLE
from workbench.components.losses.online_probe_loss import OnlineProbeLoss
from workbench.core.errors import Refused
from workbench.models.criterion import matched_batch
from workbench.models.network import Network
from workbench.models.zoo import nano
from workbench.testing import random_persons

STAGE = DCC(feat_channels_dcc=8, num_bins=(12, 16), spe_channels=8, gau_s=8)


@pytest.mark.slow
def test_it_is_the_sum_of_what_each_stage_is_taught_by() -> None:
    """Each weighs as in its first phase; a stage may have several teachers, or none."""
    losses = MLE(weights=(2.0, 5.0, 5.0)), KLD(weights=(3.0, 5.0, 5.0)), KLD(width=4.0)
    network = Network(nano().vary({"coords": OnlineProbes(own=STAGE, probes=(STAGE, STAGE, STAGE))}), seed=0).train()
    torch.manual_seed(0)
    matched = matched_batch(network, network(torch.rand(2, 3, 64, 64) * 255), random_persons(3), 0)
    whole = OnlineProbeLoss(probes=(0, 2, 2), losses=losses)(matched)
    alone = [OnlineProbeLoss(probes=(i,), losses=(loss,))(matched) for i, loss in zip((0, 2, 2), losses, strict=True)]
    torch.testing.assert_close(whole, torch.stack(alone).sum())
    assert whole.item() != 0 and matched.coords.x is not None

    probe = matched.coords.probes[0]
    matched.coords = replace(matched.coords, keypoints=probe.keypoints, x=probe.x, y=probe.y, sigma=probe.sigma)
    torch.testing.assert_close(alone[0], losses[0](matched) * 2.0)


def test_every_loss_needs_its_stage() -> None:
    with pytest.raises(Refused, match="2 probes and 1 losses; give one to each"):
        OnlineProbeLoss(probes=(0, 1), losses=(MLE(),))
