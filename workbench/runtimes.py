"""Networks by name, timed side by side in every runtime that we have.

    found = compare(["rtmo-s", "stdc1-rtmo"], Task(threads=2), Patience(), runtimes=["eager", "torch"])
    print(table(found, Task(threads=2)))

A runtime takes a variant and gives a call that brings one image from pixels to persons; one line in `RUNTIMES` adds
one. Weights are random: only the time is asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from workbench import presets
from workbench.deploy import Deployed, Selection, detections
from workbench.errors import Refused
from workbench.latency import Call, Comparison, Patience, Task, measure, noise, planted, prepared, settled
from workbench.tensors import Detections
from workbench.variant import Variant

REFERENCE = "rtmo-s"


@dataclass(frozen=True)
class Runtime:
    """A way of running a network: the precisions that it has, and what makes a call that runs one image."""

    precisions: tuple[str, ...]
    prepare: Callable[[Variant, Task, str], Call]


def _eager(variant: Variant, task: Task, precision: str) -> Call:
    """Layers as they are trained."""
    return prepared(planted(settled(variant, task), task), task, precision)


def _torch(variant: Variant, task: Task, precision: str) -> Call:
    """Folded for use."""
    deployed, image = _deployed(variant, task, _TYPES[precision]).to(task.device), noise(task).to(task.device)

    def call() -> list[Detections]:
        dets, keypoints = deployed(image)
        return detections(dets.cpu().numpy(), keypoints.cpu().numpy())

    return call


def _onnx(variant: Variant, task: Task, precision: str) -> Call:
    """The deployed file in ONNX Runtime, on the CPU."""
    from workbench import export

    if task.device != "cpu":
        raise Refused(f"latency: device {task.device} for runtime onnx; it has cpu")
    image = noise(task).numpy()
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        export.write(_deployed(variant, task, torch.float32), plain, {})
        if precision == "int8":
            export.quantise(plain, small, [image])
        session = export.Session(small if precision == "int8" else plain, task.threads)
    return lambda: detections(*session(image))


def _deployed(variant: Variant, task: Task, dtype: torch.dtype) -> Deployed:
    selection = Selection(max_persons=max(task.persons, 1))
    return Deployed(planted(settled(variant, task), task), selection, dtype)


_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
RUNTIMES: Mapping[str, Runtime] = {
    "eager": Runtime(("float32", "bf16"), _eager),
    "torch": Runtime(("float32", "bf16"), _torch),
    "onnx": Runtime(("float32", "int8"), _onnx),
}


def compare(
    names: Sequence[str],
    task: Task,
    patience: Patience,
    *,
    runtimes: Sequence[str] = ("torch",),
    precisions: Sequence[str] = ("float32",),
    reference: str = REFERENCE,
    anyway: bool = False,
) -> Comparison:
    """Every network under every runtime in every precision, called "name runtime precision".

    The reference, eager in float32, is measured with them: a ratio to it compares over machines.

    Raises:
        Refused: an unknown name, runtime or precision, one twice, or a runtime without that precision; the machine is
            busy.
    """
    wanted = [(name, runtime, precision) for name in names for runtime in runtimes for precision in precisions]
    if len(set(wanted)) < len(wanted):
        raise Refused(f"latency: {', '.join(map(' '.join, wanted))}: one stands there twice; name each once")
    _check_runtimes(runtimes, precisions)
    base = (reference, "eager", "float32")
    variants = {name: presets.named(name) for name in (*names, reference)}
    calls = {
        " ".join(entry): RUNTIMES[entry[1]].prepare(variants[entry[0]], task, entry[2])
        for entry in dict.fromkeys([*wanted, base])
    }
    return measure(calls, " ".join(base), threads=task.threads, device=task.device, patience=patience, anyway=anyway)


def _check_runtimes(runtimes: Sequence[str], precisions: Sequence[str]) -> None:
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            raise Refused(f"latency: no runtime {runtime!r}; there are {', '.join(RUNTIMES)}")
        for precision in precisions:
            if precision not in RUNTIMES[runtime].precisions:
                has = ", ".join(RUNTIMES[runtime].precisions)
                raise Refused(f"latency: runtime {runtime} has no precision {precision!r}; it has {has}")


def table(found: Comparison, task: Task) -> str:
    """Milliseconds and ratios with their intervals, and under which conditions."""
    head = ("", "p50 ms", "p90 ms", "p99 ms", f"x {found.reference}")
    lines = [
        (name, *(found.milliseconds(name, q).shown(1) for q in (0.5, 0.9, 0.99)), found.ratio(name).shown(3))
        for name in found.seconds
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    text = [
        "  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True)))
        for line in (head, *lines)
    ]
    what = f"one image of {task.size[0]} x {task.size[1]}, {task.persons} persons found, from network to key points"
    return "\n".join([what, "", *text, "", found.conditions()])
