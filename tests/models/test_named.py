"""The network that a name means, with and without its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.written import equal, job_folder, mmpose_file, nano_with, network
from tests.small import small_job
from workbench.components.backbones.stdc import STDC
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused
from workbench.models import weight_file, zoo
from workbench.models.named import blueprint, open_network, open_untrained
from workbench.models.releases import RELEASES, address_of, digest_of


@pytest.mark.parametrize("name", RELEASES)
def test_a_release(name: str) -> None:
    release = RELEASES[name]
    found = blueprint(name.replace("-", "_"))
    assert found.variant == zoo.rtmo(release.size, release.keypoints) and found.size == (release.side, release.side)


@pytest.mark.parametrize(("name", "side"), [("nano", 96), ("rtmo-s", 640), ("rtmo-m-crowdpose", 640)])
def test_a_preset(name: str, side: int) -> None:
    found = blueprint(name)
    assert found.variant == zoo.network_named(name) and found.size == (side, side) and found.job is None


def test_a_backbone_in_rtmo() -> None:
    assert blueprint("stdc1-rtmo").variant.backbone == STDC(size="1")
    with pytest.raises(Refused, match=r"no network 'nothing-rtmo' .*timm"):
        blueprint("nothing-rtmo")


def test_the_row_of_a_study() -> None:
    found = blueprint("ablate_dcc:regression")
    assert isinstance(found.variant.coords, Regression) and found.variant.backbone == zoo.rtmo("s").backbone
    assert (found.size, found.source) == ((640, 640), "ablate_dcc:regression")
    assert blueprint("profile_persons:RTMO, 64").variant == zoo.rtmo("s")


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(Refused, match=r"study ablate_dcc has no row 'nothing'; there are \['regression', "):
        blueprint("ablate_dcc:nothing")
    with pytest.raises(Refused, match=r"search_rtmo:x: studies/search_rtmo.py has no rows"):
        blueprint("search_rtmo:x")


def test_the_folder_of_a_job_and_a_file(tmp_path: Path) -> None:
    folder = job_folder(tmp_path / "job")
    found = blueprint(str(folder))
    assert found.job == small_job() and found.size == (64, 64) and found.source == f"job {small_job().key}"
    assert blueprint(str(folder / "weights.safetensors")) == found
    file = blueprint(str(mmpose_file(tmp_path / "a.pth", 4, 2)))
    assert file.source == "a.pth" and file.variant.num_keypoints == 4 and file.size == (96, 96)


def test_an_onnx_file_and_a_file_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").touch()
    with pytest.raises(Refused, match="an ONNX file has no layers that are known here"):
        blueprint(str(tmp_path / "a.onnx"))
    torch.save({"head.x": torch.zeros(1)}, tmp_path / "b.pth")
    with pytest.raises(Refused, match=r"b.pth: not the weights of a released model.*fits no preset.*name the network"):
        blueprint(str(tmp_path / "b.pth"))


def test_a_file_comes_with_its_weights(tmp_path: Path) -> None:
    found, plan = open_network(str(mmpose_file(tmp_path / "a.pth", 4, 2)))
    assert not found.training and plan.variant == found.variant
    assert equal(dict(found.state_dict()), dict(network(4, 2).state_dict()))


@pytest.mark.parametrize("weights", ["a.pth", "job"])
def test_a_preset_with_weights(weights: str, tmp_path: Path) -> None:
    mmpose_file(tmp_path / "a.pth")
    job_folder(tmp_path / "job")
    if weights == "job":
        with pytest.raises(Refused, match=r"job: not this network's weights.*It fits the network of its job"):
            open_network("nano", tmp_path / weights)
    else:
        found, _ = open_network("nano", tmp_path / weights)
        assert equal(dict(found.state_dict()), dict(network().state_dict()))


def test_without_weights_a_preset_is_refused() -> None:
    with pytest.raises(Refused, match="nano: a preset has no weights; add a file that has some"):
        open_network("nano")
    with pytest.raises(Refused, match="ablate_dcc:regression: the row of a study has no weights"):
        open_network("ablate_dcc:regression")


def test_a_release_is_asked_for_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def nothing(source: str, sha256: str) -> Path:
        asked.append((source, sha256))
        raise Refused(f"{source}: could not be downloaded")

    monkeypatch.setattr(weight_file, "fetched", nothing)
    for name, release in RELEASES.items():
        with pytest.raises(Refused, match=f"{name}: no weights given and none found.*could not be down.*weights=FILE"):
            open_network(name)
        assert asked[-1] == (address_of(release), digest_of(release))


def test_random_weights_are_the_same_each_time() -> None:
    (one, plan), (other, _) = (open_untrained("nano") for _ in range(2))
    assert not one.training and plan.variant == nano_with()
    assert equal(dict(one.state_dict()), dict(other.state_dict()))


def test_a_network_is_not_taught_before_its_weights_come(tmp_path: Path) -> None:
    """A job names the weights that its backbone began with; they may be gone by now."""
    folder = job_folder(tmp_path / "job", **{"backbone.use_pretrained": str(tmp_path / "gone.pth")})
    found, plan = open_network(str(folder))
    assert plan.job is not None and dict(plan.variant.flat())["backbone.use_pretrained"] == str(tmp_path / "gone.pth")
    assert dict(found.variant.flat())["backbone.use_pretrained"] is False
