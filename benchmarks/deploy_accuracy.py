"""What does a precision cost in AP? Trained networks under every runtime, on the validation images of their training.

Run:   workbench bench deploy_accuracy JOB_FOLDER ... [--images 1000]

A folder is one of `jobs/` in the home of the runs, of a job on embedded scenes. Appends to
reports/data/bench_deploy_accuracy.csv: AP of each form, and its difference to the network itself.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._record import append
from workbench.core.errors import Refused
from workbench.core.provenance import commit
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.evaluation.coco_ap import evaluate_coco
from workbench.inference import onnx_export
from workbench.inference.deployed import Deployed, Selection, agreement, detections
from workbench.inference.load import Trained, load_trained
from workbench.tensors import Detections
from workbench.training.source import VALIDATION

BATCH = 50
METRICS = ("AP", "AP50", "AP75", "mOKS", "NME")
Images = NDArray[np.float32]
Find = Callable[[Images], list[Detections]]


def main(options: Sequence[str] = ()) -> int:
    """Evaluates, prints and records."""
    parser = argparse.ArgumentParser(prog="workbench bench deploy_accuracy")
    parser.add_argument("folders", nargs="+", type=Path, metavar="JOB_FOLDER")
    parser.add_argument("--images", type=int, default=1000, help="of the validation part")
    args = parser.parse_args(options)
    torch.set_num_threads(1)
    for folder in args.folders:
        print(append("deploy_accuracy", measured(load_trained(str(folder)), args.images)))
    return 0


def measured(source: Trained, count: int) -> list[dict[str, object]]:
    """One line per form.

    Raises:
        Refused: the job was not on embedded scenes.
    """
    if source.job is None or not source.job.protocol.scenes:
        raise Refused(f"{source.source}: expected a job on embedded scenes")
    job, lines = source.job, []
    scenes = SyntheticScenes(job.protocol.scenes, source.size[0], count=count, start=VALIDATION)
    truth, ids = scenes.coco(), [scenes.start + i for i in range(count)]
    images = np.concatenate([onnx_export.as_input(scene.image) for scene in scenes])
    chosen = Selection(score_threshold=job.protocol.score_threshold, nms_threshold=job.protocol.nms_threshold)
    with tempfile.TemporaryDirectory() as folder:
        base, theirs = {}, []
        for name, find in forms(source, chosen, Path(folder)).items():
            found = _everywhere(find, images, ids)
            values = dict(evaluate_coco(truth, found, job.variant.skeleton.sigmas))
            base, theirs = base or values, theirs or found
            seen = agreement(found, theirs)
            gain = values["AP"] - base["AP"]
            print(f"{name:14} AP {100 * values['AP']:.2f} ({100 * gain:+.2f}); {seen}", flush=True)
            lines.append(
                {
                    "job": job.key,
                    "coords": type(job.variant.coords).__name__,
                    "losses": " ".join(type(loss).__name__ for loss in job.variant.losses),
                    "seed": job.seed,
                    "form": name,
                    **{metric: f"{values[metric]:.5f}" for metric in METRICS},
                    "AP_cost": f"{-gain:.5f}",
                    "median_px": f"{seen.median:.4f}",
                    "images": count,
                    "commit": commit(),
                    "date": datetime.now(UTC).isoformat(timespec="minutes"),
                }
            )
    return lines


def forms(source: Trained, chosen: Selection, folder: Path) -> dict[str, Find]:
    """The network itself, then what is made of it. int8 has its ranges from images of the training part."""
    plain, half, small = (folder / f"{name}.onnx" for name in ("float32", "fp16", "int8"))
    onnx_export.write_onnx(Deployed(source.network, chosen), plain, {})
    onnx_export.write_onnx(Deployed(source.network, chosen, torch.float16), half, {})
    onnx_export.quantise(plain, small, map(onnx_export.as_input, onnx_export.scenes(source)))
    return {
        "network": lambda images: onnx_export.reference(source.network, images, chosen),
        **{f"torch {name}": _torch(Deployed(source.network, chosen, kind)) for name, kind in _TYPES.items()},
        **{f"onnx {path.stem}": _onnx(path) for path in (plain, half, small)},
    }


_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16}


def _torch(deployed: Deployed) -> Find:
    def find(images: Images) -> list[Detections]:
        dets, keypoints = deployed(torch.from_numpy(images))
        return detections(dets.numpy(), keypoints.numpy())

    return find


def _onnx(path: Path) -> Find:
    session = onnx_export.Session(path, 1)
    return lambda images: detections(*session(images))


def _everywhere(find: Find, images: Images, ids: Sequence[int]) -> list[Detections]:
    found: list[Detections] = []
    for start in range(0, len(images), BATCH):
        found += find(images[start : start + BATCH])
    return [replace(one, image_id=i) for one, i in zip(found, ids, strict=True)]
