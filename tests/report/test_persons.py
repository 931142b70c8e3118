"""Latency against persons, from the costs."""

from pathlib import Path

import pytest

from tests.report.made_up import PERSONS, write_persons
from workbench.core.errors import Refused
from workbench.report.persons import WAYS, growth_frame, persons_frame


def test_persons_are_read_from_the_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_persons("people", PERSONS)
    write_persons("levels", [("kept", 10, 5.0)])
    frame = persons_frame("people")
    assert frame["p50"].tolist() == [ms for _, _, ms in PERSONS] and frame["method"].nunique() == 2
    growth = growth_frame(frame).set_index("method")
    assert growth.loc[WAYS["kept"], "ratio"] == pytest.approx(1.1)
    for name in ("levels", "nobody"):
        with pytest.raises(Refused, match="run the study first"):
            persons_frame(name)
