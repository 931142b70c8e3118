"""Match records: what was matched with what, image by image. Every resampled number is made from them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused, one_line
from workbench.core.files import write_whole
from workbench.tensors import Floats

OKS_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)  # 0.9 is one bit lower, and pycocotools has it so


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchRecords:
    """What was matched, image by image: enough for AP, mean OKS and mean error of any resampling of the images.

    Legend: I images in ascending order of their number, D detections (those that count: at most 20 per image), ordered
    by class, image and descending score, C classes, T OKS thresholds. All sizes of persons together.
    """

    image_ids: NDArray[np.int64]  # (I,)
    image: NDArray[np.int32]  # (D,) index into image_ids
    category: NDArray[np.int16]  # (D,) class index
    scores: NDArray[np.float64]  # (D,)
    matched: NDArray[np.bool_]  # (D, T)
    ignored: NDArray[np.bool_]  # (D, T): neither right nor wrong
    positives: NDArray[np.int32]  # (C, I) persons that count
    oks_sum: NDArray[np.float64]  # (I,) over persons with a labelled key point: OKS of the image's best detection
    oks_count: NDArray[np.int32]  # (I,) these persons
    error_sum: NDArray[np.float64]  # (I,) over labelled key points of matched persons: distance / root of the area
    error_count: NDArray[np.int32]  # (I,) these key points

    def save(self, path: Path | str) -> None:
        """Write one compressed .npz, whole or not at all."""
        with write_whole(Path(path)) as part, part.open("wb") as file:
            np.savez_compressed(file, **{f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: Path | str) -> MatchRecords:
        """Read what `save` wrote.

        Raises:
            Refused: the file holds something else.
        """
        names = [f.name for f in fields(cls)]
        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                missing = [name for name in names if name not in file]
                if missing:
                    raise Refused(f"{path} has no {missing}: not a file of match records; evaluate the model again")
                return cls(**{name: file[name] for name in names})
        except (ValueError, EOFError, BadZipFile, zlib.error) as error:
            if isinstance(error, Refused):
                raise
            raise Refused(f"{path}: it is damaged ({one_line(error)}); train that job again") from error
