"""The table of begun candidates: who is drawn, that it goes on below what stands there, and that the bench reads it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _record, search_table
from benchmarks._tables import trained
from workbench.core.errors import Refused
from workbench.models.job import Job
from workbench.models.zoo import rtmo
from workbench.space import Factor, Search

SMALL_SEARCH = Search(
    name="small",
    question="Do bins pay?",
    source="ours",
    base=rtmo("s"),
    factors=(
        Factor("layers", {n: {"neck.transformer_encoder_layers": n} for n in (0, 1)}),
        Factor("bins", {"48": {"coords.num_bins": (48, 64)}, "again": {"coords.num_bins": (48, 64)}, "same": {}}),
    ),
    limits={"gflops": 16.0},
)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The keys of what is trained, each with an AP of its own, without training."""
    keys: list[str] = []

    def fake(job: Job, home: Path, part: float) -> dict[str, float]:
        keys.append(job.key)
        return {"AP": len(keys) / 100, "mOKS": 0.3, "loss_oks": 16.0, "loss_proxy_l1": 0.5, "minutes": 1.5}

    def threads(jobs: int, mp_context: Any) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(search_table, "begun", fake)
    monkeypatch.setattr(search_table, "ProcessPoolExecutor", threads)
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    return keys


def test_it_goes_on_below_what_stands_there_and_is_searched(begun: list[str], tmp_path: Path) -> None:
    assert search_table.main(["--candidates", "2"], SMALL_SEARCH) == 0
    assert search_table.main(["--candidates", "4"], SMALL_SEARCH) == 0
    assert len(begun) == len(set(begun)) == 4
    table = trained(tmp_path / "bench_search_table.csv", 0)
    assert sorted(table.told) == pytest.approx([1, 2, 3, 4])
    assert set(table.price) == {1.5} and len(table.space.columns) == 4  # one of two that compute the same


def test_what_computes_the_same_or_is_over_the_limit_is_not_drawn() -> None:
    with pytest.raises(Refused, match="4 candidates can be trained, 5 are asked for"):
        search_table.drawn(SMALL_SEARCH, 5)
