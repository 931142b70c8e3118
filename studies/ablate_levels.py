"""Are the two coarse levels enough? RTMO (arXiv 2312.07526) reads P4 and P5, where its peers read P3 as well.

Run:   nox -s study -- ablate_levels                      (from scratch, under-trained, under 45 minutes on 2 cores)
       nox -s study -- ablate_levels --protocol laptop    (hours)
       nox -s study -- ablate_levels --protocol cost      (minutes: counts and times the rows, trains nothing)

The claim is two. "Costs little or no AP" is one of not being worse: it holds where the interval excludes a loss of 1 AP
and more, and a study too small to see such a loss leaves it open. "Saves latency" is decided by timing the published
networks side by side at 640 px. The necks compute P3 in every row, since it feeds P4: what is saved is its head.

At 96 px the answer on AP is one for small persons. A person here is 25 px wide (root of its area, the median), 1.6
cells of P4; in 229 images of COCO's val2017, scaled to 640 px, it is 77 px, 4.8 cells. Cells so coarse have fewer
positives per person and leave more of a key point's place to the head. So a loss of AP here does not say that there is
one there.
"""

from workbench.presets import RTMO_S, rtmo
from workbench.study import Better, Cheaper, Row, Study

ALL, COARSE, LAST = "P3 + P4 + P5", "P4 + P5 (RTMO)", "P5"

STUDY = Study(
    name="ablate_levels",
    question="Does leaving out P3 cost AP, and does it save latency?",
    source="RTMO, arXiv 2312.07526: the paper's table was not available, its claims are checked",
    base=rtmo("s"),
    rows=(
        Row(ALL, {"neck.strides": (8, 16, 32)}),
        Row(COARSE, cited=RTMO_S),
        Row(LAST, {"neck.strides": (32,)}),
    ),
    claims=(
        Better("C5 AP", "leaving out P3 costs less than 1 AP", COARSE, ALL, margin=-0.01, from_scratch=True),
        Better("P5 AP", "leaving out P4 as well costs AP", COARSE, LAST, from_scratch=True),
    ),
    costs=(
        Cheaper("C5 latency", "leaving out P3 saves latency", COARSE, ALL),
        Cheaper("P5 latency", "leaving out P4 as well saves latency", LAST, COARSE),
    ),
    default="short",
    seeds=4,
    whole="the rows change the levels, which a frozen trunk computes",
)
