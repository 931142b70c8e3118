"""Study: one question, the rows of a table, and the published claims that the rows decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from workbench.core.errors import Refused
from workbench.core.fields import fit_fields
from workbench.core.study_files import check_study, study_module
from workbench.core.study_files import known_studies as known_studies
from workbench.core.words import check_label, check_text
from workbench.evaluation.metrics import claimable
from workbench.models.catalog import filled
from workbench.models.common_start import common_start, places_of
from workbench.models.job import Job, Protocol, Start
from workbench.models.trunk import as_on_trunk, stored_trunks, teacher_of
from workbench.models.variant import Variant
from workbench.row import Changes, PlannedJob, Row, StudyProtocol, augmented, changed_variant, job_of
from workbench.row import Cited as Cited
from workbench.row import changes_made as changes_made
from workbench.space import Search

_REACHES_FIRST = ("variant.", "protocol.data", "protocol.size")  # changes that the job shares which another begins with
_MOST_SEEDS, _MOST_PERSONS = 10_000, 10_000
BESIDE = ("mOKS", "NME")  # end points that are judged beside AP
MINUS = " − "  # between two rows whose difference is meant


class Contrast(NamedTuple):
    """Rows whose numbers count for a difference, and rows whose numbers count against it: as many of both."""

    ahead: tuple[str, ...]
    behind: tuple[str, ...]


@dataclass(frozen=True)
class Better:
    """The claim that row `row` beats row `than` by more than `margin` of `metric`.

    `more_than`: two further rows. Then it is claimed that `row` beats `than` by more than the first of them beats the
    second, which is an interaction: a difference of two differences.

    `metric`: one that the evaluation measures; `evaluation/metrics.py` holds them all.

    `margin`: below 0 it is claimed that the row is not worse by more than that. An effect that no number of seeds would
    show is asked so.

    `from_scratch`: only networks that are trained whole under each row can decide it, from their first weights on or
    from others' on; a trunk that stays frozen leaves it open.

    `teacher`: where rows begin with trunks, those that it taught decide the claim alone ("joint": "joint-2" and its
    like), and those of others are told beside it. "" asks that all teachers agree.

    `beside`: end points that are judged beside AP, as a family of their own. They say something else than AP does.

    `part_of`: the statement that holds only if all claims with this word do. Together they take the place of one claim.
    """

    id: str
    text: str
    row: str
    than: str
    metric: str = "AP"
    margin: float = 0.0
    from_scratch: bool = False
    beside: tuple[str, ...] = BESIDE
    part_of: str = ""
    more_than: tuple[str, str] | None = None
    teacher: str = ""

    def __post_init__(self) -> None:
        _check_words(self)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The rows that it compares, two by two."""
        return ((self.row, self.than),) if self.more_than is None else ((self.row, self.than), self.more_than)

    @property
    def rows(self) -> tuple[str, ...]:
        """The same, one by one."""
        return tuple(row for pair in self.pairs for row in pair)

    @property
    def contrast(self) -> Contrast:
        """The difference that it speaks of."""
        if self.more_than is None:
            return Contrast((self.row,), (self.than,))
        better, worse = self.more_than
        return Contrast((self.row, worse), (self.than, better))

    @property
    def sides(self) -> tuple[str, str]:
        """What it compares, as a table says it: two rows, or two differences of rows."""
        if self.more_than is None:
            return self.row, self.than
        first, second = (f"({MINUS.join(pair)})" for pair in self.pairs)
        return first, second

    @property
    def judged_beside(self) -> tuple[str, ...]:
        """`beside`, of a claim on AP. A margin is one of AP alone, so a claim with one has none."""
        return self.beside if self.metric == "AP" and not self.margin else ()


