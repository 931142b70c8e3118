"""The published face: its names, training and inference, refusals, and the released models' shapes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.tiny import tiny
from tests.models.written import mmpose_file
from tests.recorded import TINY, golden
from workbench import rtmo as face
from workbench.core.errors import Refused
from workbench.data.transforms.geometry import Letterbox
from workbench.models import published_config
from workbench.models.decode import detect
from workbench.models.network import Network
from workbench.models.zoo import rtmo
from workbench.rtmo import RELEASES, RTMO, ModelManager, RTMOConfig, STDCConfig

COUNTS = {"t": 6_829_875, "s": 9_868_899, "m": 22_526_307, "l": 44_693_315}
CROWD = {"s": 9_765_678, "m": 22_372_254, "l": 44_488_430}


def small(**changes: Any) -> RTMO:
    """A model of a tenth of a million parameters."""
    fields: dict[str, Any] = {
        "backbone_config": STDCConfig(size="nano"),
        "transformer_embed_dims": 32,
        "transformer_num_heads": 4,
        "transformer_feedforward_channels": 32,
        "pose_vec_channels": 16,
        "widen_factor": 0.125,
        "feat_channels_dcc": 16,
        "num_bins": (16, 24),
        "spe_channels": 16,
        "gau_s": 16,
    }
    torch.manual_seed(0)
    return RTMO(RTMOConfig(**(fields | changes)), size=(64, 96))


def like_golden() -> RTMO:
    """The face around the tiny model of the golden set, which does find persons."""
    model = small()
    model.network = Network(tiny(), seed=0)
    model.size = (128, 160)
    model.load(TINY / "state_dict.npz")
    return model.eval()


def people(count: int, keypoints: int = 17) -> dict[str, Any]:
    corner = torch.rand(count, 2) * 20
    boxes = torch.cat([corner, corner + 30], 1)
    points = corner[:, None] + torch.rand(count, keypoints, 2) * 30
    visible = torch.ones(count, keypoints)
    return {"boxes": boxes, "keypoints": points, "visible": visible, "areas": torch.full((count,), 500.0)}


@pytest.mark.parametrize("name", ["BackboneConfig", "CSPConfig", "ResNetConfig", "STDCConfig", "RTMOConfig"])
def test_the_configs_are_part_of_the_face(name: str) -> None:
    assert getattr(face, name) is getattr(published_config, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", RELEASES)
def test_released_models(name: str) -> None:
    size, keypoints, _, file = RELEASES[name]
    variant = ModelManager.config(name).variant()
    assert variant == rtmo(size, keypoints)
    with torch.device("meta"):
        network = Network(variant)
    count = sum(p.numel() for p in network.parameters())
    assert count == (COUNTS if keypoints == 17 else CROWD)[size]
    assert ("crowdpose" in file) == (keypoints == 14)


# --- training


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_training_step(phase: int) -> None:
    model = small().train()
    given = [people(2), SimpleNamespace(**people(1))]
    before = {k: v.clone() for k, v in model.state_dict().items() if "coords" in k and "running" in k}
    output = model(torch.rand(2, 3, 64, 96) * 255, given, phase=phase)
    assert output.loss is not None
    terms = output.loss.terms()
    published = {"loss_cls", "loss_bbox", "loss_mle", "loss_vis", "loss_oks"}
    assert set(terms) == published | ({"loss_bbox_aux"} if phase == 2 else set())
    assert float(output.loss.total.detach()) == pytest.approx(sum(float(t.detach()) for t in terms.values()), rel=1e-5)
    output.loss.total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    # the losses update the statistics once; looking for persons does not
    after = {k: v for k, v in model.state_dict().items() if k in before}
    assert any(not torch.equal(before[k], after[k]) for k in before)
    assert model.network.coords.training


def test_loss_is_that_of_the_reference() -> None:
    g = golden("tiny/train_inputs")
    names = {"boxes": "bboxes", "keypoints": "keypoints", "visible": "keypoints_visible", "areas": "areas"}
    given = [{ours: g[f"A{i}_{name}"] for ours, name in names.items()} for i in (0, 1)]  # the second is empty
    output = like_golden()(g["A_image_uint8_bgr_hwc"].permute(0, 3, 1, 2).float(), given)
    expected = golden("tiny/train_stage1_A_bneval")
    assert output.loss is not None
    for name, term in output.loss.terms().items():
        reference = expected.get(f"{name}.mean", expected[name])
        assert float(term.detach()) == pytest.approx(float(reference), rel=2e-4), name


def test_without_targets_there_is_no_loss() -> None:
    model = small().eval()
    with torch.no_grad():
        output = model(torch.rand(2, 3, 64, 96) * 255, score_threshold=0.0)
    found = output.outputs
    assert output.loss is None
    n = found.scores.shape[1]
    assert found.pred_bboxes.shape == (2, n, 4) and found.pred_keypoints.shape == (2, n, 17, 2)
    assert found.keypoint_scores.shape == found.keypoints_visible.shape == (2, n, 17)
    assert found.labels.shape == found.bbox_scores.shape == (2, n)


def test_outputs_are_padded_predictions() -> None:
    images = golden("tiny/inference")["image_uint8_bgr_nhwc"].permute(0, 3, 1, 2).float()
    model = like_golden()
    with torch.no_grad():
        found = model(images).outputs
    alone = detect(model.network, images)
    assert [len(one) for one in alone] == [20, 10]
    for i, one in enumerate(alone):
        n = len(one)
        assert np.array_equal(found.scores[i, :n].numpy(), one.scores)
        np.testing.assert_allclose(found.pred_bboxes[i, :n].numpy(), one.boxes, atol=1e-4)
        np.testing.assert_allclose(found.pred_keypoints[i, :n].numpy(), one.keypoints, atol=1e-3)
        assert (found.labels[i, n:] == -1).all() and (found.scores[i, n:] == 0).all()
        assert (found.labels[i, :n] == 0).all()


GOOD = people(2)


@cache
def refusing() -> RTMO:
    return small()


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "float32"),
        (np.zeros((64, 64, 3), np.uint8), "float32"),
        (torch.zeros(1, 3, 60, 64), "multiples of 32"),
        (torch.zeros(3, 64, 64), "B, 3, H, W"),
    ],
)
def test_images_that_are_refused(images: Any, message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        refusing()(images)
    assert "\n" not in str(refused.value)


def test_a_phase_that_is_not_there() -> None:
    with pytest.raises(Refused, match=r"phase 3: expected 0\.\.2"):
        refusing()(torch.zeros(1, 3, 64, 64), [GOOD], phase=3)


def test_several_classes_want_labels() -> None:
    model = small(num_classes=3).train()
    with pytest.raises(Refused, match="no labels"):
        model(torch.zeros(1, 3, 64, 64), [GOOD])
    output = model(torch.rand(1, 3, 64, 64) * 255, [GOOD | {"labels": [2, 0]}])
    assert output.loss is not None and output.loss.total.isfinite()


# --- inference


def scene() -> np.ndarray:
    image = golden("tiny/inference")["image_uint8_bgr_nhwc"][0].numpy()
    return np.ascontiguousarray(cv2.resize(image, (320, 200)))


def test_infer_maps_back_to_the_image(tmp_path: Path) -> None:
    model, image = like_golden(), scene()
    found = model.infer(image).detections
    assert found
    placed = Letterbox.of((200, 320), (128, 160))
    (raw,) = detect(model.network, torch.from_numpy(placed.image(image)).permute(2, 0, 1)[None].float())
    assert len(raw) == len(found)
    np.testing.assert_allclose(
        [[p[:2] for p in one.keypoints] for one in found],
        placed.back(raw.keypoints),
        atol=1e-2,
    )
    np.testing.assert_allclose([[p[2] for p in one.keypoints] for one in found], raw.keypoint_scores, atol=1e-5)
    np.testing.assert_allclose([one.bbox[:2] for one in found], placed.back(raw.boxes[:, :2]), atol=1e-2)
    first = found[0]
    assert (first.cls_id, first.label) == (0, "person")
    assert isinstance(first.bbox[0], float) and isinstance(first.conf, float) and isinstance(first.cls_id, int)
    assert [one.conf for one in found] == sorted((one.conf for one in found), reverse=True)
    assert all(one.conf > 0.1 for one in found)

    cv2.imwrite(str(tmp_path / "a.png"), image)
    colours = Image.fromarray(image[..., ::-1].copy())
    for same in (str(tmp_path / "a.png"), tmp_path / "a.png", colours):
        assert model.infer(same).detections == found


def test_thresholds_of_infer() -> None:
    model, image = like_golden(), scene()
    few = model.infer(image, score_threshold=0.5).detections
    assert few and all(one.conf > 0.5 for one in few)
    assert len(few) < len(model.infer(image).detections) <= len(model.infer(image, nms_threshold=1.0).detections)


@pytest.mark.parametrize("name", ["score_threshold", "nms_threshold"])
@pytest.mark.parametrize("value", [float("nan"), -1, -0.1, "0.1", None, True])
def test_a_threshold_that_finds_nobody_or_everybody_is_refused(name: str, value: Any) -> None:
    model: Any = small()
    for call in (model.infer, lambda image, **more: model(torch.zeros(1, 3, 64, 64), **more)):
        with pytest.raises(Refused, match=f"{name} .*: expected a number in 0..1"):
            call(np.zeros((64, 64, 3), np.uint8), **{name: value})
    with pytest.raises(Refused, match="score_threshold 2: expected"):
        model.infer(np.zeros((64, 64, 3), np.uint8), score_threshold=2)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("none.jpg", "none.jpg: missing"),
        (np.zeros((4, 4, 2), np.uint8), r"uint8 array \(4, 4, 2\)"),
        (np.zeros((4, 4, 3), np.float32), "float32 array"),
        (np.zeros((0, 4, 3), np.uint8), "array"),
        (3, "int given"),
    ],
)
def test_what_is_no_image(image: Any, message: str) -> None:
    with pytest.raises(Refused, match=message):
        refusing().infer(image)


def test_the_form_of_a_picture_changes_nothing() -> None:
    model, image = like_golden(), scene()
    found = model.infer(image)
    encoded = cv2.imencode(".png", image)[1].tobytes()
    sixteen = cv2.imencode(".png", image.astype(np.uint16) * 257)[1].tobytes()
    see_through = Image.fromarray(np.dstack([image[..., ::-1], np.full(image.shape[:2], 7, np.uint8)]))
    planes = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    for same in (encoded, sixteen, see_through, planes, planes / 255, image.astype(np.uint16) * 256 + 99):
        assert model.infer(same) == found
    assert found.size == (200, 320) and found.keypoint_names[0] == "nose" and len(found.detections[0].keypoints) == 17
    assert ("left_shoulder", "left_elbow") in found.limbs or ("left_elbow", "left_shoulder") in found.limbs


def test_a_list_gives_what_each_gives_alone(tmp_path: Path) -> None:
    model, image = like_golden(), scene()
    other = np.ascontiguousarray(image[:150, 40:])
    cv2.imwrite(str(tmp_path / "a.png"), image)
    several = model.infer([tmp_path / "a.png", other, image], batch=2)
    alone = [model.infer(image), model.infer(other), model.infer(image)]
    for one, single in zip(several, alone, strict=True):
        assert len(one.detections) == len(single.detections) > 0
        for a, b in zip(one.detections, single.detections, strict=True):
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=0.01)
    planes = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)
    batch: Any = model.infer(torch.stack([planes, planes]))
    assert len(batch) == 2 and model.infer([]) == []
    with pytest.raises(Refused, match=r"none\.jpg: missing"):
        model.infer([image, "none.jpg"])
    with pytest.raises(Refused, match="image 1: int given"):
        wrong: Any = [image, 3]
        model.infer(wrong)


def test_infer_leaves_the_mode() -> None:
    model = small().train()
    model.infer(np.zeros((10, 20, 3), np.uint8))
    assert model.training and model.network.training


# --- models by name


@pytest.mark.slow
def test_saved_weights_come_back(tmp_path: Path) -> None:
    model = RTMO(ModelManager.config("rtmo-t"), (416, 416)).eval()
    model.save(tmp_path / "a.pth")
    again = [ModelManager.get("rtmo-t", weights=tmp_path / "a.pth"), ModelManager.get(str(tmp_path / "a.pth"))]
    for one in again:
        assert not one.training and one.size == (416, 416) and one.config == model.config
        assert all(torch.equal(v, one.state_dict()[k]) for k, v in model.state_dict().items())


def test_a_file_of_ones_own_finds_persons(tmp_path: Path) -> None:
    model = ModelManager.get(str(mmpose_file(tmp_path / "a.pth", 4)))
    assert model.config is None and model.size == (96, 96)
    found = model.infer(np.zeros((40, 60, 3), np.uint8), score_threshold=0.0).detections
    assert found and {len(person.keypoints) for person in found} == {4}
    with pytest.raises(Refused, match=r"targets: the losses of this network are .*loss_.*train a job"):
        model(torch.zeros(1, 3, 64, 64), [people(1, 4)])


@pytest.mark.slow
def test_weights_of_another_model(tmp_path: Path) -> None:
    RTMO(ModelManager.config("rtmo-t")).save(tmp_path / "t.pth")
    with pytest.raises(Refused, match=r"fits the preset rtmo\('t', 17\)"):
        ModelManager.get("rtmo-s-coco", weights=tmp_path / "t.pth")


def test_no_such_model() -> None:
    with pytest.raises(Refused, match=r"no network 'rtmo-x'; there are .*released with weights rtmo-t, rtmo-s-coco"):
        ModelManager.get("rtmo-x")
    with pytest.raises(Refused, match="rtmo-s: a preset has no weights"):
        ModelManager.get("rtmo-s")
    with pytest.raises(Refused, match="nano: RTMOConfig does not describe it"):
        ModelManager.config("nano")


def test_the_card_s_values_that_do_not_fit_are_told() -> None:
    assert face.__doc__ and "[16, 8]" in face.__doc__


@pytest.mark.parametrize("name", [[], None, 3, {}])
def test_what_is_no_name_of_a_model_is_refused(name: Any) -> None:
    for ask in (ModelManager.get, ModelManager.config):
        with pytest.raises(Refused, match="expected the name of a model"):
            ask(name)
