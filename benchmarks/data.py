"""How many images per second come out of the data, with nothing done to them afterwards. One thread per process.

Run:   workbench bench data [--data /data/coco]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch

from workbench.core.augmentation import AUGMENTATIONS
from workbench.core.provenance import machine_name
from workbench.data.datasets.folder import open_dataset
from workbench.data.loader import Loader
from workbench.data.synthetic.dataset import SyntheticScenes, cached
from workbench.data.transforms.pipelines import Pipeline

BATCH, IMAGES = 32, 640


def main(options: Sequence[str] = ()) -> int:
    """Prints a table: what is read, worker processes, images per second by the clock and per second of one core."""
    parser = argparse.ArgumentParser(prog="workbench bench data")
    parser.add_argument("--data", type=Path, help="folder in COCO or CrowdPose layout, besides the embedded scenes")
    data: Path | None = parser.parse_args(options).data
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    print(f"{machine_name()}; load {os.getloadavg()[0]:.1f}; batch {BATCH}")
    print(f"{'what':44} {'workers':>7} {'images/s':>9} {'per core-second':>16}")
    for level in ("easy", "hard"):
        for size in (96, 160):
            scenes = SyntheticScenes(level, size, count=IMAGES)
            _measure(f"render {level}, {size} px", 0, lambda s=scenes: (s[i] for i in range(IMAGES)), 1)
    with tempfile.TemporaryDirectory() as folder:
        stored: Any = cached(SyntheticScenes("easy", 96, count=IMAGES), Path(folder))
        for name, transform in (
            ("as they are", None),
            ("light", Pipeline(size=(96, 96), steps=AUGMENTATIONS["light"].main)),
        ):
            for workers in (0, 2):
                loader = Loader(stored, BATCH, seed=0, transform=transform, workers=workers)
                _measure(f"cached scenes, 96 px, {name}", workers, lambda n=loader: n(1), BATCH, lambda n=loader: n(0))
    if data is not None:
        real = open_dataset(data, "train")
        rtmo = AUGMENTATIONS["rtmo"]
        last = Pipeline(steps=rtmo.final, ignore=rtmo.ignore)
        for name, transform in (("mosaic and mix-up", Pipeline(steps=rtmo.main)), ("last epochs", last)):
            for workers in (0, 2):
                loader = Loader(real, 8, seed=0, transform=transform, workers=workers, images=160)
                _measure(f"{data.name}, 640 px, {name}", workers, lambda n=loader: n(1), 8, lambda n=loader: n(0))
    return 0


def _measure(
    name: str,
    workers: int,
    items: Callable[[], Iterable[Any]],
    images: int,
    warm: Callable[[], Iterable[Any]] | None = None,
) -> None:
    for _ in warm() if warm else ():
        pass  # worker processes have started and files have been read once
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    for _ in items():
        count += images
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    own = f"{count / cpu:16.0f}" if not workers else f"{'':16}"  # the time of other processes is not seen here
    print(f"{name:44} {workers:7} {count / wall:9.0f} {own}", flush=True)
