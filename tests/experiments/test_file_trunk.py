"""A probe on the trunk of a file: what its rows are, and what can not be probed so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.written import job_folder, mmpose_file
from tests.small import small_variant
from workbench.components.coords.dcc import DCC
from workbench.components.coords.regression import Regression
from workbench.core.errors import Refused
from workbench.experiments.file_trunk import OnFileProtocol, on_file_trunk, with_network_of
from workbench.experiments.protocols import PROTOCOLS
from workbench.models import zoo
from workbench.models.initial import start_file
from workbench.study import Study, find_study


def study(name: str = "ablate_dcc") -> Study:
    found = find_study(name)
    assert isinstance(found, Study)
    return found


@pytest.mark.parametrize("source", ["a.pth", "job"])
def test_every_row_stands_on_the_file(source: str, tmp_path: Path) -> None:
    mmpose_file(tmp_path / "a.pth")
    job_folder(tmp_path / "job")
    variant, side = (zoo.nano(), 96) if source == "a.pth" else (small_variant(), 64)
    asked, under = on_file_trunk(study(), PROTOCOLS["probe"], str(tmp_path / source), tmp_path)
    planned = asked.planned_jobs(under)
    assert [one.row for one in planned] == [row.label for row in study().rows]
    for one in planned:
        assert one.job.protocol.trunk == asked.trunk and one.job.protocol.size == (side, side) and not one.trunk
        assert all(getattr(one.job.variant, part) == getattr(variant, part) for part in ("backbone", "neck", "head"))
    assert isinstance(planned[0].job.variant.coords, Regression) and planned[-1].job.variant.coords == variant.coords
    assert len({one.job.key for one in planned}) == len(planned)
    assert start_file(tmp_path, asked.trunk.partition("@")[2]).exists()
    assert under.frozen and under.name == f"probe_{asked.trunk.partition('@')[2][:8]}"
    assert isinstance(under, OnFileProtocol) and under.asked == "probe", "what printed commands call it"


def test_another_file_is_another_job(tmp_path: Path) -> None:
    keys: set[str] = set()
    for classes in (1, 2):
        file = mmpose_file(tmp_path / f"{classes}.pth", 17, classes)
        asked, under = on_file_trunk(study(), PROTOCOLS["probe"], str(file), tmp_path)
        keys |= {one.job.key for one in asked.planned_jobs(under)}
    stored = {one.job.key for one in study().planned_jobs(PROTOCOLS["probe"])}
    assert len(keys) == 2 * len(study().rows) and not keys & stored


def test_a_stage_of_another_kind_is_not_taken() -> None:
    base = with_network_of(zoo.rtmo("s"), zoo.nano().vary(zoo.REGRESSION))
    assert base.coords == DCC() and base.backbone == zoo.nano().backbone


@pytest.mark.parametrize(
    ("name", "protocol", "source", "said"),
    [
        ("ablate_dcc", "short", "a.pth", "--trunk .*protocol short trains whole networks; use --protocol probe"),
        ("ablate_dcc", "thaw", "a.pth", "protocol thaw trains whole networks"),
        ("ablate_levels", "probe", "a.pth", "study ablate_levels can not stand on a frozen trunk, "),
        ("ablate_dcc", "probe", "nano", "--trunk nano: has no weights; name a file"),
        ("ablate_dcc", "probe", "none.pth", "none.pth: no such file or folder"),
    ],
)
def test_what_can_not_be_probed_is_refused(
    name: str, protocol: str, source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pth").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=said):
        on_file_trunk(study(name), PROTOCOLS[protocol], source, tmp_path)
    assert not (tmp_path / "starts").exists()
