"""What a job trains and is judged on: scenes, features, real data; the same batches each time they are asked for."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.small import small_job, small_variant
from workbench.core.errors import Refused
from workbench.data.datasets.folder import dataset_fingerprint, open_dataset
from workbench.models import trunk
from workbench.models.initial import keep_start_weights
from workbench.models.network import Network
from workbench.slots import Towers
from workbench.training.source import open_source

COCO = Path(__file__).parents[2].parent / "shared" / "data" / "coco"
real = pytest.mark.skipif(not COCO.is_dir(), reason="no real data beside the checkout")


def test_scenes_are_the_same_each_time_and_validation_is_apart(tmp_path: Path) -> None:
    source = open_source(small_job(), 0, tmp_path)
    once, again, other = ([b.images for b in source.train(epoch)] for epoch in (0, 0, 1))
    assert source.steps == len(once) == 2
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
    assert not torch.equal(once[0], other[0])
    trained = {i for b in source.train(0) for i in b.image_ids}
    judged = [i for b in source.validate() for i in b.image_ids]
    assert len(judged) == 8 == len(source.truth["images"]) and not trained & set(judged)


def test_a_folder_must_be_given_and_be_the_declared_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="add --data FOLDER"):
        open_source(small_job(data="coco@00000000"), 0, tmp_path)


@real
def test_real_images_are_fitted_and_detections_brought_back(tmp_path: Path) -> None:
    job = small_job(data=dataset_fingerprint(COCO), eval_images=4, epoch_images=8, batch=4)
    source = open_source(job, 0, tmp_path, COCO)
    batch = next(iter(source.train(0)))
    assert batch.images.shape == (4, 3, 64, 64) and batch.targets.present.any()
    shown = next(iter(source.validate()))
    val = open_dataset(COCO, "val")
    sample = val[val.image_ids.index(shown.image_ids[0])]
    height, width = sample.image.shape[:2]
    from workbench.tensors import Detections

    corners = np.array([[0, 0, 64, 64]], np.float32)  # the whole canvas is the letterboxed image and its margin
    found = Detections(
        boxes=corners,
        scores=np.ones(1, np.float32),
        labels=np.zeros(1, np.int64),
        keypoints=np.full((1, 17, 2), 32, np.float32),
        keypoint_scores=np.ones((1, 17), np.float32),
        image_id=shown.image_ids[0],
    )
    back = source.restore(found)
    np.testing.assert_allclose(back.keypoints[0, 0], [width / 2, height / 2], atol=1e-3)
    np.testing.assert_allclose(back.boxes[0, 2:] - back.boxes[0, :2], [max(width, height)] * 2, rtol=1e-5)


@real
def test_another_folder_than_the_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="but the job was declared with"):
        open_source(small_job(data="coco@00000000"), 0, tmp_path, COCO)


@real
def test_key_points_of_the_data_and_of_the_variant_must_agree(tmp_path: Path) -> None:
    job = replace(small_job(data=dataset_fingerprint(COCO)), variant=small_variant(num_keypoints=14))
    with pytest.raises(Refused, match=r"17 key points .coco., the variant 14 .crowdpose.: add --set variant.num_key"):
        open_source(job, 0, tmp_path, COCO)


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(trunk, "STORED", tmp_path / "trunks")
    network = Network(small_variant(), seed=7).half().float()  # as it comes back from half precision
    trunk.store_trunk("tiny", small_job(), network.state_dict(), {"images": 1})
    return network


@pytest.mark.slow
def test_a_probe_sees_the_features_of_its_trunk(stored: Network, tmp_path: Path) -> None:
    job = small_job(trunk="tiny")
    source = open_source(job, 0, tmp_path)
    plain = open_source(small_job(), 0, tmp_path)
    assert source.network is not None
    batch, images = next(iter(source.train(0))), next(iter(plain.train(0)))
    assert batch.image_ids == images.image_ids and isinstance(batch.images, Towers)
    assert torch.equal(batch.targets.boxes, images.targets.boxes)
    towers = stored.eval().towers(images.images)
    for mine, direct in zip(batch.images.pose, towers.pose, strict=True):
        torch.testing.assert_close(mine, direct, rtol=2e-3, atol=2e-3)
    again = open_source(job, 0, tmp_path)
    assert torch.equal(next(iter(again.train(0))).images.cls[0], batch.images.cls[0])


def test_of_many_jobs_that_ask_one_computes_the_features(
    stored: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a probe's workers opens the same data at the same time; a file lock holds between threads, too."""
    computed: list[int] = []
    towers = Network.towers

    def counted(self: Network, images: torch.Tensor) -> Towers:
        computed.append(len(images))
        return towers(self, images)

    monkeypatch.setattr(Network, "towers", counted)
    job = small_job(trunk="tiny")
    with ThreadPoolExecutor(3) as pool:
        sources = list(pool.map(lambda _: open_source(job, 0, tmp_path), range(3)))
    assert sum(computed) == job.protocol.images + job.protocol.eval_images
    one, *others = (next(iter(source.train(0))).images.pose[0] for source in sources)
    assert all(torch.equal(one, other) for other in others)
    assert not list(tmp_path.rglob("*.part"))


