"""The identity of jobs does not drift: keys are those of the committed records, and job files of old stay readable."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import study as studies
from workbench.core.errors import Refused
from workbench.core.spec import from_dict
from workbench.experiments import protocols, trunks
from workbench.models import zoo
from workbench.models.catalog import spec_types
from workbench.models.job import Job
from workbench.models.schedule import CROWDPOSE_SCHEDULE
from workbench.models.trunk import trunk_identity
from workbench.report.record import open_record
from workbench.report.rows import stale
from workbench.report.verdict_frames import forest_frame
from workbench.space import Search
from workbench.study import Study, TimingStudy

GOLDEN = Path(__file__).parent / "golden"
DATA = Path(__file__).parents[1] / "reports" / "data"
RECORDS = sorted(
    (study, protocol)
    for study in studies.known_studies()
    for protocol in protocols.PROTOCOLS
    if (DATA / f"{study}_{protocol}.csv").exists() and protocols.PROTOCOLS[protocol].trains
)


def _keys(study: Study | TimingStudy) -> Any:
    """Every job of a study under every protocol with three seeds; what a line of a profile times."""
    if isinstance(study, TimingStudy):
        return {row.label: study.variant(row).key for row in study.rows}
    found: dict[str, Any] = {}
    for name, setting in protocols.PROTOCOLS.items():
        try:
            cells = study.planned_jobs(setting, 3)
        except Refused:
            found[name] = "refused"
            continue
        found[name] = {f"{cell.row} | {cell.seed} | {cell.trunk}": cell.job.key for cell in cells}
    return found


def _holds(found: dict[str, Any], golden: dict[str, Any]) -> bool:
    """Whether all that is golden is found; what has been added since is not in it."""
    return {name: found.get(name) for name in golden} == golden


@pytest.mark.slow
def test_keys_of_all_jobs_are_the_golden_ones() -> None:
    golden = json.loads((GOLDEN / "job_keys.json").read_text())
    for name, keys in golden["studies"].items():
        assert not isinstance(study := studies.find_study(name), Search)
        assert _holds(_keys(study), keys)
    assert _holds({name: make().key for name, make in zoo.NETWORKS.items()}, golden["networks"])
    assert _holds({name: job.key for name, job in trunks.trunk_jobs().items()}, golden["trunks"])
    assert _holds({name: trunk_identity(name) for name in trunks.trunk_jobs()}, golden["stored"])
    assert Job().key == golden["defaults"]
    assert {word: Job().vary({"protocol.augment": word}).key for word in golden["augment"]} == golden["augment"]
    crowdpose = Job().vary({"recipe.schedule": CROWDPOSE_SCHEDULE})
    assert crowdpose.key == golden["crowdpose schedule"]


@pytest.mark.parametrize("golden", json.loads((GOLDEN / "job_files.json").read_text()), ids=lambda one: one["key"])
def test_job_files_of_old_are_read(golden: dict[str, Any]) -> None:
    assert from_dict(golden["job"], spec_types()).key == golden["key"]


def test_the_committed_records_are_found() -> None:
    assert {("ablate_dcc", "thaw"), ("ablate_loss", "fork")} <= set(RECORDS)


@pytest.mark.slow
@pytest.mark.parametrize(("study", "protocol"), RECORDS)
def test_committed_records_are_current(study: str, protocol: str) -> None:
    record = open_record(study, protocol)
    assert len(record.runs) > 0
    assert stale(record) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("study", "protocol"), RECORDS)
def test_every_claim_with_a_number_is_drawn(study: str, protocol: str) -> None:
    record = open_record(study, protocol)
    numbers = set(record.claims.dropna(subset=["mean"])["claim"])
    assert numbers and numbers <= set(forest_frame(record)["claim"])
