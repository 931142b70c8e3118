"""The fairness audit of a study: what differs between its rows besides what the rows name.

All rows are judged on the same few batches. A row's weights are those of its complete job, else those of a short
training of its own job, which stops where its first phase ends. What a switch of phases does is told by judging the
same weights and the same batches under the phase before and under the phase after. All of it runs on the CPU in
float32 on one thread, because sums on two round otherwise, and is the same for the same seed.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice, pairwise
from typing import Literal
from zlib import crc32

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from workbench.experiments.noop_check import different
from workbench.experiments.plan import StudyRun
from workbench.models.job import Job, phase_at
from workbench.models.network import Network
from workbench.models.schedule import learning_rate
from workbench.slots import Segment
from workbench.study import PlannedJob, Row, Study, changes_made
from workbench.tensors import Batch
from workbench.training.gradients import Pull, pulls
from workbench.training.loop import TrainingState, train
from workbench.training.machine import CPU
from workbench.training.optim import ema_momentum, parameter_groups
from workbench.training.source import Source, open_source

BATCHES = 2  # that all rows are judged on
SHORT_TRAINING = 40  # of training, for a row whose job is not complete
TIMES = 5.0  # a share this many times another is flagged
LEAST = 0.01  # unless both are below this
CROWDED = 1.2  # trained rows whose positives differ by this factor are named; untrained ones whenever they differ
AT_START = "start"
TRAINED = "positives per image, trained"
ABSENT = "nothing"

Kind = Literal["job", "fact", "switch", "share", "differs", "flag"]


@dataclass(frozen=True)
class AuditLine:
    """One finding about a row.

    Fields:
        kind: "job": `value` is the key of the job; "fact": `name` is `value`; "switch": at `moment` the target or the
            weight `name` becomes `value`; "share": at `moment` the term `name` makes the share `value` of the gradient
            of `part`; "differs": `name` is `value` here and `other` in row `than`; "flag": `value` says what
            is not fair, `than` in comparison with which row, if with any.
    """

    row: str
    kind: Kind
    name: str = ""
    value: str = ""
    than: str = ""
    other: str = ""
    moment: str = ""
    part: str = ""


@dataclass(frozen=True)
class Switch:
    """The begin of a phase: the step, of how many, and what a target or a weight becomes, by its name."""

    phase: int
    step: int
    total: int
    changes: Mapping[str, str]

    @property
    def moment(self) -> str:
        return f"step {self.step} of {self.total} ({100 * self.step / self.total:.0f} %)"


@dataclass(frozen=True)
class RowAudit:
    """What was measured of a row.

    Fields:
        trained: steps that its weights have seen; finished: they are those of its complete job.
        start: initial weights under the first phase; phases: its own weights under each phase that the job reaches.
    """

    label: str
    job: Job
    trained: int
    finished: bool
    switches: tuple[Switch, ...]
    facts: Mapping[str, str]
    start: Pull
    phases: Mapping[int, Pull]

    @property
    def weights(self) -> str:
        if self.finished:
            return "of the complete job"
        return f"after {self.trained} step{'s' * (self.trained != 1)} of training"

    @property
    def moments(self) -> dict[str, Pull]:
        """By name: what the weights are, and under which phase they are judged."""
        return {AT_START: self.start, **{f"phase {phase}": pull for phase, pull in self.phases.items()}}


def audit_study(run: StudyRun, steps: int | None = None) -> list[AuditLine]:
    """Measures and compares the rows of a study, first seed, first trunk. A row that repeats the base is left out.

    Args:
        steps: train every row so far, in place of taking the weights of complete jobs; None trains only rows whose job
            is not complete, for `SHORT_TRAINING`.

    Raises:
        Refused: the data set is missing or not the one that the jobs were declared with.
    """
    again = {row.label for row in run.study.rows if row.seed_offset}
    every = run.jobs(1)
    planned = [one for one in every if one.row not in again and one.trunk == every[0].trunk]
    with _one_thread():
        batches = list(islice(_source(run, planned[0].job).train(0), BATCHES))
        found = {one.row: _row(run, one, batches, steps) for one in planned}
    return [
        *(line for row in found.values() for line in row_lines(row)),
        *(line for label, than in compared(run.study) for line in pair_lines(run, found[label], found[than])),
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def compared(study: Study) -> list[tuple[str, str]]:
    """Each row with those that claims compare it with; where there are none, with the first row."""
    rows = [row.label for row in study.rows if not row.seed_offset]
    pairs = [pair for claim in study.claims for pair in claim.pairs if set(pair) <= set(rows)]
    claimed = {row for row, _ in pairs}
    pairs += [(row, rows[0]) for row in rows[1:] if row not in claimed]
    return sorted(dict.fromkeys(pairs), key=lambda pair: rows.index(pair[0]))


# ------------------------------------------------------------------------------------------------------ one row alone


def _source(run: StudyRun, job: Job) -> Source:
    return open_source(job, 0, run.home, run.data)


def _row(run: StudyRun, one: PlannedJob, batches: Sequence[Batch], steps: int | None) -> RowAudit:
    job, source = one.job, _source(run, one.job)
    switches = switches_of(job, source.steps)
    total = job.protocol.epochs * source.steps
    finished = steps is None and run.complete(job.key)
    fresh = _network(job, source)
    start = pulls(copy.deepcopy(fresh), batches, [0])[0]
    facts = facts_of(fresh, job, source) | {"positives per image, untrained": f"{start.positives:.2f}"}
    if finished:
        trained, weights = total, load_file(run.folder(job.key) / "weights.safetensors")
    else:
        trained = min(SHORT_TRAINING if steps is None else steps, switches[0].step if switches else total)
        weights = _trained(job, source, trained)
    fresh.load_state_dict(weights)
    phases = pulls(fresh, batches, [0, *(switch.phase for switch in switches)])
    facts |= {TRAINED: f"{phases[0].positives:.2f}"}
    return RowAudit(one.row, job, trained, finished, switches, facts, start, phases)


def _network(job: Job, source: Source) -> Network:
    """The untrained network; on a frozen trunk a copy of it."""
    return copy.deepcopy(source.network) if source.network is not None else Network(job.variant, job.seed)


def _trained(job: Job, source: Source, steps: int) -> dict[str, Tensor]:
    """The weights after so many steps of the job."""
    state = TrainingState(job, CPU, _network(job, source))
    for _ in islice(train(job, state, source.train, source.steps), steps):
        pass
    return state.model.state_dict()


def switches_of(job: Job, steps: int) -> tuple[Switch, ...]:
    """Where phases begin, with `steps` per epoch: with the first epoch that lies in them. Short jobs miss some."""
    epochs = job.protocol.epochs
    phases = [phase_at(job, epoch / epochs) for epoch in range(epochs)]
    return tuple(
        Switch(new, epoch * steps, epochs * steps, _changed(targets_of(job, old), targets_of(job, new)))
        for epoch, (old, new) in enumerate(pairwise(phases), start=1)
        if new != old
    )


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    return {name: f"{old[name]} -> {value}" for name, value in new.items() if value != old[name]}


def targets_of(job: Job, phase: int) -> dict[str, str]:
    """What the regression branch and the scores learn in a phase, and how much each loss weighs."""
    spec = job.variant.phases[phase]
    return {
        "target of the regression branch": "the coordinate stage" if spec.proxy else "the truth",
        "class target": "OKS of the coordinate stage" if spec.proxy else "overlap by which cells were assigned",
        "power of the class target": f"{spec.overlaps_power:g}",
        "augmentation": "weak" if spec.final else "full",
        **{f"weight of {loss.term}": f"{loss.weights[phase]:g}" for loss in job.variant.losses},
    }


def facts_of(network: Network, job: Job, source: Source) -> dict[str, str]:
    """What should be the same in all rows, by name."""
    total = job.protocol.epochs * source.steps
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    updates = job.protocol.epochs * math.ceil(source.steps / job.protocol.accumulate)
    horizon = 1 / ema_momentum(job.recipe, updates)
    ids = [image for batch in islice(source.train(0), BATCHES) for image in batch.image_ids]
    return {
        "trained parameters": f"{trained:,}",
        **rates(network, job, total),
        "weight average": f"over {horizon:.3g} of {updates} updates",
        "batch norms": norms_of(network),
        "first images": f"{' '.join(map(str, ids[:3]))} ... ({crc32(repr(ids).encode()):08x})",
    }


def rates(network: Network, job: Job, total: int) -> dict[str, str]:
    """The effective learning rate of each group: the schedule's mean, and its sum over the steps of training."""
    bases = sorted({float(str(group["base"])) for group in parameter_groups(network, job.recipe)}, reverse=True)
    found: dict[str, str] = {}
    for base, name in zip(bases, ("learning rate", "learning rate of the slow part"), strict=False):
        sums = _summed(job.recipe.schedule, base, total)
        found[name] = f"mean {sums / total:.3g}, sum {sums:.4g}"
    return found


