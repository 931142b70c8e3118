"""What a search refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.search.searched import SETTING, plant, searching, without_counting
from workbench.core.errors import Refused
from workbench.experiments.search.log import Log, State
from workbench.experiments.search.refusals import check_any_met, check_search_data
from workbench.experiments.search.rounds import Searcher


def test_data_that_is_missing_or_not_to_be_judged_so_is_refused(tmp_path: Path) -> None:
    run = searching(tmp_path)
    check_search_data(run)
    with pytest.raises(Refused, match="planted searches for AP_H, which the embedded data set can not decide"):
        check_search_data(replace(run, search=replace(run.search, up="AP_H")))
    on_disk = replace(SETTING, protocol=replace(SETTING.protocol, data="folder"))
    with pytest.raises(Refused, match="protocol small wants a data set: add --data FOLDER"):
        check_search_data(replace(run, protocol=on_disk))


def test_a_limit_that_all_were_over_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_counting(monkeypatch)
    known = Searcher(plant(tmp_path)).know()
    check_any_met(known)
    over = tuple(replace(one, state=State.OVER, why="gflops 6, at most 0.5") for one in known.log.proposals)
    low = replace(known.run, limits={"gflops": 0.5})
    with pytest.raises(Refused, match=r"no candidate meets --max gflops=0\.5"):
        check_any_met(replace(known, run=low, log=Log(over)))
