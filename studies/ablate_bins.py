"""How many bins, reaching how far? RTMO (arXiv 2312.07526) has 192 x 256 over 1.25 times the box.

Run:   nox -s study -- ablate_bins                        (young networks, under 25 minutes on 2 cores)
       nox -s study -- ablate_bins --protocol probe       (frozen trunks)
       nox -s study -- ablate_bins --protocol laptop      (from scratch, hours)

Bins are the published numbers under every protocol, the small network included. They divide the person's own box, so
192 of them are as fine, next to a person, at 96 px as at 640 px, and OKS measures errors next to a person. What does
change is a bin in pixels, from about two to a fraction of one: a small image can show that fewer bins are too few,
and hardly that more would help. How far they reach is asked with half as many, which takes half the time.

Every row changes the coordinate stage alone. So all rows of a seed begin with one young network, on which their stages
have learnt beside each other, and are trained whole from there (`fork`): the chance in training all the rest, which no
row changes, would drown differences of this size. What finer bins would do to a network that they taught from its first
step, only a protocol from scratch can show.
"""

from workbench.presets import REGRESSION, RTMO_S, rtmo
from workbench.study import Better, Cheaper, Row, Study

BINS = {f"{x} x {y}": {"coords.num_bins": (x, y)} for x, y in ((48, 64), (96, 128), (192, 256), (384, 512))}
PUBLISHED, HALF = "192 x 256", "96 x 128"
PADDING = (1.0, 1.5)  # published: 1.25

STUDY = Study(
    name="ablate_bins",
    question="Are 192 x 256 bins over 1.25 times the box enough, and what do they cost?",
    source="RTMO, arXiv 2312.07526: the paper's table was not available, its claims are checked",
    base=rtmo("s"),
    default="fork",
    rows=(
        *(Row(label, changes, RTMO_S if label == PUBLISHED else None) for label, changes in BINS.items()),
        *(Row(f"padding {times:g}", {**BINS[HALF], "coords.padding": times}) for times in PADDING),
        Row("regression", REGRESSION),
    ),
    claims=(
        Better("C8 AP", "192 x 256 bins lose less than 1 AP to 384 x 512", PUBLISHED, "384 x 512", margin=-0.01),
        Better("B1", "reaching over the box beats ending at it", HALF, "padding 1"),
        Better("B2", "reaching 1.5 times as far gains less than 1 AP", HALF, "padding 1.5", margin=-0.01),
    ),
    costs=(
        Cheaper("C8 latency", "the classifier adds less than 5 % to regression", PUBLISHED, "regression", times=1.05),
        Cheaper("C8 gflops", "and less than 1 % of its multiply-adds", PUBLISHED, "regression", "gflops", 1.01),
    ),
)