@cache
def _summed(schedule: tuple[Segment, ...], base: float, total: int) -> float:
    return math.fsum(learning_rate(schedule, base, step, total) for step in range(total))


def norms_of(network: Network) -> str:
    """Momentum and epsilon of the batch norms of what is trained, each pair once."""
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    trained = [m for m in norms if any(p.requires_grad for p in m.parameters())]
    pairs = sorted({(m.momentum or 0.0, m.eps) for m in trained})
    return ", ".join(f"momentum {momentum:g} eps {eps:g}" for momentum, eps in pairs) or "none"


def row_lines(row: RowAudit) -> Iterator[AuditLine]:
    """What was measured of a row, and the flag of a teacher that comes too early."""
    yield AuditLine(row.label, "job", value=row.job.key)
    for name, value in {"weights": row.weights, **row.facts}.items():
        yield AuditLine(row.label, "fact", name, value)
    for switch in row.switches:
        for name, value in switch.changes.items():
            yield AuditLine(row.label, "switch", name, value, moment=switch.moment)
    for moment, pull in row.moments.items():
        for part, terms in pull.shares.items():
            for term, share in terms.items():
                yield AuditLine(row.label, "share", term, f"{share:.4f}", moment=moment, part=part)
    yield from _teachers(row)


def _teachers(row: RowAudit) -> Iterator[AuditLine]:
    """At each switch that makes the coordinate stage a teacher: its OKS, and whether it knows less than its pupil.

    Weights younger than the switch decide nothing: what they measure is said, and not flagged.
    """
    phases, before = row.job.variant.phases, 0
    for switch in row.switches:
        if phases[switch.phase].proxy and not phases[before].proxy:
            pull = row.phases[before]
            said = f"OKS {pull.stage_oks:.3f} of the coordinate stage against {pull.branch_oks:.3f} of the branch"
            ready = row.finished or row.trained == switch.step
            known = f"{said}, weights {row.weights}, switch at {switch.moment}"
            yield AuditLine(row.label, "fact", "teacher and pupil", known)
            if ready and pull.stage_oks < pull.branch_oks:
                when = "at the end of training" if row.finished else "at the switch"
                yield AuditLine(row.label, "flag", "teacher", f"teacher is worse than its pupil: {said} {when}")
        before = switch.phase


