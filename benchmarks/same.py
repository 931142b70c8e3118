"""Does the instrument see no difference where there is none? One network as A and as B, time and again.

Run:   workbench bench same [--network nano] [--size 96] [--repeat 10] [--anyway]

Appends to reports/data/bench_same.csv: per repetition the ratio of B to A with its interval. Each repetition builds
both networks anew, so that where they lie in memory is part of what may differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks._record import append, conditions
from workbench.inference.latency import TimingTask, with_batch_statistics
from workbench.inference.runtimes import RUNTIMES
from workbench.inference.timing import Patience, measure
from workbench.models import zoo

ALLOWED = 0.02  # a difference above it is the instrument's fault


def main(options: Sequence[str] = ()) -> int:
    """Returns 0 where all repetitions differ by less than `ALLOWED`, else 1."""
    parser = argparse.ArgumentParser(prog="workbench bench same")
    parser.add_argument("--network", default="nano", help="as in: workbench latency NAME")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=120.0, help="at most, per repetition")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too: the case of interest")
    args = parser.parse_args(options)
    task = TimingTask((args.size, args.size), threads=args.threads)
    variant, lines = zoo.network_named(args.network), []
    for repetition in range(1, args.repeat + 1):
        calls = {
            name: RUNTIMES["torch"].prepare(with_batch_statistics(variant, task), task, "float32") for name in "AB"
        }
        found = measure(calls, "A", threads=task.threads, patience=Patience(seconds=args.seconds), anyway=args.anyway)
        ratio, a, b = found.ratio("B"), found.milliseconds("A"), found.milliseconds("B")
        apart = f"medians {b.value / a.value - 1:+.1%} apart"
        print(f"{repetition:3}: B is {ratio.value:.4f} x A [{ratio.low:.4f}, {ratio.high:.4f}]; {apart}", flush=True)
        lines.append(
            {
                "network": args.network,
                "size": args.size,
                "repetition": repetition,
                "ratio": f"{ratio.value:.4f}",
                "low": f"{ratio.low:.4f}",
                "high": f"{ratio.high:.4f}",
                "a_ms": f"{a.value:.3f}",
                "b_ms": f"{b.value:.3f}",
                **conditions(found),
            }
        )
    worst = max(abs(float(line["ratio"]) - 1) for line in lines)
    print(f"largest difference {worst:.2%}, allowed {ALLOWED:.0%}; {found.conditions()}")
    print(append("same", lines))
    return int(worst >= ALLOWED)
