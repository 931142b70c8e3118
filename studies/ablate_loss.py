"""What does each loss earn? RTMO (arXiv 2312.07526): MLE against KLD of three widths, and each loss taken out.

Run:   nox -s study -- ablate_loss                        (from scratch, under-trained, under 45 minutes on 2 cores)
       nox -s study -- ablate_loss --protocol laptop      (hours)

KLD has its width and its weight looked for, so that MLE does not beat a badly set rival: C4 holds only if MLE beats all
four, and the four take the place of one claim. A width is a share of what the bins reach over, 1 to 4 bins of 64 and 3
to 12 of 192, and so the same next to a person under every protocol. MLE weighs 1 in the first phase and 5 later; so
does KLD, but for one row, where it stays at 1. VariFocal alone teaches the scores, MLE alone the coordinate stage: rows
without them show the floor. BoxAux acts in the last phase only. No epoch of `laptop`, `proxy` and `smoke` begins in it:
there that row is the base.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from workbench.components.coords.dcc import DCC
from workbench.components.losses.kld import KLD
from workbench.presets import RTMO_S, rtmo
from workbench.study import Better, Row, Study, Variant

TAKEN_OUT = ("VariFocal", "IoU", "Visibility", "OKS", "MLE", "BoxAux")


def kld(part: int, weight: float, base: Variant) -> Mapping[str, Any]:
    """In place of MLE, with targets of this width, and this weight after the first phase."""
    assert isinstance(base.coords, DCC)
    width = base.coords.num_bins[0] / part
    return {"losses.MLE": None, "losses.KLD": KLD(width=width, weights=(1.0, weight, weight))}


KLDS = {f"KLD, 1/{part} wide": partial(kld, part, 5.0) for part in (64, 32, 16)}
KLDS["KLD, 1/32 wide, weight 1"] = partial(kld, 32, 1.0)

STUDY = Study(
    name="ablate_loss",
    question="Does MLE with learnt uncertainty beat KLD with fixed targets, and what does each loss earn?",
    source="RTMO, arXiv 2312.07526: the paper's table was not available, its claim is checked",
    base=rtmo("s"),
    rows=(
        Row("MLE (RTMO)", cited=RTMO_S),
        *(Row(label, changes) for label, changes in KLDS.items()),
        *(Row(f"- {loss}", {f"losses.{loss}": None}) for loss in TAKEN_OUT),
    ),
    claims=tuple(
        Better(
            f"C4, {label.removeprefix('KLD, ')}", "MLE beats KLD", "MLE (RTMO)", label, from_scratch=True, part_of="C4"
        )
        for label in KLDS
    ),
    default="short",
    whole="losses of scores and boxes reach nothing that is trained there, and MLE against KLD depends on the trunk",
)