@dataclass(frozen=True)
class Cheaper:
    """The claim that line `row` of a timing study costs at most `times` what line `than` costs.

    `metric`: "ms" is measured side by side, "gflops" is counted.
    """

    id: str
    text: str
    row: str
    than: str
    metric: Literal["ms", "gflops"] = "ms"
    times: float = 1.0

    def __post_init__(self) -> None:
        _check_words(self)
        if self.times <= 0:
            raise Refused(f"Cheaper {self.id!r}: times {self.times:g}; expected a factor above 0, as in times=0.9")

    @property
    def rows(self) -> tuple[str, str]:
        """The lines that it compares."""
        return self.row, self.than


@dataclass(frozen=True)
class Study:
    """A question with its rows. Every path, every coupling and every label is checked when the file is imported.

    Fields:
        claims: decided by training; costs: decided by timing the rows side by side, with no run of their own.
        default: the protocol that is used where none is named; seeds: under it, the protocol's own where 0.
        whole: why frozen trunks can not serve this study; "" where they can.

    Raises:
        Refused: a field of another type, a path that leads nowhere, an impossible combination, a claim on an unknown
            row or metric.
    """

    name: str
    question: str
    source: str
    base: Variant
    rows: tuple[Row, ...]
    claims: tuple[Better, ...] = ()
    costs: tuple[Cheaper, ...] = ()
    default: str = "probe"
    seeds: int = 0
    whole: str = ""

    def __post_init__(self) -> None:
        fit_fields(self, f"study {self.name}")
        if not 0 <= self.seeds <= _MOST_SEEDS:
            raise Refused(
                f"study {self.name}: seeds {self.seeds}; expected 1 to {_MOST_SEEDS}, or 0 for the protocol's"
            )
        _check(self, (*self.claims, *self.costs))

    def variant(self, row: Row, scale: Mapping[str, Any] | None = None) -> Variant:
        """The row's variant, its changes made on the base after scaling."""
        return changed_variant(self.base, row.changes, scale)

    def profile(self) -> TimingStudy:
        """What its rows cost."""
        lines = tuple(TimedRow(row.label, changes=row.changes) for row in self.rows if not row.seed_offset)
        return TimingStudy(self.name, self.question, self.source, self.base, lines, self.costs)

    def seeds_under(self, protocol: StudyProtocol) -> int:
        """Seeds per row where none are asked for."""
        return (self.seeds if protocol.name == self.default else 0) or protocol.seeds

    def planned_jobs(
        self,
        protocol: StudyProtocol,
        seeds: int | None = None,
        changes: Mapping[str, Any] | None = None,
        first_seed: int = 0,
    ) -> list[PlannedJob]:
        """Every job of the study under a protocol, seeds outermost so that an early stop leaves whole rounds.

        `changes` are made on every job (`protocol.epochs`), components by name (`variant.neck`: `PAFPN`).

        Raises:
            Refused: frozen trunks can not serve this study.
            KeyError: a path of `changes` leads nowhere.
        """
        if protocol.trunks and self.whole:
            raise Refused(
                f"study {self.name}: protocol {protocol.name} {'begins' if protocol.first else 'trains'} on frozen "
                f"trunks, and {self.whole}; "
                f"use --protocol {self.default} or another one that trains whole networks"
            )
        made = filled(changes or {})
        every = range(first_seed, first_seed + (seeds or self.seeds_under(protocol)))
        return [one for seed in every for one in self._of_seed(protocol, seed, made)]

    def _of_seed(self, protocol: StudyProtocol, seed: int, changes: Mapping[str, Any]) -> list[PlannedJob]:
        if protocol.first is not None and protocol.first.together:
            return self._together(protocol, protocol.first, seed, changes)
        return [
            self._planned(row, protocol, seed, trunk, changes)
            for trunk in protocol.trunks or ("",)
            for row in self.rows
        ]

    def _planned(
        self, row: Row, protocol: StudyProtocol, seed: int, trunk: str, changes: Mapping[str, Any]
    ) -> PlannedJob:
        """The job, and that of the same row which it begins with."""
        first = protocol.first
        if first is None:
            return PlannedJob(row.label, seed, trunk, job_of(self.base, row, protocol, seed, trunk).vary(changes))
        shared = {path: value for path, value in changes.items() if path.startswith(_REACHES_FIRST)}
        one = as_on_trunk(job_of(self.base, row, first, seed, trunk).vary(shared))
        start = Start(key=one.key, phase=protocol.phase)
        job = job_of(self.base, row, protocol, seed).vary({**changes, "start": start})
        return PlannedJob(row.label, seed, trunk, job, PlannedJob(f"{row.label}, {first.name}", seed, trunk, one))

    def _together(
        self, protocol: StudyProtocol, first: StudyProtocol, seed: int, changes: Mapping[str, Any]
    ) -> list[PlannedJob]:
        """The jobs of all rows, and the one that they begin with; it shares what is changed of theirs."""
        jobs = [job_of(self.base, row, protocol, seed).vary(changes) for row in self.rows]
        variants = [job.variant for job in jobs]
        common = Job(variant=self.base.vary(first.scale), recipe=first.recipe, protocol=first.protocol, seed=seed)
        share, stop = first.begun_share, round(first.begun_share * jobs[0].protocol.epochs)
        try:
            if not 0 < stop < jobs[0].protocol.epochs:
                raise Refused(f"of {jobs[0].protocol.epochs} epochs that leaves no whole ones; give more")
            common = common.vary({**changes, "protocol.stop": stop})
            common = common.vary({"variant": common_start(common.variant, variants)})
        except Refused as error:
            raise Refused(
                f"study {self.name}: under {protocol.name} all rows begin with one network, trained for "
                f"{100 * share:.0f} % of the epochs, and {error}"
            ) from None
        begun, key = PlannedJob(first.name, seed, "", common), common.key
        starts = [Start(key=key, epoch=stop, coords=place) for place in places_of(variants)]
        return [
            PlannedJob(row.label, seed, "", job.vary({"start": start}), begun)
            for row, job, start in zip(self.rows, jobs, starts, strict=True)
        ]


