"""A job as the queue holds it, and which ones it can not hold."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import pytest
from torch import Tensor

from tests.experiments.fakes import FAKED, SETTING, STUDY, quick, start
from workbench.core.errors import Refused
from workbench.experiments.plan import StudyRun
from workbench.experiments.queued_job import QUEUED, attributes_of, queued_job
from workbench.slots import Assigner
from workbench.study import Row
from workbench.tensors import Assignment, Dense, Targets

pytestmark = FAKED


def test_a_job_comes_back_as_it_was_put_in() -> None:
    one = STUDY.planned_jobs(SETTING)[1]
    said = attributes_of(replace(one, until=3))
    assert tuple(said) == QUEUED and said["until"] == 3 and "until" not in attributes_of(one)
    assert queued_job(json.loads(json.dumps(said))) == one.job


def test_a_job_of_another_version_is_refused() -> None:
    said = attributes_of(STUDY.planned_jobs(SETTING)[0])
    with pytest.raises(Refused, match=r"queued by another version of the workbench.*retry NAME queues it again"):
        queued_job(said | {"job": said["job"] | {"seed": 7}})


@final
@dataclass(frozen=True, kw_only=True)
class Homeless(Assigner):
    """A component that lives in a file of its user."""

    def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
        raise NotImplementedError


def namesake() -> Assigner:
    """A component that bears the name of another: its key would be that one's."""

    @final
    @dataclass(frozen=True, kw_only=True)
    class SimOTA(Assigner):
        def assign(self, dense: Dense, targets: Targets, sigmas: Tensor) -> Assignment:
            raise NotImplementedError

    return SimOTA()


@pytest.mark.parametrize("local", [Homeless(), namesake()])
def test_a_component_that_workers_can_not_find_is_refused_before_any_job(tmp_path: Path, local: Assigner) -> None:
    study = replace(STUDY, rows=(Row("base"), Row("other", {"assigner": local})), claims=())
    where = f"{__name__}.{type(local).__qualname__}"
    said = f"other, seed 0: workers can not find {where}; .*workbench/components"
    with pytest.raises(Refused, match=said):
        start(StudyRun(study, SETTING, tmp_path), quick)
    assert not (tmp_path / "jobs").exists()
