"""Networks by name, timed side by side in every runtime that we have.

    found = compare(["rtmo-s", "stdc1-rtmo"], Task(threads=2), Patience(), runtimes=["eager", "torch"])
    print(table(found, Task(threads=2)))

A runtime takes a network and gives a call that brings images from pixels to persons; one line in `RUNTIMES` adds one.
Weights are random: only the time is asked for.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workbench.core.errors import Refused
from workbench.inference.cuda_graph import CudaGraph
from workbench.inference.deployed import Deployed, Selection, detections
from workbench.inference.latency import TimingTask, as_call, noise_images, with_batch_statistics, with_persons
from workbench.inference.timing import Call, Comparison, Patience, measure
from workbench.models.named import blueprint
from workbench.models.network import Network
from workbench.tensors import Array, Detections

REFERENCE = "rtmo-s"


@dataclass(frozen=True)
class Runtime:
    """A way of running a network: its precisions and devices, and what makes a call of a settled network."""

    precisions: tuple[str, ...]
    prepare: Callable[[Network, TimingTask, str], Call]
    devices: tuple[str, ...] = ("cpu", "cuda")


def _eager(network: Network, task: TimingTask, precision: str) -> Call:
    """Layers as they are trained."""
    return as_call(with_persons(network, task), task, precision)


def _torch(network: Network, task: TimingTask, precision: str) -> Call:
    """Folded for use."""
    return _finding(_deployed(network, task, TYPES[precision]).to(task.device), task)


def _cudagraph(network: Network, task: TimingTask, precision: str) -> Call:
    """Folded, and from image to persons one CUDA graph."""
    return _finding(CudaGraph(_deployed(network, task, TYPES[precision]).to(task.device)), task)


def _finding(find: Callable[[Tensor], tuple[Tensor, Tensor]], task: TimingTask) -> Call:
    image = noise_images(task).to(task.device)

    def call() -> list[Detections]:
        dets, keypoints = find(image)
        return detections(dets.cpu().numpy(), keypoints.cpu().numpy())

    return call


def _onnx(network: Network, task: TimingTask, precision: str) -> Call:
    """The deployed file in ONNX Runtime, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        return file_call("onnx", onnx_file(network, task, precision, Path(folder)), task)


def _openvino(network: Network, task: TimingTask, precision: str) -> Call:
    """The same file in OpenVINO."""
    with tempfile.TemporaryDirectory() as folder:
        return file_call("openvino", onnx_file(network, task, precision, Path(folder)), task)


def onnx_file(network: Network, task: TimingTask, precision: str, folder: Path) -> Path:
    """The file of a network that finds as many persons as the task says, in images of any size.

    It is written to an existing folder, unless it lies there already.
    """
    from workbench.inference import onnx_export

    plain, small = folder / "float32.onnx", folder / "int8.onnx"
    if not plain.exists():
        onnx_export.write_onnx(_deployed(network, task, torch.float32), plain, {})
    if precision == "int8" and not small.exists():
        onnx_export.quantise(plain, small, [noise_images(task).numpy()])
    return small if precision == "int8" else plain


def file_call(runtime: str, path: Path, task: TimingTask) -> Call:
    """What such a file finds in the task's images in one of `FILE_RUNTIMES`; the file may go."""
    image, session = noise_images(task).numpy(), file_session(runtime, path, task.threads)
    return lambda: detections(*session(image))


def file_session(runtime: str, path: Path, threads: int) -> Callable[[Array], tuple[Array, Array]]:
    """An ONNX file in one of `FILE_RUNTIMES`: images (B, 3, H, W) to dets (B, N, 5) and keypoints (B, N, K, 3)."""
    if runtime == "openvino":
        from workbench.inference.openvino_session import OpenVINOSession

        return OpenVINOSession(path, threads)
    from workbench.inference.onnx_export import Session

    return Session(path, threads)


def written_call(path: Path, task: TimingTask) -> Call:
    """What a file that is there finds in the task's images: as many persons as the task says, whatever its weights.

    Raises:
        Refused: no file of ONNX Runtime, or one whose number of persons can not be set.
    """
    try:
        from workbench.inference import onnx_export
    except ImportError as error:
        raise Refused(f"{path}: {error.name} is missing; install rtmo-workbench[onnx]") from error
    session = onnx_export.open_session(path, task.threads)
    if missing := [name for name in onnx_export.LIMITS if name not in session.settings()]:
        raise Refused(
            f"{path}: has no input {', '.join(missing)}, so the number of persons can not be set; expected a file that "
            "workbench deploy wrote"
        )
    limits = {
        "max_persons": np.array([task.persons], np.int64),
        "nms_threshold": np.array([1.0], np.float32),
        "score_threshold": np.array([-1.0], np.float32),
    }
    given = {"input": noise_images(task).numpy(), **limits}

    def call() -> list[Detections]:
        found = session.run(given)
        return detections(found["dets"], found["keypoints"])

    return call


