"""Our batch norm of channels_last maps on a CPU beside PyTorch's: error and time of a training step of it alone.

Run:   workbench bench batchnorm [--threads 1] [--seconds 20] [--cpu] [--anyway]

Appends to reports/data/bench_batchnorm.csv, for maps of a training at 320 px: the largest error of a normalised value
(whose deviation is 1) against double precision, and the time forward and backward beside PyTorch's in channels_last.
`--cpu` counts CPU seconds: on a busy machine the clock says what others do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks._record import append, conditions
from workbench.components.batch_norm import BatchNorm2d
from workbench.inference.timing import Call, Patience, measure

SHAPES = ((8, 32, 160, 160), (8, 64, 80, 80), (8, 128, 40, 40), (8, 256, 20, 20))
REFERENCE = "pytorch, channels_last"
WAYS: dict[str, tuple[Callable[[int], nn.BatchNorm2d], torch.memory_format]] = {
    REFERENCE: (nn.BatchNorm2d, torch.channels_last),
    "exact, channels_last": (BatchNorm2d, torch.channels_last),
    "pytorch, contiguous": (nn.BatchNorm2d, torch.contiguous_format),
}


def main(options: Sequence[str] = ()) -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench batchnorm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="at most, per shape")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds in place of the clock's")
    parser.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    args = parser.parse_args(options)
    torch.set_num_threads(args.threads)
    lines = []
    for shape in SHAPES:
        x = drawn(shape)
        found = measure(
            {name: _step(name, x) for name in WAYS},
            REFERENCE,
            threads=args.threads,
            patience=Patience(seconds=args.seconds),
            anyway=args.anyway,
            clock=time.process_time if args.cpu else time.perf_counter,
        )
        for name in WAYS:
            wrong, ratio, ms = error(name, x), found.ratio(name), found.milliseconds(name)
            sides = " x ".join(map(str, shape))
            print(f"{sides:20} {name:22} error {wrong:.1e}, {ms.value:7.2f} ms, {ratio.shown(3)} x {REFERENCE}")
            line = {"shape": sides, "way": name, "error": f"{wrong:.2e}", "clock": "cpu" if args.cpu else "wall"}
            line |= {"p50_ms": f"{ms.value:.3f}", "ratio": f"{ratio.value:.4f}"}
            line |= {"low": f"{ratio.low:.4f}", "high": f"{ratio.high:.4f}"}
            lines.append(line | conditions(found))
    print(append("batchnorm", lines))
    return 0


def drawn(shape: tuple[int, ...]) -> Tensor:
    """A map whose channels are ten deviations from 0, as behind the first convolution."""
    return 300 + 30 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def error(way: str, x: Tensor) -> float:
    """The largest error of a normalised value."""
    norm, layout = WAYS[way]
    want = torch.nn.functional.batch_norm(x.double(), None, None, training=True)
    return float((norm(x.shape[1])(x.contiguous(memory_format=layout)) - want).detach().abs().max())


def _step(way: str, x: Tensor) -> Call:
    make, layout = WAYS[way]
    norm, given = make(x.shape[1]), x.contiguous(memory_format=layout).detach().requires_grad_()
    grad = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=layout)

    def step() -> None:
        given.grad = None
        norm(given).backward(grad)

    return step
