"""Jobs that begin with other jobs: these come first, once, whatever dies, and nothing begins without them."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.experiments.fakes import FAKED, SETTING, STUDY, finish, log, quick, start
from workbench.core.errors import Refused
from workbench.experiments import runner
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.plan import StudyRun
from workbench.experiments.protocols import PROTOCOLS
from workbench.models.job import Job
from workbench.models.trunk import stored_trunks
from workbench.study import Row, Study, StudyProtocol, find_study, known_studies, with_starts
from workbench.training.machine import Machine
from workbench.training.record import Progress, Result

pytestmark = FAKED
TOGETHER = replace(SETTING, name="before", protocol=replace(SETTING.protocol, stop=1), together=True)
EACH = replace(SETTING, name="before")
BEGUN = [replace(SETTING, name="begun", first=first, taught="all") for first in (TOGETHER, EACH)]
AGAIN = Study("fake", "Is it sure?", "none", STUDY.base, (*STUDY.rows, Row("A/A", seed_offset=100)))


def starts(protocol: StudyProtocol) -> list[str]:
    planned = STUDY.planned_jobs(protocol)
    return [one.job.key for one in with_starts(planned)[: -len(planned)]]


def in_order(home: Path, protocol: StudyProtocol) -> None:
    """Every job came to its end once, none before the one that it begins with."""
    said = (home / "log").read_text().splitlines()
    for one in STUDY.planned_jobs(protocol):
        assert one.first is not None
        first, then = (f"end {one.first.job.key}", f"begin {one.job.key}")
        assert said.count(first) == said.count(f"end {one.job.key}") == 1
        assert said.index(first) < said.index(then)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", BEGUN, ids=["one for all rows", "one for each row"])
def test_what_rows_begin_with_comes_first_and_once(
    protocol: StudyProtocol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = StudyRun(STUDY, protocol, tmp_path)
    assert start(run, quick) == 0
    assert len(starts(protocol)) == (2 if protocol.first is TOGETHER else 6)
    in_order(tmp_path, protocol)
    assert f"{6 + len(starts(protocol))} of {6 + len(starts(protocol))} complete" in capsys.readouterr().out
    before = log(tmp_path)
    assert start(run, quick) == 0 and log(tmp_path) == before
    assert runner.status(run) == 0
    assert ("│ before" if protocol.first is TOGETHER else "│ padding, before") in capsys.readouterr().out


def dying(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    """The first attempt at each job that others begin with kills its own process."""
    mark = home / f"killed {job.key}"
    if job.protocol.stop and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return finish(job, home, tell)


@pytest.mark.soak
def test_a_worker_that_is_killed_at_it_loses_nothing(tmp_path: Path) -> None:
    assert start(StudyRun(STUDY, BEGUN[0], tmp_path), dying) == 0
    in_order(tmp_path, BEGUN[0])


def refusing(
    job: Job, machine: Machine, home: Path, data: Path | None, tell: Callable[[Progress], None], until: int
) -> Result:
    if job.protocol.stop and job.seed:
        raise Refused("the trunk is another one")
    return finish(job, home, tell)


@pytest.mark.slow
def test_rows_wait_for_what_they_begin_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = StudyRun(STUDY, BEGUN[0], tmp_path)
    assert start(run, refusing) == 1
    out = capsys.readouterr().out
    assert "4 of 8 complete" in out and "the trunk is another one" in out
    assert sum(log(tmp_path).values()) == 2 * 4, "nothing was begun without it"
    assert runner.retry(run) == 1
    assert start(run, quick) == 0
    in_order(tmp_path, BEGUN[0])


def test_rows_that_repeat_the_base_begin_with_what_it_begins_with() -> None:
    """Then only what follows tells them apart. Where every row has its own beginning, theirs is another one."""
    shared, own = ({one.row: one.job.start.key for one in AGAIN.planned_jobs(protocol, 1)} for protocol in BEGUN)
    assert len(set(shared.values())) == 1 and own["A/A"] != own["base"]
    for protocol in BEGUN:
        check_distinct(AGAIN.planned_jobs(protocol, 1))


@pytest.mark.slow
@pytest.mark.parametrize("name", known_studies())
@pytest.mark.parametrize("protocol", [p for p in PROTOCOLS.values() if p.first], ids=lambda protocol: protocol.name)
def test_the_rows_of_every_study_differ_under_every_protocol_with_a_beginning(
    name: str, protocol: StudyProtocol
) -> None:
    study = find_study(name)
    if not isinstance(study, Study):
        pytest.skip("nothing is trained")
    try:
        planned = study.planned_jobs(protocol, 1)
    except Refused:
        pytest.skip("its rows have no network in common")
    check_distinct(planned)
    check_distinct([one for one in with_starts(planned) if one.job.protocol.trunk])


def test_changes_reach_what_rows_begin_with() -> None:
    """Of one training in two parts all but its end; of a training before another one what they have in common."""
    changes = {"variant.coords.padding": 2.0, "recipe.lr": 0.5, "protocol.batch": 16}
    together, each = ({one.job for one in with_starts(STUDY.planned_jobs(p, 1, changes))[:1]}.pop() for p in BEGUN)
    assert (together.recipe.lr, together.protocol.batch) == (0.5, 16)
    assert (each.recipe.lr, each.protocol.batch) != (0.5, 16)
    for job in (together, each):
        assert "2.0" in str([value for path, value in job.flat() if path.endswith("padding")])


def test_another_first_seed_is_another_plan_of_other_jobs(tmp_path: Path) -> None:
    plain, other = (StudyRun(STUDY, BEGUN[0], tmp_path, first_seed=seed) for seed in (0, 2))
    keys = [{one.job.key for one in with_starts(run.jobs())} for run in (plain, other)]
    assert len(keys[0]) == len(keys[1]) and not keys[0] & keys[1]
    assert {one.seed for one in other.jobs(3)} == {2, 3, 4}
    assert plain.name == "fake/begun" != other.name and "first_seed-2" in other.stem


@pytest.mark.parametrize("path", ["start", "start.key", "start.epoch"])
def test_what_jobs_begin_with_is_no_change_of_all_of_them(path: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="start has an option of its own; use --protocol NAME"):
        StudyRun(STUDY, SETTING, tmp_path, changes={path: "x"})


def test_trunks_that_are_not_stored_are_missed_at_once(tmp_path: Path) -> None:
    protocol = replace(PROTOCOLS["probe"], trunks=("joint", "nobody"))
    run = StudyRun(find_study("ablate_dcc"), protocol, tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(Refused, match=r"stands on trunks nobody, which are not stored .*`workbench trunk nobody`"):
        start(run, quick)
    assert not list(tmp_path.iterdir()) and "joint" in stored_trunks()
