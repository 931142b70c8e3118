"""A million annotations: read within minutes and some gigabytes, or refused in a line. By a process of its own each,
whose time and memory are counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.data.datasets.folders import NAMES

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
PERSONS = 1_000_000
MOST_SECONDS, MOST_MEGABYTES = 120.0, 3_000.0  # of a processor; each dict of a person alone would be more than that
OPEN = """
from workbench.data.datasets.folder import open_dataset
found = open_dataset({!r}, "train")
print(len(found), len(found[0]))
"""


@dataclass(frozen=True)
class Ended:
    """A process that has ended: its exit code, what it said, seconds of a processor, and its largest memory."""

    code: int
    said: str
    seconds: float
    megabytes: float


def counted(*words: str) -> Ended:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([sys.executable, "-P", *words], env=environment, **both) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    ended = Ended(process.returncode, said, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
    print(f"{ended.seconds:.1f} s of a processor, {ended.megabytes:.0f} MB\n{said}")
    return ended


def write(folder: Path, split: str, images: int, persons: int, names: Sequence[str] = NAMES[17]) -> None:
    """A part in COCO's layout, person by person: while there is room none stands where another one does."""
    (folder / split).mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    for number in range(images):
        cv2.imwrite(str(folder / split / f"{number}.jpg"), np.full((480, 640, 3), 99, np.uint8))
    listed = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(images)]
    category = {"id": 1, "name": "person", "keypoints": names}
    with (folder / "annotations" / f"person_keypoints_{split}.json").open("w") as file:
        file.write(f'{{"images": {json.dumps(listed)}, "categories": {json.dumps([category])}, "annotations": [')
        file.writelines(_persons(images, persons))
        file.write("]}")


def _persons(images: int, persons: int) -> Iterator[str]:
    for number in range(persons):
        x, y = 1 + number // images % 600, 1 + number // images // 600 % 400
        points = ",".join(f"{x + k},{y + k},2" for k in range(17))
        of = f'"id":{number + 1},"image_id":{number % images},"category_id":1,"iscrowd":0,"num_keypoints":17'
        yield f'{"," * (number > 0)}{{{of},"area":300,"bbox":[{x},{y},30,30],"keypoints":[{points}]}}'


def test_a_million_annotations_are_read(tmp_path: Path) -> None:
    write(tmp_path / "many", "train2017", 500, PERSONS)
    write(tmp_path / "many", "val2017", 1, 1)
    checked = counted("-m", "workbench", "data", "check", str(tmp_path / "many"))
    opened = counted("-c", OPEN.format(str(tmp_path / "many")))
    assert checked.code == 0 and "train: 500 images, 1,000,000 persons to learn from" in checked.said
    assert opened.code == 0 and opened.said.endswith("500 2000\n")
    for one in (checked, opened):
        assert one.seconds < MOST_SECONDS and one.megabytes < MOST_MEGABYTES


def test_a_million_with_key_points_of_their_own_are_read(tmp_path: Path) -> None:
    """Whose constants are looked for among persons that were annotated twice."""
    names = [f"place {number}" for number in range(17)]
    write(tmp_path / "own", "train2017", 500, PERSONS, names)
    write(tmp_path / "own", "val2017", 1, 1, names)
    checked = counted("-m", "workbench", "data", "check", str(tmp_path / "own"))
    assert checked.code == 0 and "1,000,000 persons to learn from" in checked.said
    assert "persons annotated more than once" in checked.said
    assert checked.seconds < MOST_SECONDS and checked.megabytes < MOST_MEGABYTES


def test_a_million_in_one_image_are_refused_in_a_line(tmp_path: Path) -> None:
    write(tmp_path / "one", "train2017", 1, PERSONS)
    write(tmp_path / "one", "val2017", 1, 1)
    checked = counted("-m", "workbench", "data", "check", str(tmp_path / "one"))
    assert checked.code == 1 and "Traceback" not in checked.said
    assert "WRONG: train: images with more than 2,000 annotations: 1, first 0.jpg (1,000,000)\n" in checked.said
    assert checked.seconds < MOST_SECONDS and checked.megabytes < MOST_MEGABYTES
