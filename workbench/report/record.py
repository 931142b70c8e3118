"""The record of a study as CSV files: written from the folders of complete jobs, read by all that is shown.

    reports/data/STEM.csv          one line per run: row, seed, trunk, final numbers, commit, machine, threads
    reports/data/STEM_rows.csv     one line per row and metric: mean over runs and its intervals
    reports/data/STEM_claims.csv   one line per claim: verdict, reason
    reports/data/STEM_pairs.csv    one line per comparison of two rows, as a whole and on each trunk: its intervals
    reports/data/STEM_slices.csv   one line per run and kind of image (size of persons, crowding): AP, mOKS, NME
    reports/data/STEM_curves.csv   one line per run and evaluation

STEM is study, protocol and whatever else was changed. Beside them lie STUDY_cost.csv and STUDY_cost_claims.csv, which
the study itself writes (see `profiles`): what its rows cost, timed side by side. Pages are drawn from these files
alone; only example pictures need the folders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench import study as studies
from workbench.core.errors import Refused
from workbench.evaluation.bootstrap import Resampled, blocked_bootstrap, paired_bootstrap
from workbench.evaluation.intervals import Interval
from workbench.experiments import protocols, sequential
from workbench.experiments.claims import ClaimResult, Results, judge_study
from workbench.experiments.claims import resampled_run as resampled
from workbench.report.frames import INTERVAL_OF, Frame
from workbench.report.slices import slices_frame
from workbench.study import Better, PlannedJob, Row, Study, StudyProtocol
from workbench.training.record import Result, read_result

DATA = Path("reports/data")
PARTS = ("rows", "claims", "pairs", "slices", "curves")


@dataclass(frozen=True)
class Record:
    """What is known of a study under a setting.

    Fields:
        runs, rows, claims, pairs, slices, curves, cost, cost_claims: the files above; empty where there is none.
        cells: every planned job, see `planned`; folders: by job key, of those that are complete in `home`.
        sets: what else was changed of every job.
        home, data: where jobs lie, and the data set on disk, where the study was given one.
    """

    study: Study
    setting: StudyProtocol
    stem: str
    cells: tuple[PlannedJob, ...]
    runs: Frame
    rows: Frame
    claims: Frame
    pairs: Frame
    slices: Frame
    curves: Frame
    cost: Frame
    cost_claims: Frame
    folders: Mapping[str, Path]
    home: Path
    data: Path | None = None
    sets: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """How many seeds per row are planned."""
        return 1 + max(cell.seed for cell in self.cells)


def open_record(
    study: str,
    protocol: str,
    home: Path | str = "runs",
    data: Path | str | None = None,
    sets: Mapping[str, Any] | None = None,
) -> Record:
    """Reads the record of `studies/STUDY.py` under a protocol from its CSV files.

    Raises:
        Refused: no such study or protocol, or no record of it.
    """
    asked = studies.find_study(study)
    if not isinstance(asked, Study):
        raise Refused(f"study {study} trains nothing: reports/persons.ipynb shows it")
    return load_record(asked, protocols.protocol_named(protocol), Path(home), Path(data) if data else None, sets)


def load_record(
    study: Study,
    setting: StudyProtocol,
    home: Path,
    data: Path | None = None,
    sets: Mapping[str, Any] | None = None,
) -> Record:
    """As `open_record`, of a study and a setting that are no files."""
    stem = stem_of(study, setting, sets)
    if not (DATA / f"{stem}.csv").exists():
        raise Refused(f"there is no {DATA / stem}.csv; write it with: nox -s report -- {study.name}")
    runs = read_csv(stem)
    cells = planned(study, setting, runs, sets)
    folders = {key: home / "jobs" / key for key in runs["job"] if complete(home, key)}
    frames = {part: read_csv(f"{stem}_{part}") for part in PARTS}
    frames |= {part: read_csv(f"{study.name}_{part}") for part in ("cost", "cost_claims")}
    about = {"folders": folders, "home": home, "data": data, "sets": dict(sets or {})}
    return Record(study, setting, stem, tuple(cells), runs, **frames, **about)


def planned(
    study: Study, setting: StudyProtocol, runs: Frame, sets: Mapping[str, Any] | None = None
) -> list[PlannedJob]:
    """The cells of every seed up to the highest recorded one. They follow from the record, wherever it is read.

    Of seeds that the setting does not have itself only the recorded cells count: not every row needs to have them.
    """
    first = {row.label: row.seed_offset for row in study.rows}
    seeds = [seed - first[row] for row, seed in zip(runs["row"], runs["seed"], strict=True) if row in first]
    own = {cell.seed for cell in study.cells(setting, None, sets)}
    cells = study.cells(setting, 1 + max(seeds) if seeds else None, sets)
    there = set(runs["job"])
    return [cell for cell in cells if cell.seed in own or cell.job.key in there]


def read_csv(name: str) -> Frame:
    """`reports/data/NAME.csv`, empty where there is none."""
    path = DATA / f"{name}.csv"
    if not path.exists() or not path.stat().st_size:
        return pd.DataFrame()
    words: Any = dict.fromkeys(("commit", "trunk", "threads", "claim", "slice"), str)  # also where a column is empty
    try:
        return pd.read_csv(path, dtype=words).fillna({"trunk": "", "threads": ""})
    except pd.errors.EmptyDataError:  # a study without claims, say
        return pd.DataFrame()


def write_record(
    study: Study,
    setting: StudyProtocol,
    home: Path,
    seeds: int | None = None,
    data: Path | None = None,
    sets: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Writes the CSV files of a study from the folders of its complete jobs. Other `sets`, other files.

    Raises:
        Refused: no job is complete.
    """
    results = results_of(study, setting, home, seeds, sets)
    judged, stem = judged_as_run(study, setting, home, results, sets), stem_of(study, setting, sets)
    others = against_base(study)
    compared = judge_study(others, setting, results)
    frames = {
        stem: runs_frame(study, setting, results),
        f"{stem}_rows": rows_frame(study, results),
        f"{stem}_claims": claims_frame(study.claims, judged),
        f"{stem}_pairs": pd.concat(
            [pairs_frame(study.claims, judged), pairs_frame(others.claims, compared, named=False)]
        ),
        f"{stem}_slices": slices_frame(results, home, data),
        f"{stem}_curves": curves_frame(results),
    }
    DATA.mkdir(parents=True, exist_ok=True)
    paths = {DATA / f"{name}.csv": frame for name, frame in frames.items()}
    for path, frame in paths.items():
        frame.to_csv(path, index=False, float_format="%.6g")
    return list(paths)