# ---------------------------------------------------------------------------------------------------------- two rows


def pair_lines(run: StudyRun, row: RowAudit, than: RowAudit) -> Iterator[AuditLine]:
    """What differs between two rows besides what the first one names, and the flags of shares."""
    (spec,) = (one for one in run.study.rows if one.label == row.label)
    apart = unnamed(run, spec, row.job, than.job) | facts_apart(row, than)
    for name, (mine, other) in apart.items():
        yield AuditLine(row.label, "differs", name, mine, than=than.label, other=other)
    for part, sentence in share_flags(row, than).items():
        yield AuditLine(row.label, "flag", part, sentence, than=than.label)


def unnamed(run: StudyRun, row: Row, job: Job, than: Job) -> dict[str, tuple[str, str]]:
    """The paths at which two jobs differ and which the row's changes do not name: the values of `job` and of `than`.

    Below a component that is another one its fields are left out.
    """
    made = changes_made(run.study.base, row.changes, run.protocol.scale)
    named = [path if path.startswith("protocol.") else f"variant.{path}" for path in made]
    apart, mine, other = different(than, job), dict(job.flat()), dict(than.flat())

    def below(path: str, heads: Sequence[str]) -> bool:
        return any(path.startswith(f"{head}.") for head in heads)

    return {
        path: (f"{mine.get(path, ABSENT)}", f"{other.get(path, ABSENT)}")
        for path in apart
        if path not in named and not below(path, named) and not below(path, apart)
    }


