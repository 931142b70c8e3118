"""The record of a study as CSV files: written from the folders of complete jobs, read by all that is shown.

    reports/data/STEM.csv          one line per run: row, seed, trunk, final numbers, commit, machine, threads
    reports/data/STEM_rows.csv     one line per row and metric: mean over runs and its intervals
    reports/data/STEM_claims.csv   one line per claim: verdict, reason, and how seeds were added, where they were
    reports/data/STEM_pairs.csv    one line per comparison of two rows, as a whole and on each trunk: its intervals
    reports/data/STEM_slices.csv   one line per run and kind of image (size of persons, crowding): AP, mOKS, NME
    reports/data/STEM_curves.csv   one line per run and evaluation
    reports/data/STEM_audit.csv    what else differs between the rows; `study audit` writes it (see `audit_table`)
    reports/data/STEM_precision.csv  one line per row, OKS threshold and recall: precision
    reports/data/STEM_points.csv   one line per row and key point of one run: error, and kinds of error

STEM is study, protocol and whatever else was changed (see `StudyRun`). Beside them lie STUDY_cost.csv and
STUDY_cost_claims.csv, which the study itself writes (see `profiling`): what its rows cost, timed side by side. Pages
are drawn from these files alone; only example pictures need the folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import study as studies
from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.evaluation.bootstrap import Resampled, blocked_bootstrap, paired_bootstrap
from workbench.evaluation.intervals import Interval
from workbench.evaluation.metrics import with_intervals
from workbench.experiments import protocols, sequential, tracking
from workbench.experiments.claims import ClaimResult, judge_claims, judge_study, statements
from workbench.experiments.pairing import Results
from workbench.experiments.plan import SequentialSettings, StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.readings import resampled_run as resampled
from workbench.report.diagnosis import points_frame
from workbench.report.frames import Frame, write_csv
from workbench.report.freshness import MLFLOW, PARTS
from workbench.report.precision import precision_frame
from workbench.report.slices import slices_frame
from workbench.study import Better, PlannedJob, Row, Study, StudyProtocol
from workbench.training.record import Result

TEXT_COLUMNS = (
    "commit",
    "numerics",
    "trunk",
    "threads",
    "claim",
    "slice",
    "than",
    "teacher",
    "value",
    "other",
    "moment",
    "part",
)  # columns of text
_TERMS = ("first_seeds", "budget")  # of a study until decided, in its claims


@dataclass(frozen=True)
class Record:
    """What is known of a run of a study.

    Fields:
        jobs: every planned job, see `recorded_plan`; folders: by job key, of those that are complete in its home.
        runs and so on: the files above; empty where there is none.
    """

    run: StudyRun
    jobs: tuple[PlannedJob, ...]
    folders: Mapping[str, Path]
    runs: Frame
    rows: Frame
    claims: Frame
    pairs: Frame
    slices: Frame
    curves: Frame
    audit: Frame
    precision: Frame
    points: Frame
    cost: Frame
    cost_claims: Frame

    @property
    def frames(self) -> dict[str, Frame]:
        """Every table, by its field."""
        return {name: getattr(self, name) for name in ("runs", *PARTS, "cost", "cost_claims")}

    @property
    def study(self) -> Study:
        return self.run.study

    @property
    def protocol(self) -> StudyProtocol:
        return self.run.protocol

    @property
    def stem(self) -> str:
        return self.run.stem

    @property
    def seeds(self) -> int:
        """How many seeds per row are planned."""
        return 1 + max(one.seed for one in self.jobs) - self.run.first_seed

    @property
    def until(self) -> SequentialSettings | None:
        """How seeds were added; None where they were not. An older record does not know it."""
        if not set(_TERMS) <= set(self.claims):
            return None
        seeds, budget = (self.claims[name].iloc[0] for name in _TERMS)
        return SequentialSettings(int(seeds), None if pd.isna(budget) else int(budget))


def open_record(
    study: str,
    protocol: str,
    home: Path | str = "runs",
    data: Path | str | None = None,
    fingerprint: str = "",
    changes: Mapping[str, Any] | None = None,
    first_seed: int = 0,
) -> Record:
    """Reads the record of `studies/STUDY.py` under a protocol from its CSV files.

    Args:
        home: where jobs lie. data, fingerprint, changes, first_seed: what else the study was given, as in `StudyRun`.

    Raises:
        Refused: no such study or protocol, or no record of it.
    """
    asked = studies.find_study(study)
    if not isinstance(asked, Study):
        raise Refused(f"study {study} trains nothing: reports/persons.ipynb shows it")
    folder = Path(data) if data else None
    given = {"data": folder, "fingerprint": fingerprint, "changes": changes or {}, "first_seed": first_seed}
    return load_record(StudyRun(asked, protocols.protocol_named(protocol), Path(home), **given))


def load_record(run: StudyRun) -> Record:
    """Reads the record of a run of a study from its CSV files.

    Raises:
        Refused: there is none.
    """
    if not (REPORT_DATA / f"{run.stem}.csv").exists():
        raise Refused(f"there is no {REPORT_DATA / run.stem}.csv; write it with: nox -s report -- {run.study.name}")
    runs = read_csv(run.stem)
    folders = {key: run.folder(key) for key in runs["job"] if run.complete(key)}
    frames = {part: read_csv(f"{run.stem}_{part}") for part in PARTS}
    frames |= {part: read_csv(f"{run.study.name}_{part}") for part in ("cost", "cost_claims")}
    return Record(run, tuple(recorded_plan(run, runs)), folders, runs, **frames)


def recorded_plan(run: StudyRun, runs: Frame) -> list[PlannedJob]:
    """The jobs of every seed up to the highest recorded one. They follow from the record, wherever it is read.

    Of seeds that the study does not have itself only the recorded jobs count: not every row needs to have them.
    """
    first = {row.label: row.seed_offset for row in run.study.rows}
    begun = run.first_seed
    seeds = [seed - first[row] - begun for row, seed in zip(runs["row"], runs["seed"], strict=True) if row in first]
    own = run.study.seeds_under(run.protocol)
    there, planned = set(runs["job"]), run.jobs(1 + max(seeds, default=own - 1))
    return [one for one in planned if one.seed < begun + own or one.job.key in there]


def read_csv(name: str) -> Frame:
    """`reports/data/NAME.csv`, empty where there is none."""
    path = REPORT_DATA / f"{name}.csv"
    if not path.exists() or not path.stat().st_size:
        return pd.DataFrame()
    words: Any = dict.fromkeys(TEXT_COLUMNS, str)  # also where a column is empty
    try:
        return pd.read_csv(path, dtype=words).fillna({"trunk": "", "threads": "", "teacher": ""})
    except pd.errors.EmptyDataError:  # a study without claims, say
        return pd.DataFrame()


def write_record(run: StudyRun) -> list[Path]:
    """Writes the CSV files of a study from the folders of its complete jobs. Other changes, other files.

    Raises:
        Refused: no job is complete.
    """
    results = results_of(run)
    judged, settings = judged_as_run(run, results), run.read_settings()
    others = against_base(run.study)
    compared = judge_claims(others.claims, run.protocol, results, among=run.study.claims)
    frames = {
        run.stem: runs_frame(run, results),
        f"{run.stem}_rows": rows_frame(run.study, results),
        f"{run.stem}_claims": claims_frame(run.study.claims, judged, settings),
        f"{run.stem}_pairs": pd.concat(
            [pairs_frame(run.study.claims, judged), pairs_frame(others.claims, compared, named=False)]
        ),
        f"{run.stem}_slices": slices_frame(results, run.home, run.data),
        f"{run.stem}_curves": curves_frame(results),
        f"{run.stem}_precision": precision_frame(results),
        f"{run.stem}_points": points_frame(results, run.home, run.data),
    }
    paths = {REPORT_DATA / f"{name}.csv": frame for name, frame in frames.items()}
    for path, frame in paths.items():
        with write_whole(path) as part:
            write_csv(frame, part)
    return list(paths)


def write_claims(run: StudyRun) -> Path:
    """Writes the file of claims alone, which is all that the record of a repeat needs (see `repeats`).

    Raises:
        Refused: a job is not complete, or it has another number of seeds than the study has by itself.
    """
    if run.seed_count != (own := run.study.seeds_under(run.protocol)):
        raise Refused(f"--seeds {run.seed_count}: a repeat has as many as the study, {own}; leave out --seeds")
    results, planned = results_of(run), recorded_jobs(run)
    if missing := len(planned) - len(results):
        raise Refused(f"{missing} of {len(planned)} runs are missing: a repeat is judged when it is complete")
    settings, path = run.read_settings(), REPORT_DATA / f"{run.stem}_claims.csv"
    frame = claims_frame(run.study.claims, judged_as_run(run, results), settings)
    with write_whole(path) as part:
        write_csv(frame, part)
    return path


def recorded_jobs(run: StudyRun) -> list[PlannedJob]:
    """The planned jobs; of a study until decided also the complete ones of the seeds that were added.

    Of any other study further seeds may be there that are not its own: a repeat with another first seed has them.
    """
    planned, count, more = run.jobs(), run.seed_count, run.seeds is None and run.read_settings() is not None
    while more:
        count += 1
        asked = [one for one in run.jobs(count) if one.seed == run.first_seed + count - 1]
        last = [one for one in asked if run.complete(one.job.key)]
        more = bool(last)
        planned = [*planned, *last]
    return planned


def results_of(run: StudyRun) -> Results:
    """The complete jobs of a study with their results.

    Raises:
        Refused: none is complete.
    """
    found = [(one, result) for one in recorded_jobs(run) if (result := run.result(one)) is not None]
    if not found:
        what = f"{run.study.name}, {run.protocol.name}"
        raise Refused(f"nothing of {what} is complete in {run.home}; run the study first")
    return found


def judged_as_run(run: StudyRun, results: Results) -> list[ClaimResult]:
    """The claims as the study says them: in one look, or look by look where it was run until decided."""
    if (settings := run.read_settings()) is None:
        return judge_study(run.study, run.protocol, results)
    found = {(one.row, one.seed, one.trunk): result for one, result in results}

    def find(one: PlannedJob) -> Result | None:
        return found.get((one.row, one.seed, one.trunk))

    return sequential.follow_looks(run, settings, find=find).claims


def runs_frame(run: StudyRun, results: Results) -> Frame:
    """One line per run: what was run, its numbers, where and from which commit."""
    names = {"study": run.study.name, "protocol": run.protocol.name}
    lines = [
        {**names, "row": one.row, "seed": one.job.seed, "trunk": one.trunk}
        | {"job": one.job.key, **result.metrics, **result.tags}
        for one, result in results
    ]
    known = tracking.run_ids(run.home, run.study.name)
    if not known:
        return pd.DataFrame(lines)
    ids = [known.get(tracking.run_key(one, result.tags), "") for one, result in results]
    return pd.DataFrame(lines).assign(**{MLFLOW: ids})


def curves_frame(results: Results) -> Frame:
    """One line per evaluation of each run."""
    return pd.DataFrame(
        [
            {"row": one.row, "seed": one.job.seed, "trunk": one.trunk, "job": one.job.key, **line}
            for one, result in results
            for line in result.curve
        ]
    )


# ------------------------------------------------------------------------------------------------------- intervals


def rows_frame(study: Study, results: Results) -> Frame:
    """One line per row and metric: the mean over runs and its intervals, made as those of differences are.

    The row is compared with zero: its interval is the widest over other images, over other seeds, and over both. Under
    a probe the trunk is the block, and the interval is over other trunks in place of seeds.
    """
    lines: list[dict[str, Any]] = []
    for row in study.rows:
        mine = [(one, result) for one, result in results if one.row == row.label]
        seeds = len({one.seed for one, _ in mine})
        for metric in (m.name for m in with_intervals() if mine):
            about = {"row": row.label, "metric": metric, "runs": len(mine), "seeds": seeds}
            trunks = [one.trunk for one, _ in mine]
            lines.append(about | _ends(_of_row([resampled(r, metric) for _, r in mine], trunks)))
    return pd.DataFrame(lines)


def _of_row(found: Sequence[Resampled], trunks: Sequence[str]) -> Interval:
    zeros = [replace(one, observed=0.0, drawn=np.zeros_like(one.drawn)) for one in found]
    return blocked_bootstrap(zeros, found, trunks)[1] if any(trunks) else paired_bootstrap(zeros, found)


def claims_frame(
    claims: Sequence[Better], judged: Sequence[ClaimResult], settings: SequentialSettings | None = None
) -> Frame:
    """One line per claim: what it compares, verdict, reason, interval of the difference, corrected p.

    Of each end point beside it the same in columns of its own, which begin with its name. Statements that hold only if
    several claims do come first: they compare no rows of their own. With `settings` two columns more say how seeds
    were added.
    """
    wholes = [
        {"claim": whole.id, "text": whole.text, "verdict": str(whole.verdict), "reason": whole.reason}
        for whole in statements(claims, [j.verdict for j in judged])
    ]
    lines: list[dict[str, Any]] = []
    for claim, j in zip(claims, judged, strict=True):
        row, than = claim.sides
        line = {"claim": claim.id, "text": claim.text, "row": row, "than": than}
        line |= {
            "teacher": claim.teacher,
            "metric": claim.metric,
            "margin": claim.margin,
            "verdict": str(j.verdict),
            "reason": j.reason,
        }
        line |= _numbers(j)
        for one, metric in zip(j.beside, claim.judged_beside, strict=False):
            line |= {f"{metric}_verdict": str(one.verdict)}
            line |= {f"{metric}_{name}": value for name, value in _numbers(one).items()}
        lines.append(line)
    frame = pd.DataFrame([*wholes, *lines])
    if settings is None or frame.empty:
        return frame
    return frame.assign(**dict(zip(_TERMS, (settings.seeds, settings.budget), strict=True)))


def _numbers(judged: ClaimResult) -> dict[str, float]:
    """Interval and corrected p of a claim, as far as there are any."""
    found = {} if judged.adjusted is None else {"p": judged.adjusted}
    if (interval := judged.interval) is not None:
        found = {"mean": interval.mean, "low": interval.low, "high": interval.high, **found}
    return found


def against_base(study: Study) -> Study:
    """The study with other claims: every row against the base. They are compared, never decided."""
    base = base_row(study)
    others = [row.label for row in study.rows if row is not base]
    return replace(
        study, claims=tuple(Better(f"{label} − {base.label}", label, label, base.label, beside=()) for label in others)
    )


def base_row(study: Study) -> Row:
    """The published row; where no number is published the one that changes nothing, else the first."""
    own = [row for row in study.rows if not row.seed_offset]
    cited, plain = [row for row in own if row.cited], [row for row in own if not row.changes]
    return (cited or plain or own)[0]


def pairs_frame(claims: Sequence[Better], judged: Sequence[ClaimResult], named: bool = True) -> Frame:
    """One line per comparison and scope: all runs together ("") or one trunk. Not `named`: no claims of the study."""
    lines: list[dict[str, Any]] = []
    for claim, result in zip(claims, judged, strict=True):
        row, than = claim.sides
        about = {"claim": claim.id if named else "", "row": row, "than": than, "metric": claim.metric}
        about |= {"margin": claim.margin, "teacher": claim.teacher, "verdict": str(result.verdict) if named else ""}
        scopes = {"": result.interval, **(result.per_trunk or {})}
        lines += [{**about, "trunk": trunk, **_ends(i)} for trunk, i in scopes.items() if i is not None]
    return pd.DataFrame(lines)


def _ends(interval: Interval) -> dict[str, float]:
    ends = {"mean": interval.mean, "low": interval.low, "high": interval.high, "count": len(interval.differences)}
    for name, part in (("images", interval.by_images), ("seeds", interval.by_seeds)):
        if part is not None:
            ends |= {f"{name}_low": part.low, f"{name}_high": part.high}
    return ends