def is_onnx(name: str) -> bool:
    """Whether a network's name is the path of an ONNX file."""
    return Path(name).suffix == ".onnx"


def _deployed(network: Network, task: TimingTask, dtype: torch.dtype) -> Deployed:
    selection = Selection(max_persons=max(task.persons, Selection.max_persons))
    return Deployed(with_persons(network, task), selection, dtype)


TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
RUNTIMES: Mapping[str, Runtime] = {
    "eager": Runtime(tuple(TYPES), _eager),
    "torch": Runtime(tuple(TYPES), _torch),
    "cudagraph": Runtime(tuple(TYPES), _cudagraph, devices=("cuda",)),
    "onnx": Runtime(("float32", "int8"), _onnx, devices=("cpu",)),
    "openvino": Runtime(("float32", "int8"), _openvino, devices=("cpu",)),
}
_TO_WRITE = ("onnx", "onnxruntime", "onnxscript")
FILE_RUNTIMES = {"onnx": _TO_WRITE, "openvino": (*_TO_WRITE, "openvino")}  # those of ONNX files, and what they import


def check_installed(runtime: str, said: str) -> None:
    """Refuses a runtime whose packages are not here; `said` are the words of the command line that asked for it.

    Raises:
        Refused: it says which extras to install.
    """
    if not runtime_installed(runtime):
        extras = "onnx" if runtime == "onnx" else f"onnx,{runtime}"
        raise Refused(f"{said} {runtime}: it is not installed; install rtmo-workbench[{extras}]")


def runtime_installed(runtime: str) -> bool:
    """Whether all that it imports is here."""
    return all(importlib.util.find_spec(package) for package in FILE_RUNTIMES.get(runtime, ()))


def compare(
    names: Sequence[str],
    task: TimingTask,
    patience: Patience,
    *,
    runtimes: Sequence[str] = ("torch",),
    precisions: Sequence[str] = ("float32",),
    reference: str = REFERENCE,
    anyway: bool = False,
) -> Comparison:
    """Every network under every runtime in every precision, called "name runtime precision"; ONNX files, "name onnx".

    The reference, eager in float32, is measured with them: a ratio to it compares over machines.

    Raises:
        Refused: an unknown name, runtime or precision, one twice, or a runtime without that precision or device; the
            machine is busy.
    """
    files = [name for name in names if is_onnx(name)]
    networks = [name for name in names if name not in files]
    wanted = [(name, runtime, precision) for name in networks for runtime in runtimes for precision in precisions]
    if len(set(wanted)) < len(wanted) or len(set(files)) < len(files):
        raise Refused(f"latency: {', '.join([*map(' '.join, wanted), *files])}: one stands there twice; name each once")
    check_runtimes(runtimes, precisions, task.device)
    check_runtimes(["onnx"] * bool(files), ["float32"], task.device)
    written = {f"{name} onnx": written_call(Path(name), task) for name in files}
    base = (reference, "eager", "float32")
    variants = {name: blueprint(name).variant for name in (*networks, reference)}
    built = {name: with_batch_statistics(variant, task) for name, variant in variants.items()}
    calls = {
        " ".join(entry): RUNTIMES[entry[1]].prepare(built[entry[0]], task, entry[2])
        for entry in dict.fromkeys([*wanted, base])
    }
    calls |= written
    return measure(calls, " ".join(base), threads=task.threads, device=task.device, patience=patience, anyway=anyway)


def check_runtimes(runtimes: Sequence[str], precisions: Sequence[str], device: str) -> None:
    """Refuses what can not be timed together on a device.

    Raises:
        Refused: an unknown runtime, one without the device or a precision, or one that is not installed; it names what
            there is.
    """
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            raise Refused(f"latency: no runtime {runtime!r}; there are {', '.join(RUNTIMES)}")
        if torch.device(device).type not in RUNTIMES[runtime].devices:
            has = ", ".join(RUNTIMES[runtime].devices)
            raise Refused(f"latency: runtime {runtime} does not run on {device}; add --device {has}")
        for precision in precisions:
            if precision not in RUNTIMES[runtime].precisions:
                has = ", ".join(RUNTIMES[runtime].precisions)
                raise Refused(f"latency: runtime {runtime} has no precision {precision!r}; it has {has}")
        check_installed(runtime, "latency: runtime")


def latency_table(found: Comparison, task: TimingTask) -> str:
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
    images = "one image" if task.batch == 1 else f"{task.batch} images"
    what = f"{images} of {task.size[0]} x {task.size[1]}, {task.persons} persons found, from network to key points"
    return "\n".join([what, "", *text, "", found.conditions()])
