"""The identity of jobs does not drift: keys are those of the committed records, and job files of old stay readable."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench import presets
from workbench import study as studies
from workbench.catalog import spec_types
from workbench.errors import Refused
from workbench.report import numbers
from workbench.report.record import open_record
from workbench.spec import from_dict
from workbench.study import Profile, Study
from workbench.trunk import identity
from workbench.variant import Job

GOLDEN = Path(__file__).parent / "golden"
DATA = Path(__file__).parents[1] / "reports" / "data"
RECORDS = sorted(
    (study, protocol)
    for study in studies.known()
    for protocol in presets.SETTINGS
    if (DATA / f"{study}_{protocol}.csv").exists() and presets.SETTINGS[protocol].trains
)


def _keys(study: Study | Profile) -> Any:
    """Every job of a study under every protocol with three seeds; what a line of a profile times."""
    if isinstance(study, Profile):
        return {row.label: study.variant(row).key for row in study.rows}
    found: dict[str, Any] = {}
    for name, setting in presets.SETTINGS.items():
        try:
            cells = study.cells(setting, 3)
        except Refused:
            found[name] = "refused"
            continue
        found[name] = {f"{cell.row} | {cell.seed} | {cell.trunk}": cell.job.key for cell in cells}
    return found


def test_keys_of_all_jobs_are_the_golden_ones() -> None:
    golden = json.loads((GOLDEN / "job_keys.json").read_text())
    for name, keys in golden["studies"].items():
        assert _keys(studies.find(name)) == keys
    assert {name: make().key for name, make in presets.NETWORKS.items()} == golden["networks"]
    assert {name: job.key for name, job in presets.trunk_jobs().items()} == golden["trunks"]
    assert {name: identity(name) for name in presets.trunk_jobs()} == golden["stored"]
    assert Job().key == golden["defaults"]
    assert {word: Job().vary({"protocol.augment": word}).key for word in golden["augment"]} == golden["augment"]
    crowdpose = Job().vary({"recipe.schedule": presets.CROWDPOSE_SCHEDULE})
    assert crowdpose.key == golden["crowdpose schedule"]


@pytest.mark.parametrize("golden", json.loads((GOLDEN / "job_files.json").read_text()), ids=lambda one: one["key"])
def test_job_files_of_old_are_read(golden: dict[str, Any]) -> None:
    assert from_dict(golden["job"], spec_types()).key == golden["key"]


def test_the_committed_records_are_found() -> None:
    assert len(RECORDS) >= 7


@pytest.mark.parametrize(("study", "protocol"), RECORDS)
def test_committed_records_are_current(study: str, protocol: str) -> None:
    record = open_record(study, protocol)
    assert len(record.runs) > 0
    assert numbers.stale(record) == 0
