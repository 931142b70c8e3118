"""The learning rate as a function of the step: a schedule is a tuple of segments, each of which takes the rate of the
one before it and hands on its own."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.components.segments.cosine import Cosine
from workbench.components.segments.scale import Scale
from workbench.components.segments.warmup import Warmup
from workbench.core.errors import Refused
from workbench.slots import Segment

# As published: 600 epochs of COCO, 700 of CrowdPose.
RTMO_SCHEDULE = (Warmup(), Cosine(), Scale(), Cosine(start=281 / 600, end=580 / 600, period=300 / 600))
CROWDPOSE_SCHEDULE = (
    Warmup(end=5 / 700),
    Cosine(start=5 / 700, end=349 / 700, period=350 / 700),
    Scale(start=349 / 700),
    Cosine(start=350 / 700, end=670 / 700, period=320 / 700),
)


def learning_rate(schedule: Sequence[Segment], base: float, step: int, total: int) -> float:
    """The rate at `step` (from 0) of `total`, for a parameter group that starts from `base`."""
    value = base
    for segment in schedule:
        value = segment.rate(value, base, step, total)
    return value


def check_schedule(schedule: Sequence[Segment]) -> None:
    """Refuses what would change the rate of a warm-up that is still running.

    Raises:
        Refused: a cosine or a factor begins before a warm-up earlier in the schedule has ended.
    """
    warm = 0.0
    for segment in schedule:
        if isinstance(segment, Warmup):
            warm = max(warm, segment.end)
        elif isinstance(segment, Cosine | Scale) and segment.start < warm:
            raise Refused(
                f"{type(segment).__name__}.start {segment.start} lies inside the warm-up, which ends at {warm}: let it "
                "start there or later, or end the warm-up earlier"
            )
