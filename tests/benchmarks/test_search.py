"""The bench of searches: its tables are what it says, every method pays for what it sees, figures add up."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import _record, search
from benchmarks._searchers import SEARCHERS, Account
from benchmarks._tables import DEVIATION, NOISE, SearchTable, made_up, made_up_space, trained
from workbench.core.errors import Refused
from workbench.experiments.search.process import Pool
from workbench.space import Factor, Space


def small(number: int = 0) -> SearchTable:
    """54 cells."""
    labels = {"a": "xyz", "b": "xyz", "c": "xyz", "d": "xy"}
    space = Space(tuple(Factor(name, {label: {} for label in each}) for name, each in labels.items()))
    rng = np.random.default_rng(number)
    features = space.features(space.candidates)
    truth = features @ rng.normal(0, 2, features.shape[1])
    log_cost = features @ rng.uniform(0, 1, features.shape[1])
    early = truth + rng.normal(0, 2, len(truth))
    told = truth + NOISE * rng.normal(size=len(truth))
    limit = float(np.quantile(log_cost, 0.6))
    return SearchTable(space, Pool(features, log_cost), np.exp(log_cost), truth, told, early, limit)


@pytest.mark.slow
def test_made_up_tables_are_what_they_are_said_to_be() -> None:
    space = made_up_space()
    assert len(space) == 48_600 and len(space.factors) == 16 and sum(bool(f.when) for f in space.factors) == 9
    table = made_up(3)
    assert table.truth.std() == pytest.approx(DEVIATION)
    assert (table.told - table.truth).std() == pytest.approx(NOISE, rel=0.02)
    assert np.corrcoef(table.told_early, table.truth)[0, 1] == pytest.approx(0.65, abs=0.02)
    assert table.allowed.mean() == pytest.approx(0.6, abs=0.01)
    assert table.share(np.flatnonzero(table.allowed)) == pytest.approx(1)


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_method_pays_for_all_that_it_sees_and_for_nothing_twice(name: str) -> None:
    table, account, paid = small(), Account(), [0.0]
    for cost, recommends in SEARCHERS[name](table, 1, account):
        assert cost > paid[-1]
        paid.append(cost)
        if len(paid) > 16:
            assert set(recommends().tolist()) <= set(account.trained)
            break
    assert len(account.trained) == len(set(account.trained)) and table.allowed[account.trained].all()
    if name not in ("MO-ASHA", "ours with rungs"):
        assert paid[-1] == pytest.approx(table.price[account.trained].sum())


def test_the_command_resumes_and_sums_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(search, "made_up", lambda number, truth: small(number))
    monkeypatch.setattr(search, "MARKS", {"2": 2, "5": 5, "12": 12})
    assert search.main(["--tables", "1", "--methods", "random"]) == 0
    assert search.main(["--tables", "2", "--methods", "random,ours"]) == 0
    said = capsys.readouterr().out
    with (tmp_path / "bench_search.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    found = [(line["table"], line["method"]) for line in lines]
    assert found == [("0", "random"), ("0", "ours"), ("1", "random"), ("1", "ours")]
    assert "ours - random: 2: " in said and "within 95 %" in said
    with pytest.raises(Refused, match="no such method"):
        search.main(["--methods", "magic"])


def test_a_table_that_was_really_trained_is_read(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text(
        "neck,layers,gflops,minutes,AP_0,AP_1,signal_0,signal_1\n"
        "hybrid,0,8.0,3.0,0.50,0.52,-1.0,-1.1\nhybrid,1,9.0,3.5,0.55,0.53,-0.9,-0.8\npafpn,,7.0,2.5,0.40,0.44,-2,-2\n"
    )
    table = trained(file, 1)
    assert [one.pairs for one in table.space.candidates] == [
        (("neck", "hybrid"), ("layers", "0")),
        (("neck", "hybrid"), ("layers", "1")),
        (("neck", "pafpn"),),
    ]
    assert table.noise == pytest.approx((sum((a - b) ** 2 / 2 for a, b in ((50, 52), (55, 53), (40, 44))) / 3) ** 0.5)
    assert table.truth.tolist() == pytest.approx([50, 55, 40]) and table.told.tolist() == pytest.approx([52, 53, 44])
    assert table.pool.features.sum(1).tolist() == [2, 2, 1] and table.allowed.all()
    for missing, text in ((tmp_path / "none.csv", None), (tmp_path / "other.csv", "a,b\n1,2\n")):
        if text:
            missing.write_text(text)
        with pytest.raises(Refused, match=str(missing)):
            trained(missing, 0)


def test_a_part_of_a_space_is_searched_until_a_tenth_and_a_fifth_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Samplers ask for what is not in the table, too. By a loss, of which less is better."""
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    drawn = np.random.default_rng(0)
    cells = [(a, b, c) for a in "pqrst" for b in "123" for c in ("", *"xy") if (c != "") == (b == "1")]
    lines = [f"{a},{b},{c},{1 + drawn.random():.3f},2.0,{drawn.random():.3f}" for a, b, c in cells[:-3]]
    file = tmp_path / "part.csv"
    file.write_text("\n".join(["one,two,three,gflops,minutes,loss_0", *lines]) + "\n")
    table = trained(file, 0, "loss")
    assert table.noise == 0 and table.truth.max() == -min(float(line.split(",")[-1]) for line in lines)
    assert (
        table.line_of({"one": "t", "two": "3"}) is None and table.line_of({"one": "p", "two": "1", "three": "y"}) == 1
    )
    assert search.main(["--tables", "2", "--table", str(file), "--score", "loss"]) == 0
    said = capsys.readouterr().out
    assert "10%: " in said and "20%: " in said and "ours - TPE" in said and "MO-ASHA" not in said
    (tmp_path / "fewer.csv").write_text("".join(file.read_text().splitlines(keepends=True)[:11]))
    words = ["--tables", "1", "--table", str(tmp_path / "fewer.csv"), "--score", "loss", "--methods", "random"]
    assert search.main(words) == 0, "its lines stand below those of the other table"
    with pytest.raises(Refused, match="--score loss: made-up tables have AP alone"):
        search.main(["--score", "loss"])
    file.write_text("one,two,gflops,minutes,AP_0\na,1,1.0,2.0,0.1\na,,1.0,2.0,0.1\n")
    with pytest.raises(Refused, match="column two: empty in some lines"):
        trained(file, 0)
