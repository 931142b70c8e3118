"""Match records: written and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.golden import golden
from workbench.core.errors import Refused
from workbench.evaluation.records import MatchRecords


def test_records_come_back_whole(tmp_path: Path) -> None:
    records = golden("coco").records
    records.save(tmp_path / "records.npz")
    again = MatchRecords.load(tmp_path / "records.npz")
    for name in MatchRecords.__slots__:
        assert np.array_equal(getattr(records, name), getattr(again, name))
        assert getattr(records, name).dtype == getattr(again, name).dtype
    assert [p.name for p in tmp_path.iterdir()] == ["records.npz"]
    np.savez(tmp_path / "other.npz", a=np.zeros(1))
    with pytest.raises(Refused, match="not a file of match records"):
        MatchRecords.load(tmp_path / "other.npz")


@pytest.mark.parametrize("keep", [0, 50, 700])
def test_a_damaged_file_is_named_in_a_line(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "records.npz"
    golden("coco").records.save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Refused, match=r"records\.npz: it is damaged \(.*\); train that job again") as refused:
        MatchRecords.load(path)
    assert "\n" not in str(refused.value)