def facts_apart(row: RowAudit, than: RowAudit) -> dict[str, tuple[str, str]]:
    """The facts that differ, both values."""
    found = {name: (value, than.facts.get(name, ABSENT)) for name, value in row.facts.items()}
    return {name: pair for name, pair in found.items() if not _alike(name, *pair)}


def _alike(name: str, mine: str, other: str) -> bool:
    if name == TRAINED:
        return max(float(mine), float(other)) <= CROWDED * min(float(mine), float(other))
    return mine == other


def share_flags(row: RowAudit, than: RowAudit) -> dict[str, str]:
    """By part a sentence on the terms whose shares differ by `TIMES`, at the moment where they differ most.

    Terms that only one of the rows has are compared together, as what stands in the other's place. Where the other has
    none, the rows' names say so: they flag nothing, but are named where they have taken the place of others.
    """
    worst: dict[str, tuple[float, str]] = {}
    for moment in [name for name in row.moments if name in than.moments]:
        mine, other = row.moments[moment].shares, than.moments[moment].shares
        for part in [name for name in mine if name in other]:
            known = list(_matched(mine[part], other[part]))
            most = max((abs(one.gain) for one in known if one.flagged), default=0.0)
            if most > worst.get(part, (0.0, ""))[0]:
                apart = [one for one in known if one.apart]
                worst[part] = most, f"{_sentence(part, apart, than.label)} ({moment})"
    return {part: sentence for part, (_, sentence) in worst.items()}


@dataclass(frozen=True)
class _Shares:
    """What is compared: a term or several with their share in one row, 0..1, and what stands in their place there.

    `place` and `term` are "" where nothing does.
    """

    term: str
    share: float
    place: str
    other: float

    @property
    def gain(self) -> float:
        return self.share - self.other

    @property
    def apart(self) -> bool:
        low, high = sorted((self.share, self.other))
        return high >= LEAST and high > TIMES * low

    @property
    def flagged(self) -> bool:
        return self.apart and bool(self.term and self.place)

    @property
    def name(self) -> str:
        return self.term or self.place

    @property
    def against(self) -> str:
        return _percent(self.other) + (f" of {self.place}" if self.term and self.place not in ("", self.term) else "")


def _sentence(part: str, apart: Sequence[_Shares], than: str) -> str:
    """What differs most comes first, and of two that differ as much what the row has more of."""
    first, *others = sorted(apart, key=lambda one: (-round(abs(one.gain), 3), -one.gain))
    said = f"{first.name} makes {_percent(first.share)} of the gradient of the {part}, {first.against} in {than!r}"
    return said + "".join(f"; {one.name} {_percent(one.share)} against {one.against}" for one in others)


def _matched(mine: Mapping[str, float], other: Mapping[str, float]) -> Iterator[_Shares]:
    """The terms of two rows that are compared with each other."""
    for term in [name for name in mine if name in other]:
        yield _Shares(term, mine[term], term, other[term])
    own, theirs = ([t for t in a if t not in b] for a, b in ((mine, other), (other, mine)))
    sums = sum(mine[t] for t in own), sum(other[t] for t in theirs)
    yield _Shares(" and ".join(own), sums[0], " and ".join(theirs), sums[1])


def _percent(share: float) -> str:
    return "0 %" if share == 0 else f"{100 * share:.1f} %" if share >= 0.001 else "less than 0.1 %"
