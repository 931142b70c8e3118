"""The rendered data set: determinism, labels against pixels, the cache, COCO's format."""

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

from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.draw import contact_sheet, draw_persons
from workbench.data.synthetic.body import ANGLES, FAMILIES, NAMES, Bodies, mirrored_angles, project, sample_angles
from workbench.data.synthetic.dataset import SyntheticScenes, cache_name, cached
from workbench.data.synthetic.paint import (
    BODY_PARTS,
    NOBODY,
    OBJECT,
    Canvas,
    Drawing,
    drawing,
    easy_look,
    fill,
    hard_look,
    paint_person,
)
from workbench.data.synthetic.scene import label, render, visibility
from workbench.tensors import Sample

SIZE = 200


def same(a: Sample, b: Sample) -> bool:
    persons = b.persons.arrays()
    pairs = [(a.image, b.image), *((array, persons[name]) for name, array in a.persons.arrays().items())]
    equal = all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in pairs)
    return equal and (a.image_id, a.crowd_index, a.skeleton) == (b.image_id, b.crowd_index, b.skeleton)


def standing(yaws: list[float], at: list[tuple[float, float]]) -> Drawing:
    """People who stand with their hands behind them, 150 pixels high, their pelvis at given pixels."""
    people = len(yaws)
    angles = np.zeros((people, len(ANGLES)))
    angles[:, [ANGLES.index("left_raise"), ANGLES.index("right_raise")]] = -30.0  # hands clear of the hips
    angles[:, [ANGLES.index("left_spread"), ANGLES.index("right_spread")]] = 12.0
    bodies = project(
        angles, np.array(yaws, float), pitch=0.0, roll=np.zeros(people),
        proportions=np.ones((people, 4)), perspective=0.0,
    )  # fmt: skip
    return drawing(bodies, np.full(people, 150.0), np.array(at, float), np.ones(people), np.ones(people))


def painted(plan: Drawing, order: list[int] | None = None) -> Canvas:
    canvas = Canvas(np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE), NOBODY, np.uint8))
    for p in order or range(len(plan.scale)):
        paint_person(canvas, plan, p, easy_look(np.random.default_rng(0)))
    return canvas


def states(canvas: Canvas, plan: Drawing, person: int = 0) -> dict[str, float]:
    return dict(zip(COCO.keypoints, visibility(canvas.owner, plan)[1][person], strict=True))


@pytest.fixture(scope="module")
def hard() -> list[Sample]:
    return list(SyntheticScenes("hard", 128, 3, 60))


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


@pytest.mark.parametrize("level", ["easy", "hard"])
def test_labels_agree_with_each_other(level: str) -> None:
    people = 0
    for sample in SyntheticScenes(level, 96, 1, 40):
        assert sample.image.shape == (96, 96, 3) and sample.image.dtype == np.uint8
        people += len(sample)
        x, y = sample.persons.keypoints[..., 0], sample.persons.keypoints[..., 1]
        shown = sample.persons.visible > 0
        assert ((sample.persons.keypoints >= 0) & (sample.persons.keypoints <= 95)).all()
        assert (sample.persons.keypoints[~shown] == 0).all()
        left, top, right, bottom = (sample.persons.boxes[:, i, None] for i in range(4))
        assert ((x >= left) & (x <= right) & (y >= top) & (y <= bottom))[shown].all()
        assert (sample.persons.boxes >= 0).all() and (sample.persons.boxes <= 96).all()
        sides = sample.persons.boxes[:, 2:] - sample.persons.boxes[:, :2]
        assert (sample.persons.areas >= 1).all() and (sample.persons.areas <= sides.prod(1) + 1e-3).all()
        assert 0 <= sample.crowd_index <= 1
    assert people > 20


def test_hard_scenes_have_every_state_and_every_count(hard: list[Sample]) -> None:
    found = np.concatenate([s.persons.visible.ravel() for s in hard])
    assert set(np.unique(found)) == {0.0, 1.0, 2.0}
    assert min((found == state).mean() for state in (0, 1, 2)) > 0.03
    counts = {len(s) for s in hard}
    assert 0 in counts and max(counts) >= 6
    assert max(s.crowd_index for s in hard) > 0.3