def stem_of(study: Study, setting: StudyProtocol, sets: Mapping[str, Any] | None = None) -> str:
    """How the files of a study under a setting begin."""
    return "_".join([study.name, setting.name, *(re.sub(r"[^\w.]+", "-", f"{k}={v}") for k, v in (sets or {}).items())])


def complete(home: Path, key: str) -> bool:
    """Whether the job of this key is done."""
    return (home / "jobs" / key / "result.json").exists()


def recorded_jobs(
    study: Study, setting: StudyProtocol, home: Path, seeds: int | None = None, sets: Mapping[str, Any] | None = None
) -> list[PlannedJob]:
    """The planned cells; with `seeds` None those of the setting and the complete ones of any further seed.

    A further seed counts where every row has it, unless the study was run until decided: single jobs of it may be
    complete because another study has them, too, and would give one row more runs than it is compared with.
    """
    cells, more = study.cells(setting, seeds, sets), True
    count = 1 + max(cell.seed for cell in cells)
    some = sequential.read_settings(home, sequential.plan_name(study, setting, sets)) is not None
    while seeds is None and more:
        count += 1
        asked = [cell for cell in study.cells(setting, count, sets) if cell.seed == count - 1]
        last = [cell for cell in asked if complete(home, cell.job.key)]
        more = bool(last) and (some or len(last) == len(asked))
        cells = [*cells, *last] if more else cells
    return cells


def results_of(
    study: Study, setting: StudyProtocol, home: Path, seeds: int | None = None, sets: Mapping[str, Any] | None = None
) -> Results:
    """The complete cells of a study under a setting, of jobs changed by `sets` as the study was run.

    Raises:
        Refused: none is complete.
    """
    cells = recorded_jobs(study, setting, home, seeds, sets)
    found = [(cell, read_result(home / "jobs" / cell.job.key)) for cell in cells if complete(home, cell.job.key)]
    if not found:
        raise Refused(f"nothing of {study.name}, {setting.name} is complete in {home}; run the study first")
    return found


