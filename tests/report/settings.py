"""A made-up measurement of settings: four sizes of cost, one of them free, one worse."""

from __future__ import annotations

from workbench.evaluation.intervals import interval_around
from workbench.experiments.size_settings import Setting
from workbench.experiments.sizes import SizeReading, SizesMeasured
from workbench.inference.timing import Estimate

MADE = {  # side, runtime, precision: AP, error of the difference, times the own time, gflops
    (96, "eager", "float32"): (0.600, 0.0, 1.0, 0.4),
    (96, "torch", "float32"): (0.600, 0.0001, 0.6, 0.4),
    (96, "torch", "bf16"): (0.597, 0.004, 0.4, 0.4),
    (64, "torch", "bf16"): (0.500, 0.010, 0.3, 0.2),
    (128, "torch", "bf16"): (0.590, 0.010, 0.7, 0.8),
}


def measured() -> SizesMeasured:
    readings = []
    for (side, runtime, precision), (ap, error, ratio, gflops) in MADE.items():
        difference = interval_around(ap - 0.6, error, float("inf"), 0.95)
        readings.append(
            SizeReading(
                Setting((side, side), (64, 96), runtime, precision),
                gflops,
                Estimate(10 * ratio, 9 * ratio, 11 * ratio),
                Estimate(ratio, ratio * 0.99, ratio * 1.01),
                {"AP": ap, "mOKS": ap + 0.1},
                {"AP": difference, "mOKS": difference},
            )
        )
    return SizesMeasured("job x", "figures-easy", 1000, 0, 10, 1, "a machine; 1 thread", 0.01, tuple(readings))
