"""What a fairness audit measures of one row: what its losses train, and what its coordinate stage teaches.

All rows are judged on the same few batches. A row's weights are those of its complete job, else those of a short
training of its own job. What a switch of phases does is told by judging the same weights and the same batches under
the phase before and under the phase after.

Where the coordinate stage becomes the teacher of the regression branch, both are judged by what they are at that step:
the row is trained up to it, also where its job is complete, unless that takes more than `TO_TEACHER` images.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from safetensors.torch import load_file

from workbench.experiments.audit_facts import Switch, facts_of, first_phase, switches_of
from workbench.experiments.plan import StudyRun
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.study import PlannedJob
from workbench.tensors import Batch
from workbench.training.gradients import GradientShares, gradient_shares
from workbench.training.loop import Tick, TrainingState, train
from workbench.training.machine import CPU
from workbench.training.source import Source, open_source
from workbench.training.start import initial_state

SHORT_TRAINING = 40  # steps, of a row whose job is not complete
TO_TEACHER = 30_000  # images: minutes on one core, at 96 px
AT_START = "start"
UNTRAINED = "positives per image, untrained"
BEGUN = "positives per image, at the start"
TRAINED = "positives per image, trained"
AT_THE_START, AT_THE_SWITCH, AT_THE_END = "at the start", "at the switch", "at the end of training"
_NO_BEGIN = "the job that it begins with is not complete"


@dataclass(frozen=True)
class Teacher:
    """A coordinate stage that teaches the regression branch.

    Fields:
        judged: how old it was then, in words, or why it was not.
        stage_oks, branch_oks: of both, as of `GradientShares`; NaN where they were not judged.
    """

    judged: str
    stage_oks: float = math.nan
    branch_oks: float = math.nan

    @property
    def knows_less(self) -> bool:
        """Whether it is worse than its pupil; False where that is not known."""
        return self.stage_oks < self.branch_oks

    @property
    def said(self) -> str:
        if math.isnan(self.stage_oks):
            return self.judged
        both = f"{self.stage_oks:.3f} of the coordinate stage against {self.branch_oks:.3f} of the regression branch"
        return f"OKS {both}, {self.judged}"


@dataclass(frozen=True)
class RowAudit:
    """What was measured of a row.

    Fields:
        trained: steps that its weights have seen; finished: they are those of its complete job.
        start: weights that it begins with, under its first phase; phases: its own weights under each phase that the
            job reaches.
        teacher: None where the coordinate stage teaches nobody.
    """

    label: str
    job: Job
    trained: int
    finished: bool
    switches: tuple[Switch, ...]
    facts: Mapping[str, str]
    start: GradientShares
    phases: Mapping[int, GradientShares]
    teacher: Teacher | None = None

    @property
    def weights(self) -> str:
        if self.finished:
            return "of the complete job"
        return f"after {self.trained} step{'s' * (self.trained != 1)} of training"

    @property
    def known(self) -> dict[str, str]:
        """The facts, and how old the weights are."""
        return {"weights": self.weights, **self.facts}

    @property
    def moments(self) -> dict[str, GradientShares]:
        """By name: what the weights are, and under which phase they are judged."""
        return {AT_START: self.start, **{f"phase {phase}": found for phase, found in self.phases.items()}}


@dataclass(frozen=True)
class Training:
    """How far a row is trained, in steps from where its job begins.

    Fields:
        steps: to what its losses are judged by, as far as its first switch at most.
        teaches: to where its coordinate stage becomes a teacher, None for never; images: how many it has seen then.
    """

    steps: int
    teaches: int | None = None
    images: int = 0


def audited_row(run: StudyRun, planned: PlannedJob, batches: Sequence[Batch], steps: int | None = None) -> RowAudit:
    """Measures a row on some batches.

    Args:
        steps: train it so far; None takes the weights of its complete job, or `SHORT_TRAINING` without one.

    Raises:
        Refused: the data set is missing or not the one that the job was declared with.
    """
    job, source = planned.job, open_source(planned.job, 0, run.home, run.data)
    finished, begins = steps is None and run.complete(job.key), _has_begin(run, job)
    training = training_of(job, source.steps, 0 if finished else steps or SHORT_TRAINING)
    switches, first = switches_of(job, source.steps), first_phase(job)
    reached = [first, *(switch.phase for switch in switches)]

    state = _state(run, job, source, begins)
    start = _shares(state.model, batches, [first])[first]
    facts = facts_of(state.model, job, source) | {"begins with": _begin(job, begins)}
    ticks = train(job, state, source.train, source.steps)
    _advance(ticks, training.steps)
    own = _shares(_complete(run, job, state.model) if finished else state.model, batches, reached)
    facts |= {BEGUN if job.start.key else UNTRAINED: f"{start.positives:.2f}", TRAINED: f"{own[first].positives:.2f}"}

    seen = {AT_THE_START: start} if begins else {}
    if begins and training.teaches and (training.images <= TO_TEACHER or training.teaches <= (steps or 0)):
        _advance(ticks, training.teaches - training.steps)
        seen[AT_THE_SWITCH] = _shares(state.model, batches, [first])[first]
    if finished:
        seen[AT_THE_END] = own[first]
    return RowAudit(
        planned.row, job, training.steps, finished, switches, facts, start, own, judged_teacher(training, seen)
    )


def training_of(job: Job, epoch_steps: int, steps: int) -> Training:
    """How far a row is trained that is to be judged after so many steps, with `epoch_steps` in an epoch."""
    begun, phases, switches = job.start.epoch * epoch_steps, job.variant.phases, switches_of(job, epoch_steps)
    first_switch = (switches[0].step if switches else job.protocol.last * epoch_steps) - begun
    steps = min(steps, first_switch)
    teachers = [0] * phases[first_phase(job)].proxy + [s.step - begun for s in switches if phases[s.phase].proxy]
    if not teachers:
        return Training(steps)
    return Training(steps, teachers[0], teachers[0] * (job.protocol.batch // job.protocol.accumulate))


def judged_teacher(training: Training, seen: Mapping[str, GradientShares]) -> Teacher | None:
    """What a coordinate stage and its pupil know when it becomes the teacher, else at the end of training.

    Args:
        seen: what was measured, by the age of the weights.
    """
    if training.teaches is None:
        return None
    wanted = AT_THE_SWITCH if training.teaches else AT_THE_START
    if when := next((name for name in (wanted, AT_THE_END) if name in seen), ""):
        return Teacher(when, seen[when].stage_oks, seen[when].branch_oks)
    if AT_THE_START not in seen:
        return Teacher(f"not judged: {_NO_BEGIN}")
    return Teacher(
        f"not judged: it begins to teach after {training.images:,} images, an audit goes as far as {TO_TEACHER:,}; "
        f"--steps {training.teaches} goes there"
    )


def _has_begin(run: StudyRun, job: Job) -> bool:
    """Whether what training of a job begins with is at hand."""
    return not job.start.key or run.complete(job.start.key)


def _begin(job: Job, known: bool) -> str:
    """What training begins with, in words."""
    if not job.start.key:
        return "initial weights"
    phase = f"phase {first_phase(job)}"
    return f"weights of a complete job, {phase}" if known else f"initial weights, {phase}: {_NO_BEGIN}"


def _state(run: StudyRun, job: Job, source: Source, known: bool) -> TrainingState:
    """What training begins with; initial weights, where the job that it begins with is not complete."""
    own = replace(source, network=copy.deepcopy(source.network))
    if known:
        return initial_state(job, CPU, own, run.home)
    state = TrainingState(job, CPU, own.network)
    state.epoch = job.start.epoch
    return state


def _advance(ticks: Iterator[Tick], steps: int) -> None:
    for _ in islice(ticks, steps):
        pass


def _complete(run: StudyRun, job: Job, network: Network) -> Network:
    """A copy of the network with the weights of the complete job."""
    copied = copy.deepcopy(network)
    copied.load_state_dict(load_file(run.folder(job.key) / "weights.safetensors"))
    return copied


def _shares(network: Network, batches: Sequence[Batch], phases: Iterable[int]) -> dict[int, GradientShares]:
    """Of a copy, so that the network trains on as if it had not been judged."""
    return gradient_shares(copy.deepcopy(network), batches, phases)
