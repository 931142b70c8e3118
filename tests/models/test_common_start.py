"""The network that all rows begin with: whose stages are on it, where each is, and who is turned away."""

import pytest

from workbench.components.coords.online_probes import OnlineProbes
from workbench.components.losses.kld import KLD
from workbench.components.losses.mle import MLE
from workbench.components.losses.online_probe_loss import OnlineProbeLoss
from workbench.components.necks.pafpn import PAFPN
from workbench.core.errors import Refused
from workbench.models.common_start import common_start, places_of
from workbench.models.zoo import REGRESSION, nano

BASE = nano()
KLDS = [{"losses.MLE": None, "losses.KLD": KLD(weights=(1.0, weight, weight))} for weight in (5.0, 1.0)]
TEACHER = BASE.vary(REGRESSION)
ROWS = [
    TEACHER,
    BASE,
    BASE.vary({"coords.box_gradient": False}),
    *map(BASE.vary, KLDS),
    BASE.vary({"losses.VariFocal": None}),
    BASE.vary({"losses.MLE": None, "phases.1.proxy": False, "phases.2.proxy": False}),
    BASE.vary({**KLDS[0], "coords.dynamic_encoding": False}),
]


def test_stages_that_learn_the_same_beside_the_network_are_one() -> None:
    """Where the gradient of a stage goes and what losses weigh later makes no difference there."""
    places = ["", *["coords.probes.0"] * 2, *["coords.probes.1"] * 2, *["coords.probes.0"] * 2, "coords.probes.2"]
    assert places_of(ROWS) == places
    made = common_start(TEACHER, ROWS)
    assert isinstance(made.coords, OnlineProbes) and made.coords.own == TEACHER.coords
    assert made.coords.probes == (BASE.coords, BASE.coords, BASE.coords.vary({"dynamic_encoding": False}))
    (loss,) = (loss for loss in made.losses if isinstance(loss, OnlineProbeLoss))
    assert loss.probes == (0, 1, 2) and [type(one) for one in loss.losses] == [MLE, KLD, KLD]
    assert made.losses[:-1] == TEACHER.losses


def test_a_row_with_another_network_is_turned_away() -> None:
    with pytest.raises(Refused, match=r"^a row changes neck$"):
        common_start(TEACHER, [BASE, BASE.vary({"neck": PAFPN()})])