def test_damaged_features_are_said_and_made_again(
    stored: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = small_job(trunk="tiny")
    whole = next(iter(open_source(job, 0, tmp_path).train(0))).images.pose[0]
    files = sorted((tmp_path / "features").glob("*.safetensors"))
    kept = [file.read_bytes() for file in files]
    files[0].write_bytes(kept[0][:-9])
    files[1].write_bytes(b"no features")
    again = next(iter(open_source(job, 0, tmp_path).train(0))).images.pose[0]
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == [f"{file} is damaged; it is made again" for file in files]
    assert torch.equal(again, whole) and [file.read_bytes() for file in files] == kept


def test_only_what_reads_the_trunk_is_trained(stored: Network, tmp_path: Path) -> None:
    network = trunk.on_trunk(small_job(trunk="tiny"))
    anew = trunk.probed(network.variant)
    free = {name for name, p in network.named_parameters() if p.requires_grad}
    assert free and all(name.startswith(anew) for name in free)
    kept = stored.state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in network.state_dict().items() if not k.startswith(anew))
    assert not torch.equal(network.state_dict()["head.out_pose.0.weight"], kept["head.out_pose.0.weight"])


def test_a_trunk_that_is_not_there_or_does_not_fit_is_refused(stored: Network) -> None:
    with pytest.raises(Refused, match=r"no trunk 'big'; stored are \['tiny'\]"):
        trunk.on_trunk(small_job(trunk="big"))
    other = replace(small_job(trunk="tiny"), variant=small_variant(**{"neck.transformer_encoder_layers": 2}))
    with pytest.raises(Refused, match="does not fit this variant"):
        trunk.on_trunk(other)


@real
def test_validation_images_that_can_not_be_read_are_counted(tmp_path: Path) -> None:
    for part in ("annotations", "train2017"):
        (tmp_path / part).symlink_to(COCO / part)
    (tmp_path / "val2017").mkdir()
    for image in (COCO / "val2017").iterdir():
        (tmp_path / "val2017" / image.name).symlink_to(image)
    job = small_job(data=dataset_fingerprint(tmp_path), eval_images=4, epoch_images=8, batch=4)
    source = open_source(job, 0, tmp_path / "home", tmp_path)
    (tmp_path / "val2017" / source.truth["images"][0]["file_name"]).unlink()  # after the check
    judged = [i for batch in source.validate() for i in batch.image_ids]
    assert len(judged) == 3 and source.truth["images"][0]["id"] not in judged
    assert [Path(file).name for file in source.unreadable] == [source.truth["images"][0]["file_name"]]


@real
def test_a_probe_sees_the_features_that_a_file_has_of_real_images(tmp_path: Path) -> None:
    network = Network(small_variant(), seed=9).eval()
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    name = trunk.file_trunk(keep_start_weights(tmp_path / "a.safetensors", tmp_path))
    job = small_job(data=dataset_fingerprint(COCO), eval_images=8, epoch_images=8, batch=4, images=0)
    seen, fed = (open_source(one, 0, tmp_path, COCO) for one in (job, job.vary({"protocol.trunk": name})))
    assert fed.network is not None and len(list((tmp_path / "features").glob("file@*.safetensors"))) == 2
    for plain, probe in ((seen.train(0), fed.train(0)), (seen.validate(), fed.validate())):
        images, towers = next(iter(plain)), next(iter(probe))
        assert images.image_ids == towers.image_ids
        with torch.no_grad():
            expected = network.towers(images.images)
        for branch in ("cls", "pose"):
            for a, b in zip(getattr(expected, branch), getattr(towers.images, branch), strict=True):
                torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3)
    with pytest.raises(Refused, match="no weights 0123 in"):
        open_source(job.vary({"protocol.trunk": trunk.file_trunk("0123")}), 0, tmp_path, COCO)


def test_another_trunk_under_the_same_name_is_another_job(stored: Network, tmp_path: Path) -> None:
    declared = trunk.trunk_identity("tiny")
    assert declared == f"tiny@{trunk.trunk_digest('tiny')}" and trunk.trunk_identity("none") == "none"
    trunk.on_trunk(small_job(trunk=declared))
    other = {name: value + 1 for name, value in stored.state_dict().items()}
    trunk.store_trunk("tiny", small_job(), other, {"images": 1})
    assert trunk.trunk_identity("tiny") != declared
    with pytest.raises(Refused, match="was declared with"):
        trunk.on_trunk(small_job(trunk=declared))
