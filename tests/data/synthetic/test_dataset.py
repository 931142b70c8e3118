"""The rendered data set: determinism, the cache, COCO's format."""

from __future__ import annotations

import contextlib
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO as Api

from tests.data.synthetic.figures import same
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.synthetic import dataset
from workbench.data.synthetic.dataset import SyntheticScenes, cache_name, cached
from workbench.data.synthetic.scene import render
from workbench.tensors import Sample


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_scene_depends_on_seed_and_index_alone(level: str) -> None:
    figures = SyntheticScenes(level, 64, 5, 6, start=100)
    forward = [figures[i] for i in range(6)]
    assert all(same(forward[i], figures[i]) for i in reversed(range(6)))
    assert same(forward[3], render(level, 64, 5, 103))
    assert forward[3].image_id == 103
    assert same(SyntheticScenes(level, 64, 5, 1, start=104)[0], forward[4])
    assert not np.array_equal(forward[0].image, forward[1].image)
    assert not np.array_equal(forward[0].image, render(level, 64, 6, 100).image)


def test_cache_equals_rendering(tmp_path: Path) -> None:
    figures = SyntheticScenes("hard", 48, 2, 9, start=40)
    stored = cached(figures, tmp_path)
    assert len(stored) == 9 and cache_name(figures) in [p.name for p in tmp_path.iterdir()]
    assert all(same(stored[i], figures[i]) for i in range(9))
    assert same(stored[-1], figures[8])
    assert stored.coco() == figures.coco()
    stored[0].image[:] = 0  # a sample is the caller's own
    assert same(stored[0], figures[0])
    before = sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.np*"))
    again = cached(figures, tmp_path)
    assert sorted((p, p.stat().st_mtime_ns) for p in tmp_path.rglob("*.np*")) == before
    assert len(pickle.dumps(stored)) < 2000 and same(pickle.loads(pickle.dumps(again))[3], figures[3])
    with pytest.raises(IndexError):
        stored[9]


@pytest.mark.soak
def test_cache_of_a_worker_and_of_nothing(tmp_path: Path) -> None:
    figures = SyntheticScenes("easy", 32, 0, 300)
    (tmp_path / f"{cache_name(figures)}.1.killed.part").mkdir()
    stored = cached(figures, tmp_path, workers=1)
    assert all(same(stored[i], figures[i]) for i in (0, 255, 256, 299))
    assert not list(tmp_path.glob("*.part"))
    assert len(cached(SyntheticScenes("easy", 32, 0, 0), tmp_path).coco()["images"]) == 0


def test_scenes_are_rendered_on_every_core_unless_fewer_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(dataset, "usable_cores", lambda: 7)
    monkeypatch.setattr(dataset, "make_once", lambda path, make, whole: asked.append(make.args[1]))
    for seed, workers in enumerate((None, 0, 2)):
        cached(SyntheticScenes("easy", 32, seed, 3), tmp_path, workers)
    assert asked == [7, 0, 2]


def _build_and_sum(folder: Path) -> int:
    return sum(int(sample.image.sum()) for sample in cached(SyntheticScenes("easy", 32, 0, 40), folder))


def test_two_may_build_the_same_cache_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:  # a file lock holds between threads as it does between processes
        sums = list(pool.map(_build_and_sum, [tmp_path] * 3))
    expected = sum(int(sample.image.sum()) for sample in SyntheticScenes("easy", 32, 0, 40))
    assert sums == [expected] * 3
    assert not list(tmp_path.glob("*.part"))


def test_coco_dict_loads(hard: list[Sample]) -> None:
    truth = SyntheticScenes("hard", 128, 3, 12).coco()
    api: Any = Api()
    api.dataset = truth
    with contextlib.redirect_stdout(io.StringIO()):
        api.createIndex()
    assert sorted(api.getImgIds()) == list(range(12))
    for i in range(12):
        found = api.loadAnns(api.getAnnIds(imgIds=[i]))
        assert len(found) == len(hard[i])
        persons = hard[i].persons
        for entry, box, points, shown in zip(found, persons.boxes, persons.keypoints, persons.visible, strict=True):
            x, y, w, h = entry["bbox"]
            np.testing.assert_allclose([x, y, x + w, y + h], box, atol=1e-4)
            flat = np.array(entry["keypoints"]).reshape(17, 3)
            np.testing.assert_array_equal(flat, np.concatenate([points, shown[:, None]], 1))
            assert entry["num_keypoints"] == (flat[:, 2] > 0).sum() and entry["iscrowd"] == 0
    assert truth["categories"][0]["keypoints"] == list(COCO.keypoints)
    assert truth["images"][3].keys() == {"id", "width", "height", "file_name", "crowdIndex"}


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(Refused, match=r"medium.*easy, hard"):
        SyntheticScenes("medium")
    with pytest.raises(Refused, match="size 16"):
        SyntheticScenes(size=16)
    with pytest.raises(Refused, match="start -1"):
        SyntheticScenes(start=-1)
    with pytest.raises(Refused, match="level 'x'"):
        render("x", 64, 0, 0)
    with pytest.raises(IndexError, match="2 images"):
        SyntheticScenes(count=2)[2]


def damage(folder: Path, kind: str) -> None:
    images, labels = folder / "images.npy", folder / "labels.npz"
    if kind == "images cut off":
        images.write_bytes(images.read_bytes()[:500])
    elif kind == "labels cut off":
        labels.write_bytes(labels.read_bytes()[:300])
    elif kind == "another shape":
        np.save(images, np.zeros((2, 48, 48, 3), np.uint8))
    elif kind == "a byte of the labels":
        data = bytearray(labels.read_bytes())
        data[100] ^= 255
        labels.write_bytes(data)
    elif kind in ("fewer persons", "objects"):
        with np.load(labels) as file:
            stored = {name: file[name] for name in file.files}
        boxes = stored["boxes"][1:] if kind == "fewer persons" else stored["boxes"].astype(object)
        np.savez(labels, allow_pickle=True, **{**stored, "boxes": boxes})
    else:
        {"no images": images, "no labels": labels}[kind].unlink()


@pytest.mark.parametrize(
    "kind",
    [
        "images cut off",
        "labels cut off",
        "another shape",
        "a byte of the labels",
        "fewer persons",
        "objects",
        "no images",
        "no labels",
    ],
)
def test_a_damaged_cache_is_named_and_rendered_anew(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    figures = SyntheticScenes("easy", 48, 2, 5)
    cached(figures, tmp_path, 0)
    damage(tmp_path / cache_name(figures), kind)
    again = cached(figures, tmp_path, 0)
    assert all(same(again[i], figures[i]) for i in range(5))
    err = capfd.readouterr().err
    assert err == f"{tmp_path / cache_name(figures)} is damaged; it is made again\n"
    cached(figures, tmp_path, 0)
    assert not capfd.readouterr().err
