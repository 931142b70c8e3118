"""Where the jobs of a study stand."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments.kept_plan import KeptPlan, lines_of
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.states import print_plan, print_states, tally
from workbench.training.record import job_folder, write_result

LINES = lines_of(STUDY.planned_jobs(SETTING))
STARTED = (
    "import sys, workbench.cli.app, workbench.experiments.states; print({'torch', 'scipy.stats'} & {*sys.modules})"
)


@pytest.mark.slow
def test_it_needs_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_the_states_are_a_line_per_row_and_a_column_per_seed_with_the_errors_below(
    capsys: pytest.CaptureFixture[str],
) -> None:
    entries = {one.key: QueueEntry(JobState.COMPLETE, note="of the first attempt") for one in LINES}
    failed = LINES[-1]
    entries[failed.key] = QueueEntry(JobState.FAILED, failures=2, note="RuntimeError: not finite")
    print_states(LINES, entries)
    out = capsys.readouterr().out
    lines = {words[0]: words[1:] for line in out.splitlines() if len(words := line.strip("│ ").split("│")) > 1}
    states = {row.strip(): [state.strip() for state in states] for row, states in lines.items()}
    assert states == {"base": ["complete"] * 2, "padding": ["complete"] * 2, "static": ["complete", "failed x2"]}
    assert f"static, seed 1 ({failed.key}): RuntimeError: not finite" in out
    assert "of the first attempt" not in out


def test_a_job_of_two_rows_counts_for_both() -> None:
    entries = {"a": QueueEntry(JobState.COMPLETE), "b": QueueEntry(JobState.PLANNED)}
    assert tally(["a", "a", "b"], entries) == "2 of 3 complete"


def test_what_is_missing_and_what_is_broken_is_told_by_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = KeptPlan("fake/test", LINES)
    assert print_plan(tmp_path, plan) == 1 and "0 of 6 complete" in capsys.readouterr().out
    for one in LINES:
        (folder := job_folder(tmp_path, one.key)).mkdir(parents=True)
        write_result(folder, one.key, {}, {})
    assert print_plan(tmp_path, plan) == 0 and "6 of 6 complete" in capsys.readouterr().out
    (job_folder(tmp_path, LINES[0].key) / "curve.csv").write_text("")
    assert print_plan(tmp_path, plan) == 1 and "broken: " in capsys.readouterr().out
