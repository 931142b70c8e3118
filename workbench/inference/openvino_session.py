"""ONNX files in OpenVINO, on the CPU.

dets, keypoints = OpenVINOSession(Path("model.onnx"), threads=2)(images)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino

from workbench.tensors import Array


class OpenVINOSession:
    """A file of `onnx_export`, with so many threads (0: one per core). What a file has as a default stays as it is.

    Float32 is float32: on a CPU with a unit for bf16 OpenVINO would compute in that, and key points would move.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        settings: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled: Any = openvino.Core().compile_model(str(path), "CPU", settings)

    def __call__(self, images: Array) -> tuple[Array, Array]:
        """(B, 3, H, W) to dets (B, N, 5) and keypoints (B, N, K, 3)."""
        found = self._compiled({"input": images})
        return found["dets"], found["keypoints"]