def test_easy_scenes_hold_one_to_three_people() -> None:
    counts = [len(s) for s in SyntheticScenes("easy", 64, 0, 60)]
    assert max(counts) == 3 and sum(c == 0 for c in counts) <= 3


def test_front_shows_the_face_and_back_hides_it() -> None:
    front, back = (standing([yaw], [(100, 100)]) for yaw in (0.0, 180.0))
    face = ("nose", "left_eye", "right_eye")
    seen = states(painted(front), front)
    assert set(seen.values()) == {2.0}
    turned = states(painted(back), back)
    assert all(turned[name] == 1 for name in face)
    assert all(turned[name] == 2 for name in COCO.keypoints if name not in face)


def test_left_is_on_the_right_of_a_person_who_faces_the_viewer() -> None:
    for yaw, sign in ((0.0, 1), (180.0, -1)):
        points = standing([yaw], [(100, 100)]).points[0]
        for name in ("shoulder", "hip", "wrist", "ankle", "ear"):
            left, right = (points[COCO.keypoints.index(f"{side}_{name}"), 0] for side in ("left", "right"))
            assert sign * (left - right) > 0


def test_profile_hides_the_far_side() -> None:
    plan = standing([90.0], [(100, 100)])  # faces the right edge: the right side is near
    nose, hip = (plan.points[0, COCO.keypoints.index(name), 0] for name in ("nose", "left_hip"))
    assert nose > hip
    seen = states(painted(plan), plan)
    for name in ("ear", "shoulder", "elbow", "hip", "knee"):
        assert (seen[f"right_{name}"], seen[f"left_{name}"]) == (2, 1), name


def test_sides_are_warm_and_cold_on_easy_scenes() -> None:
    for yaw in (0.0, 180.0):
        plan = standing([yaw], [(100, 100)])
        canvas = painted(plan)
        for joint in ("knee", "elbow", "ankle"):
            for side, warm in (("left", True), ("right", False)):
                x, y = np.rint(plan.points[0, COCO.keypoints.index(f"{side}_{joint}")]).astype(int)
                blue, _, red = canvas.image[y, x].astype(int)
                assert (red > blue) == warm


