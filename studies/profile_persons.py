"""Is latency flat in the number of persons? RTMO (arXiv 2312.07526) decodes key points of kept persons only.

Run:   nox -s study -- profile_persons                    (minutes; a measurement, nothing is trained)

Three ways to the same key points, timed side by side at 640 px on one thread. RTMO: only persons that the non-maximum
suppression keeps are decoded. Every cell: the same network decodes all cells before it. Crops: a stand-in for top-down
methods and not one of them: RTMO's own backbone on one crop of 256 x 192 px per person, all in one batch, without head
and without the detector that top-down methods also need. It is a floor for their cost, so the number of persons from
which RTMO is faster is at most what it shows.
"""

from workbench.presets import rtmo
from workbench.study import Cheaper, TimedRow, TimingStudy

PERSONS = (0, 1, 2, 4, 8, 16, 32, 64)

STUDY = TimingStudy(
    name="profile_persons",
    question="Is latency flat in the number of persons?",
    source="RTMO, arXiv 2312.07526: nearly flat (the authors' model zoo); the limit of 1.1 times is ours",
    base=rtmo("s"),
    rows=(
        *(TimedRow(f"RTMO, {n}", persons=n) for n in PERSONS),
        *(TimedRow(f"every cell, {n}", persons=n, way="every cell") for n in PERSONS),
        *(TimedRow(f"crops, {n}", persons=n, way="crops") for n in PERSONS if n),
    ),
    claims=(
        Cheaper("C6", "64 persons take at most 1.1 times the time of none", "RTMO, 64", "RTMO, 0", times=1.1),
        Cheaper("C6 every cell", "decoding kept persons only saves time, even with 64", "RTMO, 64", "every cell, 64"),
        Cheaper("C6 crops", "64 persons take less time than 64 crops", "RTMO, 64", "crops, 64"),
    ),
)