def with_starts(planned: Sequence[PlannedJob]) -> list[PlannedJob]:
    """The jobs and, before them, those which they begin with, each of these once."""
    starts = {one.first.job.key: one.first for one in planned if one.first is not None}
    return [*starts.values(), *planned]


Way = Literal["kept", "every cell", "crops"]


@dataclass(frozen=True)
class TimedRow:
    """One line of a timing study: a network, the persons in the image, and the way to their key points.

    `way`: "kept" decodes whom the non-maximum suppression keeps, as RTMO does; "every cell" decodes before it; "crops"
    stands for a top-down method: the backbone alone on one crop per person, all in one batch, no detector, no head.
    """

    label: str
    persons: int = 10
    way: Way = "kept"
    changes: Changes = field(default_factory=dict)

    def __post_init__(self) -> None:
        fit_fields(self)
        check_label(self.label, "TimedRow.label")
        if not 0 <= self.persons <= _MOST_PERSONS:
            raise Refused(f"TimedRow {self.label!r}: {self.persons} persons; expected 0 to {_MOST_PERSONS}")


@dataclass(frozen=True)
class TimingStudy:
    """A question that is answered by counting and timing: nothing is trained. Checked as a study is."""

    name: str
    question: str
    source: str
    base: Variant
    rows: tuple[TimedRow, ...]
    claims: tuple[Cheaper, ...] = ()
    default: str = "cost"

    def __post_init__(self) -> None:
        fit_fields(self, f"study {self.name}")
        _check(self, self.claims)

    def variant(self, row: TimedRow, scale: Mapping[str, Any] | None = None) -> Variant:
        """As `Study.variant`."""
        return changed_variant(self.base, row.changes, scale)


def _check_words(claim: Better | Cheaper) -> None:
    fit_fields(claim, f"{type(claim).__name__} {claim.id!r}")
    check_text(claim.id, f"{type(claim).__name__}.id")
    check_text(claim.text, f"{type(claim).__name__} {claim.id!r}.text")