def judged_as_run(
    study: Study, setting: StudyProtocol, home: Path, results: Results, sets: Mapping[str, Any] | None = None
) -> list[ClaimResult]:
    """The claims as the study says them: in one look, or look by look where it was run until decided."""
    if (terms := sequential.read_settings(home, sequential.plan_name(study, setting, sets))) is None:
        return judge_study(study, setting, results)
    found = {(cell.row, cell.seed, cell.trunk): result for cell, result in results}

    def find(cell: PlannedJob) -> Result | None:
        return found.get((cell.row, cell.seed, cell.trunk))

    return sequential.follow_looks(study, setting, lambda seeds: study.cells(setting, seeds, sets), find, terms).claims


def runs_frame(study: Study, setting: StudyProtocol, results: Results) -> Frame:
    """One line per run: what was run, its numbers, where and from which commit."""
    lines = [
        {"study": study.name, "protocol": setting.name, "row": cell.row, "seed": cell.job.seed, "trunk": cell.trunk}
        | {"job": cell.job.key, **result.metrics, **result.tags}
        for cell, result in results
    ]
    return pd.DataFrame(lines)


def curves_frame(results: Results) -> Frame:
    """One line per evaluation of each run."""
    return pd.DataFrame(
        [
            {"row": cell.row, "seed": cell.job.seed, "trunk": cell.trunk, "job": cell.job.key, **line}
            for cell, result in results
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
        mine = [(cell, result) for cell, result in results if cell.row == row.label]
        seeds = len({cell.seed for cell, _ in mine})
        for metric in INTERVAL_OF if mine else ():
            about = {"row": row.label, "metric": metric, "runs": len(mine), "seeds": seeds}
            lines.append(about | _ends(_of_row([resampled(r, metric) for _, r in mine], [c.trunk for c, _ in mine])))
    return pd.DataFrame(lines)


def _of_row(found: Sequence[Resampled], trunks: Sequence[str]) -> Interval:
    zeros = [replace(one, observed=0.0, drawn=np.zeros_like(one.drawn)) for one in found]
    return blocked_bootstrap(zeros, found, trunks)[1] if any(trunks) else paired_bootstrap(zeros, found)


def claims_frame(claims: Sequence[Better], judged: Sequence[ClaimResult]) -> Frame:
    """One line per claim: what it compares, verdict, reason, interval of the difference."""
    return pd.DataFrame(
        [
            {"claim": claim.id, "text": claim.text, "row": claim.row, "than": claim.than}
            | {"metric": claim.metric, "margin": claim.margin}
            | {"verdict": str(j.decision.state), "reason": j.decision.reason}
            | ({} if j.interval is None else {"mean": j.interval.mean, "low": j.interval.low, "high": j.interval.high})
            for claim, j in zip(claims, judged, strict=True)
        ]
    )


def against_base(study: Study) -> Study:
    """The study with other claims: every row against the base. They are compared, never decided."""
    base = base_row(study)
    others = [row.label for row in study.rows if row is not base]
    return replace(study, claims=tuple(Better(f"{label} − {base.label}", label, label, base.label) for label in others))


def base_row(study: Study) -> Row:
    """The published row; where no number is published the one that changes nothing, else the first."""
    own = [row for row in study.rows if not row.seed_offset]
    cited, plain = [row for row in own if row.cited], [row for row in own if not row.changes]
    return (cited or plain or own)[0]


def pairs_frame(claims: Sequence[Better], judged: Sequence[ClaimResult], named: bool = True) -> Frame:
    """One line per comparison and scope: all runs together ("") or one trunk. Not `named`: no claims of the study."""
    lines: list[dict[str, Any]] = []
    for claim, judgement in zip(claims, judged, strict=True):
        about = {"claim": claim.id if named else "", "row": claim.row, "than": claim.than, "metric": claim.metric}
        about |= {"margin": claim.margin, "verdict": str(judgement.decision.state) if named else ""}
        scopes = {"": judgement.interval, **(judgement.per_trunk or {})}
        lines += [{**about, "trunk": trunk, **_ends(i)} for trunk, i in scopes.items() if i is not None]
    return pd.DataFrame(lines)


def _ends(interval: Interval) -> dict[str, float]:
    ends = {"mean": interval.mean, "low": interval.low, "high": interval.high, "count": len(interval.differences)}
    for name, part in (("images", interval.by_images), ("seeds", interval.by_seeds)):
        if part is not None:
            ends |= {f"{name}_low": part.low, f"{name}_high": part.high}
    return ends