def test_object_hides_what_lies_below_it() -> None:
    plan = standing([0.0], [(100, 100)])
    canvas = painted(plan)
    before = int((canvas.owner // BODY_PARTS == 0).sum())
    block = np.array([(0, 120), (199, 120), (199, 199), (0, 199)]) * 16
    fill(canvas, block.astype(np.int32), (9, 9, 9), OBJECT)
    seen = states(canvas, plan)
    for side in ("left", "right"):
        assert seen[f"{side}_knee"] == seen[f"{side}_ankle"] == 1
        assert seen[f"{side}_hip"] == seen[f"{side}_shoulder"] == 2
    found = label(canvas.owner, plan, np.array([before]))
    mask = canvas.owner // BODY_PARTS == 0
    assert found.areas[0] == mask.sum() < before
    assert found.boxes[0, 3] == pytest.approx(plan.points[0, COCO.keypoints.index("left_ankle"), 1], abs=1e-3)


def test_nearer_person_hides_the_farther_one() -> None:
    plan = standing([0.0, 0.0], [(100, 100), (100, 100)])
    canvas = painted(plan, [0, 1])
    assert set(states(canvas, plan, 0).values()) == {1.0}
    assert set(states(canvas, plan, 1).values()) == {2.0}
    assert len(label(canvas.owner, plan, np.array([5000, 5000]))) == 1  # the hidden one has no label


def test_points_outside_the_image_are_not_labelled() -> None:
    plan = standing([0.0], [(100, 185)])  # the legs leave at the bottom
    seen = states(painted(plan), plan)
    keypoints, _ = visibility(painted(plan).owner, plan)
    for side in ("left", "right"):
        knee = COCO.keypoints.index(f"{side}_knee")
        assert seen[f"{side}_knee"] == 0 and (keypoints[0, knee] == 0).all()
        assert seen[f"{side}_shoulder"] == 2


def test_box_is_tight_around_a_free_person() -> None:
    plan = standing([30.0], [(100, 100)])
    canvas = painted(plan)
    rows, columns = np.nonzero(canvas.owner != NOBODY)
    found = label(canvas.owner, plan, np.array([len(rows)]))
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert found.boxes[0].tolist() == expected
    assert found.areas[0] == len(rows)


@pytest.mark.parametrize("family", FAMILIES)
def test_mirrored_pose_swaps_the_sides(family: str) -> None:
    rng = np.random.default_rng(7)
    angles, yaw, roll = sample_angles(family, rng)[None], rng.uniform(-180, 180, 1), rng.uniform(-15, 15, 1)

    def seen(a: np.ndarray, y: np.ndarray, r: np.ndarray) -> Bodies:
        return project(a, y, pitch=20.0, roll=r, proportions=np.full((1, 4), 1.05), perspective=0.2)

    one, other = seen(angles, yaw, roll), seen(mirrored_angles(angles), -yaw, -roll)
    k = len(COCO)
    flipped = one.points[:, list(COCO.flip)] * (-1.0, 1.0, 1.0)
    np.testing.assert_allclose(other.points[:, :k], flipped, atol=1e-9)
    np.testing.assert_allclose(other.head, one.head * (-1.0, 1.0, 1.0), atol=1e-9)


def test_bones_keep_their_length() -> None:
    rng = np.random.default_rng(1)
    angles = np.stack([sample_angles(name, rng) for name in FAMILIES])
    count = len(angles)
    bodies = project(
        angles, rng.uniform(-180, 180, count), pitch=15.0, roll=np.zeros(count), proportions=np.ones((count, 4)),
        perspective=0.0,
    )  # fmt: skip
    for a, b, length in (("left_hip", "left_knee", 0.245), ("right_elbow", "right_wrist", 0.145)):
        bone = bodies.points[:, NAMES.index(a)] - bodies.points[:, NAMES.index(b)]
        np.testing.assert_allclose(np.linalg.norm(bone, axis=1), length, atol=1e-9)


def test_looks_colour_everything_that_is_drawn() -> None:
    plan = standing([0.0, 180.0], [(60, 100), (140, 100)])
    for look in (easy_look, hard_look):
        canvas = Canvas(np.zeros((SIZE, SIZE, 3), np.uint8), np.full((SIZE, SIZE), NOBODY, np.uint8))
        for p in range(2):
            paint_person(canvas, plan, p, look(np.random.default_rng(p)))
        assert {0, 1} <= set(np.unique(canvas.owner // BODY_PARTS).tolist())


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


@pytest.mark.slow
def test_cache_of_a_worker_and_of_nothing(tmp_path: Path) -> None:
    figures = SyntheticScenes("easy", 32, 0, 300)
    (tmp_path / f"{cache_name(figures)}.1.killed.part").mkdir()
    stored = cached(figures, tmp_path, workers=1)
    assert all(same(stored[i], figures[i]) for i in (0, 255, 256, 299))
    assert not list(tmp_path.glob("*.part"))
    assert len(cached(SyntheticScenes("easy", 32, 0, 0), tmp_path).coco()["images"]) == 0


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


def test_pictures(hard: list[Sample]) -> None:
    sheet = contact_sheet(hard[:5], columns=3)
    assert sheet.dtype == np.uint8 and sheet.shape == (2 * 388, 3 * 388, 3)
    sample = max(hard, key=len)
    plain = sample.image.copy()
    persons = sample.persons
    given = sample.image, persons.boxes, persons.keypoints, COCO
    shown = draw_persons(*given, scores=np.ones(len(sample), np.float32))
    assert np.array_equal(sample.image, plain) and shown.shape[0] >= 320
    untouched = draw_persons(sample.image, persons.boxes[:0], persons.keypoints[:0], COCO, least_side=1)
    assert np.array_equal(untouched, plain)
    faint = draw_persons(*given, visible=persons.visible * 0.0, least_side=1)
    strong = draw_persons(*given, visible=persons.visible, least_side=1)
    assert (faint != plain).any() and (strong != faint).any()