def _check(study: Study | TimingStudy, claims: Sequence[Better | Cheaper]) -> None:
    name, rows = f"study {study.name}", study.rows
    check_label(study.name, "study")
    for what in ("question", "source"):
        check_text(getattr(study, what), f"{name}.{what}")
    labels, ids = [row.label for row in rows], [claim.id for claim in claims]
    if not rows:
        raise Refused(f"{name}: it has no rows; give it at least one Row")
    for what, words in (("row labels", labels), ("claims", ids)):
        if len(set(words)) < len(words):
            raise Refused(f"{name}: {what} {words} are not unique")
    for claim in claims:
        for label in claim.rows:
            if label not in labels:
                raise Refused(f"{name}: claim {claim.id} speaks of row {label!r}; there are {labels}")
        for metric in (claim.metric, *claim.beside) if isinstance(claim, Better) else ():
            if metric not in claimable():
                raise Refused(
                    f"{name}: claim {claim.id} speaks of {metric!r}; "
                    f"training decides {', '.join(claimable())}, and what a row costs is claimed with Cheaper"
                )
        if len(set(claim.rows)) < len(claim.rows):
            raise Refused(f"{name}: claim {claim.id} compares {' with '.join(_sides(claim))}; give each row once")
        if isinstance(claim, Better):
            _check_claim(study.name, claim, ids)
    for row in rows:
        _job(study, row)


def _job(study: Study | TimingStudy, row: Row | TimedRow) -> Job:
    """The job of a row but for its protocol.

    Raises:
        Refused: a path leads nowhere, or there is no such network; it names the row.
    """
    try:
        variant, seed = changed_variant(study.base, row.changes), row.seed_offset if isinstance(row, Row) else 0
        job = Job(variant=variant, protocol=Protocol(augment="rtmo"), seed=seed)
        return augmented(job, study.base, row.label, row.changes)
    except (KeyError, Refused) as error:
        raise Refused(f"study {study.name}, row {row.label!r}: {error.args[0]}") from None


def _sides(claim: Better | Cheaper) -> tuple[str, str]:
    return claim.sides if isinstance(claim, Better) else claim.rows


def _check_claim(name: str, claim: Better, ids: Sequence[str]) -> None:
    said = f"study {name}: claim {claim.id}"
    if claim.part_of in ids:
        raise Refused(f"{said} is part of {claim.part_of!r}, which is a claim itself; name the statement otherwise")
    if claim.teacher and claim.teacher not in (teachers := sorted({teacher_of(trunk) for trunk in stored_trunks()})):
        raise Refused(f"{said} asks for trunks taught by {claim.teacher!r}; there are trunks of {teachers}")


def find_study(name: str) -> Study | TimingStudy | Search:
    """The study or search in `studies/NAME.py`, a module with `STUDY`.

    Raises:
        Refused: there is no such study (the message lists those that there are), its file fails, or it defines none of
            that name.
    """
    check_study(name)
    if not isinstance(found := getattr(study_module(name), "STUDY", None), Study | TimingStudy | Search):
        raise Refused(
            f"studies/{name}.py defines no STUDY; expected STUDY = Study(...) or TimingStudy(...), or Search(...)"
        )
    if found.name != name:
        raise Refused(f"studies/{name}.py calls itself {found.name!r}; expected name={name!r}, as the file is called")
    if isinstance(found, Study):
        _check_pairs(found)
    return found


def _check_pairs(study: Study) -> None:
    jobs = {row.label: _job(study, row) for row in study.rows}
    for claim in study.claims:
        for row, than in claim.pairs:
            if jobs[row] == jobs[than]:
                raise Refused(
                    f"studies/{study.name}.py: claim {claim.id} compares {row!r} with {than!r}, one and the same job"
                )


# Names that files of users have from earlier versions.
Setting, Cell, Profile, Timed = StudyProtocol, PlannedJob, TimingStudy, TimedRow
find, known = find_study, known_studies
