"""Runs a study: fills the job queue, starts the workers, records what is complete, and concludes.

A run of a study is a plan of jobs. A job is complete when its folder holds `result.json`, whatever else is recorded.
Each round queues every job that is neither complete nor running nor waiting and has failed fewer than three times;
worker processes take them from there. So nothing is lost when a process dies, and nothing is done twice when the same
command runs twice at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from workbench.core.errors import Refused, one_line
from workbench.core.files import check_space, check_writable
from workbench.core.processes import interruptible
from workbench.evaluation.verdicts import Verdict
from workbench.experiments import claims, commands, console, sequential, tracking
from workbench.experiments.alike import AllFailAlike, common_failure, job_end
from workbench.experiments.data_checks import check_jobs_fit, check_measured, look_at_data
from workbench.experiments.delivery import Delivery
from workbench.experiments.engines.engine import LOCAL, Engine
from workbench.experiments.job_claim import read_progress
from workbench.experiments.job_files import files_of
from workbench.experiments.job_queue import JobQueue
from workbench.experiments.kept_plan import KeptPlan, lines_of
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.pairing import Results
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.queued_job import check_queueable
from workbench.experiments.search.plan import SearchRun
from workbench.experiments.states import print_plan, print_states, tally
from workbench.experiments.stores import outlasting, store_of
from workbench.experiments.worker_pool import TrainJob, Workers, WorkerSettings, work_off
from workbench.models.trunk import stored_trunks
from workbench.study import PlannedJob, with_starts
from workbench.training.damage import put_aside_damaged
from workbench.training.machine import Machine
from workbench.training.record import train_minutes
from workbench.training.run import check_ranks
from workbench.training.run import run as train_job

FREE_BYTES = 50_000_000  # bytes that are to be free at the start: a checkpoint of the smallest networks has ten million


def run_study(
    run: StudyRun,
    *,
    machine: Machine,
    jobs: int | None = None,
    train: TrainJob = train_job,
    then: commands.Following | None = None,
    engine: Engine = LOCAL,
) -> int:
    """Does what is missing of a study, shows it while it goes on, and prints the table, the verdicts and what is next.

    Args:
        jobs: at a time; None leaves it to the engine.
        train: what a worker does with a job.
        then: the commands that it says in the end; None: those of a study that is a file.
        engine: starts the workers.

    Returns:
        0 all complete, 1 something is missing, 130 interrupted.

    Raises:
        Refused: rows that can not be told apart, a component that workers can not find, no data set where one is
            needed, a batch that the machine's processes can not share, a store or files that can not be used, or an
            engine that can not.
    """
    engine.check(jobs, run.home)
    _check_home(run.home)
    planned = sequential.needed_jobs(run)
    for line in put_aside_damaged(run.folder(one.job.key) for one in with_starts(planned)):
        console.say(line)
    _check_jobs(run, planned, machine)
    _keep_terms(run)
    workers, record = WorkerSettings(run.home, run.name, machine, run.data, train), tracking.MlflowRecord(run)
    say_joining(run)
    with interruptible() as check:
        try:
            with engine.pool(workers, jobs, check) as pool:
                planned, entries = _rounds(run, pool, record)
        except KeyboardInterrupt:
            planned = with_starts(sequential.needed_jobs(run))
            entries = _ended(run, planned)
            console.say(f"stopped: {_tally(planned, entries)}; the same command goes on from there")
            return 130
        except AllFailAlike as error:
            planned = sequential.needed_jobs(run)
            entries = _ended(run, with_starts(planned))
            console.say(f"stopped, as every row fails alike: {error}")
    return _conclude(run, planned, entries, record, then or commands.following(run))


def _keep_terms(run: StudyRun) -> None:
    """Those of `--until decided`, for the commands that come after this one."""
    if said := sequential.other_terms(run):
        console.say(said)
    if (settings := sequential.settings_of(run)) is not None:
        run.write_settings(settings)


def _check_jobs(run: StudyRun, planned: Sequence[PlannedJob], machine: Machine) -> None:
    """At once, not job by job."""
    _check_whole(run, planned)
    every = with_starts(planned)
    for one in every:
        if not run.complete(one.job.key):
            check_ranks(one.job, machine.ranks)
    check_distinct(planned)
    check_distinct([one for one in every[: len(every) - len(planned)] if one.job.protocol.trunk])
    check_queueable(every)


def say_joining(run: StudyRun | SearchRun) -> None:
    """What is typed on other machines, where they share the store."""
    if store_of(run.home).shared:
        console.say(f"other machines join with: {commands.joining(run)}")


def _queue(run: StudyRun) -> JobQueue:
    return outlasting(lambda: JobQueue(run.home, run.name))


def _ended(run: StudyRun, planned: Sequence[PlannedJob]) -> dict[str, QueueEntry]:
    return outlasting(lambda: _queue(run).final_entries(_keys(planned)))


def _keys(planned: Sequence[PlannedJob]) -> set[str]:
    return {one.job.key for one in planned}


def _rounds(
    run: StudyRun, pool: Workers, record: tracking.MlflowRecord
) -> tuple[list[PlannedJob], dict[str, QueueEntry]]:
    """Does the jobs that are needed until no more are. A plain study is one round."""
    done: list[PlannedJob] = []
    entries: dict[str, QueueEntry] = {}
    while len(planned := sequential.needed_jobs(run)) > len(done):
        with console.Display(f"{run.study.name}, {run.protocol.name}", run.until is not None) as screen:
            entries |= _round(run, with_starts(planned[len(done) :]), pool, screen, record)
        done = planned
    return done, entries


def retry(run: StudyRun) -> int:
    """Forgets the failures of a study, refusals included, so that the next run tries these jobs again.

    Returns:
        how many jobs that frees.
    """
    return _queue(run).reset_failures(_keys(with_starts(sequential.needed_jobs(run))))


def bring(run: StudyRun) -> list[PlannedJob]:
    """Has the folder of runs show what other machines have done of a study; gives its jobs.

    Raises:
        Refused: the common files can not be used.
    """
    files, planned = files_of(run.home), list[PlannedJob]()
    while len(needed := with_starts(sequential.needed_jobs(run))) > len(planned):  # results may ask for more seeds
        planned = needed
        files.show(_keys(planned))
    return planned


def status(run: StudyRun) -> int:
    """Prints the state of every planned job. Changes nothing.

    Returns:
        0 all complete, 1 something is missing.
    """
    planned = bring(run)
    code = print_plan(run.home, KeptPlan(run.name, lines_of(planned)))
    if (settings := sequential.settings_of(run)) is not None:
        console.print_looks(sequential.follow_looks(run, settings))
    return code


def replay(run: StudyRun) -> int:
    """Prints what until decided would have saved of a finished study: jobs used, and whether the verdicts are the same.

    Raises:
        Refused: the study is not finished, or has too few seeds to save any.
    """
    console.print_replay(sequential.replay_looks(run))
    return 0


def _check_whole(run: StudyRun, planned: Sequence[PlannedJob]) -> None:
    """What no job could do without."""
    files_of(run.home).check()
    _check_data(run, planned)
    _check_trunks(run)


def _check_home(home: Path) -> None:
    """At once, not job by job."""
    check_writable(home)
    check_space(home, FREE_BYTES)
    if (jobs := home / "jobs").exists() and not jobs.is_dir():
        raise Refused(f"{jobs} is no folder; move it away, the folders of jobs are to lie there")


def _check_data(run: StudyRun, planned: Sequence[PlannedJob]) -> None:
    """At once, not job by job."""
    wanted = planned[0].job.protocol
    if run.data is None and not wanted.scenes:
        raise Refused(f"this protocol wants a data set ({wanted.data or 'COCO layout'}): add --data FOLDER")
    check_jobs_fit(run, (one.job for one in planned))
    for claim in run.study.claims:
        check_measured(run, (claim.metric, *claim.judged_beside), f"claim {claim.id} speaks of")
    look_at_data(run)


def _check_trunks(run: StudyRun) -> None:
    """At once, not job by job."""
    if missing := [name for name in run.protocol.trunks if name not in stored_trunks()]:
        raise Refused(
            f"protocol {run.protocol.name} stands on trunks {', '.join(missing)}, which are not stored "
            f"({', '.join(stored_trunks())} are): `workbench trunk {missing[0]}` trains one"
        )


def _tally(planned: Sequence[PlannedJob], entries: Mapping[str, QueueEntry]) -> str:
    return tally([one.job.key for one in planned], entries)


def _conclude(
    run: StudyRun,
    planned: Sequence[PlannedJob],
    entries: Mapping[str, QueueEntry],
    record: tracking.MlflowRecord,
    then: commands.Following,
) -> int:
    """The table, the verdicts, what is missing. Once run until decided, a study is judged look by look ever after."""
    results = [(one, result) for one in planned if (result := run.result(one)) is not None]
    console.print_table(run, results)
    console.print_noise_floor(claims.noise_floor(run.study, results))
    console.print_warnings(results)
    settings = run.read_settings()
    state = None if settings is None else sequential.follow_looks(run, settings)
    judged = claims.judge_study(run.study, run.protocol, results) if state is None else state.claims
    console.print_verdicts(judged)
    if state is not None:
        console.print_looks(state)
    _summarise(run, results, judged, record)
    planned = with_starts(planned)
    missing = [one for one in planned if entries[one.job.key].state is not JobState.COMPLETE]
    if missing:
        print_states(lines_of(missing), entries)
    print(f"{_tally(planned, entries)} in {run.home / 'jobs'}")
    console.print_next(
        *[("tries failed ones again", then.retry)] * bool(missing),
        *[(f"writes its page into {then.pages}", then.page)] * bool(results and then.page),
        *[("shows what its rows find", then.gallery)] * bool(len(results) > 1 and then.gallery),
        ("shows its runs and pictures", commands.command("ui")),
    )
    return 1 if missing else 0


def _round(
    run: StudyRun,
    planned: Sequence[PlannedJob],
    pool: Workers,
    screen: console.Display,
    record: tracking.MlflowRecord,
) -> dict[str, QueueEntry]:
    """Until nothing waits or runs: fills the queue, starts workers and records what has ended."""
    queue = _queue(run)
    plan = {one.job.key: one for one in planned}  # rows may share a job
    starts = {one.job.start.key for one in planned}  # they are no rows
    rows = [one for one in planned if one.job.key not in starts]
    before = {key: entry.ended for key, entry in queue.entries(plan).items()}
    said, recorded, delivery = dict(before), set[str](), Delivery(screen.say)

    def look(entries: Mapping[str, QueueEntry]) -> bool:
        running = [key for key, entry in entries.items() if entry.state is JobState.RUNNING]
        screen.update(planned, entries, {key: read_progress(run.folder(key)) for key in running})
        for key in plan:
            if entries[key].ended > said[key] and entries[key].note:
                screen.say(f"{plan[key].title} ({key}): {entries[key].note}")
            said[key] = entries[key].ended
        if reason := common_failure(job_end(one.row, entries[one.job.key], before[one.job.key]) for one in rows):
            raise AllFailAlike(reason)
        for one in rows:
            if entries[one.job.key].state is JobState.COMPLETE and one.job.key not in recorded:
                delivery.add(one.title, partial(_record, run, one, record))
        recorded.update(key for key, entry in entries.items() if entry.state is JobState.COMPLETE)
        return delivery.step()

    entries = work_off(queue, plan, pool, look)
    for one in rows:
        entry = entries[one.job.key]
        if entry.state is not JobState.COMPLETE and entry.note:
            delivery.add(one.title, partial(record.record_failure, one, entry.note))
    delivery.finish()
    return entries


def _record(run: StudyRun, one: PlannedJob, record: tracking.MlflowRecord) -> None:
    """A complete job, for one of the rows that share it, into MLflow."""
    if (result := run.result(one)) is not None:
        record.record(one, result.metrics, result.curve, result.tags, result.folder)


def _summarise(
    run: StudyRun, results: Results, judged: Sequence[claims.ClaimResult], record: tracking.MlflowRecord
) -> None:
    """The same into MLflow, on the page of the protocol."""
    try:
        record.summarise(console.summary_text(run, results, judged), _numbers(run, results, judged))
    except Exception as error:
        console.say(f"not recorded: the summary: {one_line(error)}; run the same command again")


def _numbers(run: StudyRun, results: Results, judged: Sequence[claims.ClaimResult]) -> dict[str, float]:
    """What protocols of a study can be sorted by."""
    jobs = {one.job.key: one for one in with_starts([one for one, _ in results])}
    done = [(one.job, result) for one in jobs.values() if (result := run.result(one)) is not None]
    minutes = [train_minutes(result.curve, job.protocol.epoch_images, job.start.epoch) for job, result in done]
    return {
        "runs": float(len(results)),
        "claims": float(len(judged)),
        "claims_decided": float(sum(one.verdict is not Verdict.OPEN for one in judged)),
        "best_AP": max(filter(math.isfinite, (result.metrics["AP"] for _, result in results)), default=math.nan),
        "train_minutes": math.fsum(m for m in minutes if math.isfinite(m)),
    }
