"""Space: which networks a search may choose from, as factors whose options are what a `Row` takes; and the search."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations
from typing import Any

import numpy as np

from workbench.core.errors import Refused
from workbench.core.fields import fit_fields
from workbench.core.words import check_label, check_text
from workbench.evaluation.metrics import claimable
from workbench.models.catalog import filled
from workbench.models.job import Job, Protocol
from workbench.models.variant import Variant
from workbench.row import Changes, PlannedJob, Row, StudyProtocol, augmented, changed_variant, changes_made, job_of
from workbench.tensors import Floats

COSTS = ("gflops", "params", "ms")  # counted, counted, measured side by side
LARGEST = 100_000  # candidates: all of them are priced and predicted
_FAULTS = (Refused, KeyError)  # of a variant that is no network, or an option's function; of a path
Wanted = Mapping[str, Sequence[str]]  # of some factors the labels that will do


@dataclass(frozen=True)
class Factor:
    """One choice of a search.

    Fields:
        options: label -> changes, as in `Row`. Labels may be numbers; they are kept as text.
        when: earlier factors and those of their labels under which there is this choice; without any there always is.

    Raises:
        Refused: no options, one label twice, or `when` without tuples of labels.
    """

    name: str
    options: Mapping[Any, Changes]
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fit_fields(self, "Factor")
        check_label(self.name, "Factor.name")
        labels = [str(label) for label in self.options]
        for label in labels:
            check_label(label, f"factor {self.name!r}, an option's label")
        if not labels:
            raise Refused(f"factor {self.name!r} has no options, so the space is empty; give it at least one")
        if len(set(labels)) < len(labels):
            raise Refused(f"factor {self.name!r}: labels {labels} are not unique")
        for other, wanted in self.when.items():
            if isinstance(wanted, str) or not isinstance(wanted, Sequence):
                raise Refused(
                    f"factor {self.name!r}: when[{other!r}] is {wanted!r}; expected a tuple, as ({wanted!r},)"
                )
        object.__setattr__(self, "options", dict(zip(labels, self.options.values(), strict=True)))
        object.__setattr__(self, "when", {other: tuple(map(str, wanted)) for other, wanted in self.when.items()})

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the options, in order. Others are compared with the first."""
        return tuple(self.options)

    def active(self, chosen: Mapping[str, str]) -> bool:
        """Whether there is this choice after those: factor -> label."""
        return all(chosen.get(other) in wanted for other, wanted in self.when.items())


@dataclass(frozen=True)
class Candidate:
    """One network of a space: an option of each factor that there is. Equal where its choices are."""

    pairs: tuple[tuple[str, str], ...]  # factor and label, in the order of the space
    parts: tuple[Changes, ...] = field(compare=False, repr=False)
    text: str = field(compare=False, repr=False)  # for people: "csp s, hybrid layers 1, P4+P5, dcc bins 192"

    def changes(self, base: Variant) -> Mapping[str, Any]:
        """All its changes of the scaled base, as a `Row` takes them. What replaces a part comes before what sets a part
        of that."""
        made = chain.from_iterable(changes_made(base, part).items() for part in self.parts)
        return dict(sorted(made, key=lambda change: change[0].count(".")))

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits, the same in any process as long as the words are."""
        return hashlib.sha256(json.dumps(self.pairs, separators=(",", ":")).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Space:
    """All candidates of some factors.

    Raises:
        Refused: nothing to choose, a factor twice, a `when` that names nothing before it or never comes, too many.
    """

    factors: tuple[Factor, ...]

    def __post_init__(self) -> None:
        names = [factor.name for factor in self.factors]
        if not names:
            raise Refused("no factors, so the space is empty; give at least one Factor")
        if len(set(names)) < len(names):
            raise Refused(f"factors {names} are not unique")
        for i, factor in enumerate(self.factors):
            self._check_when(factor, self.factors[:i])
        if sum(1 for _ in zip(self._choices(), range(LARGEST + 1), strict=False)) > LARGEST:
            raise Refused(f"the space has more than {LARGEST:,} candidates; take options out")

    def _check_when(self, factor: Factor, before: Sequence[Factor]) -> None:
        known = {other.name: other.labels for other in before}
        for other, wanted in factor.when.items():
            if other not in known:
                raise Refused(f"factor {factor.name!r}: when names {other!r}; the factors before it are {[*known]}")
            for label in wanted:
                if label not in known[other]:
                    raise Refused(f"factor {factor.name!r}: when names {other} {label!r}; it has {[*known[other]]}")
        if not all(self.needs(factor.name, factor.labels[0]).values()):
            raise Refused(f"factor {factor.name!r}: when={dict(factor.when)} never comes")

    def needs(self, name: str, label: str) -> dict[str, tuple[str, ...]]:
        """What has to be chosen for an option: of each factor that matters the labels that will do."""
        found: dict[str, tuple[str, ...]] = {name: (label,)}
        for factor in reversed(self.factors):
            for other, wanted in factor.when.items() if factor.name in found else ():
                found[other] = tuple(one for one in found.get(other, wanted) if one in wanted)
        return found

    def _choices(self) -> Iterator[dict[str, str]]:
        def further(chosen: dict[str, str], i: int) -> Iterator[dict[str, str]]:
            if i == len(self.factors):
                yield chosen
                return
            factor = self.factors[i]
            for label in factor.labels if factor.active(chosen) else (None,):
                yield from further(chosen if label is None else {**chosen, factor.name: label}, i + 1)

        return further({}, 0)

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        """All of them; the last factor changes fastest."""
        return tuple(map(self._made, self._choices()))

    def __len__(self) -> int:
        return len(self.candidates)

    def candidate(self, chosen: Mapping[str, str] | Sequence[Sequence[str]]) -> Candidate:
        """The candidate of those choices, as pairs or factor -> label.

        Raises:
            Refused: they are none of this space.
        """
        pairs = chosen.items() if isinstance(chosen, Mapping) else chosen
        wanted = {str(name): str(label) for name, label in pairs}
        there = {f.name: f.labels for f in self.factors if f.active(wanted)}
        if there.keys() != wanted.keys() or any(label not in there[name] for name, label in wanted.items()):
            raise Refused(
                f"no candidate {wanted}; there one has to choose { ({n: list(ls) for n, ls in there.items()}) }"
            )
        return self._made(wanted)

    def with_first(self, wanted: Wanted) -> Candidate:
        """The candidate with the first label of each factor, of those that will do where some are wanted."""
        chosen: dict[str, str] = {}
        for factor in self.factors:
            if factor.active(chosen):
                chosen[factor.name] = wanted.get(factor.name, factor.labels)[0]
        return self._made(chosen)

    def _made(self, chosen: Mapping[str, str]) -> Candidate:
        there = [factor for factor in self.factors if factor.name in chosen]
        words = [(" " if f.when else ", ") + _said(f.name, chosen[f.name]) for f in there]
        return Candidate(
            tuple((f.name, chosen[f.name]) for f in there),
            tuple(f.options[chosen[f.name]] for f in there),
            "".join(words).strip(", "),
        )

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """What the columns of `features` are: factor and label."""
        return tuple((factor.name, label) for factor in self.factors for label in factor.labels)

    def features(self, candidates: Sequence[Candidate]) -> Floats:
        """(N, columns): 1 where a candidate has the option. Products of two columns are the pairs of options."""
        place = {pair: i for i, pair in enumerate(self.columns)}
        found = np.zeros((len(candidates), len(place)))
        for row, candidate in zip(found, candidates, strict=True):
            row[[place[pair] for pair in candidate.pairs]] = 1
        return found


def _said(name: str, label: str) -> str:
    """A label that is a number says nothing without its factor."""
    return label if any(c.isalpha() for c in label) else f"{name} {label}"


@dataclass(frozen=True)
class Search:
    """A question that is answered by choosing from a space. It is checked when the file is imported.

    Fields:
        up: a metric of the evaluation, as trained under the protocol.
        down: one of `COSTS` that is counted, of the published size.
        limits: largest costs; candidates above one are not trained.
        published: networks of the space that go by a name, as its choices; what is left out is the first option. They
            are looked at before all others, and marked on the page.
        rungs: parts of the training after which a candidate pauses and is compared; one at most before the end, 1.
        signal: what is compared there: a training loss, as `training.rung` calls it, of which less is better. It has to
            be one that all candidates are trained with.
        default: the protocol that is used where none is named.

    Raises:
        Refused: a path that leads nowhere, an option that can be built with no other, an empty space, two factors that
            set one path, a metric or cost that is not known.
    """

    name: str
    question: str
    source: str
    base: Variant
    factors: tuple[Factor, ...]
    up: str = "AP"
    down: str = "gflops"
    limits: Mapping[str, float] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rungs: tuple[float, ...] = (1.0,)
    signal: str = "mean_loss_oks"
    default: str = "short"

    def __post_init__(self) -> None:
        fit_fields(self, f"search {self.name}")
        try:
            self._check_words()
            self._check_paths()
            for name, label in self.space.columns:
                self._check_option(name, label)
            self._check_published()
        except Refused as error:
            raise Refused(f"search {self.name}: {error}") from None

    @cached_property
    def space(self) -> Space:
        """The space of its factors."""
        return Space(self.factors)

    @cached_property
    def landmarks(self) -> dict[Candidate, str]:
        """The published networks, with their names."""
        wanted = {name: {str(f): (str(label),) for f, label in one.items()} for name, one in self.published.items()}
        return {self.space.with_first(one): name for name, one in wanted.items()}

    def variant(self, candidate: Candidate, scale: Mapping[str, Any] | None = None) -> Variant:
        """The candidate's variant, its changes made on the base after scaling.

        Raises:
            KeyError, Refused: its options can not be built together.
        """
        return changed_variant(self.base, candidate.changes, scale)

    def as_row(self, candidate: Candidate, label: str = "") -> Row:
        """The candidate as a study's row."""
        return Row(label or candidate.text, candidate.changes)

    def planned(
        self, candidate: Candidate, protocol: StudyProtocol, seed: int = 0, changes: Mapping[str, Any] | None = None
    ) -> PlannedJob:
        """The job of a candidate: that of a study's row with its variant. `changes` as in `Study.planned_jobs`.

        Raises:
            Refused: the protocol trains no whole networks from their first weights on, or the candidate is impossible.
        """
        if protocol.trunks or protocol.first or not protocol.trains:
            raise Refused(
                f"search {self.name}: protocol {protocol.name} does not train whole networks from scratch, as a search "
                f"has to; use --protocol {self.default}"
            )
        try:
            job = job_of(self.base, self.as_row(candidate), protocol, seed).vary(filled(changes or {}))
        except _FAULTS as error:
            raise Refused(f"{candidate.text}: {_said_of(error)}") from None
        return PlannedJob(candidate.text, seed, "", job)

    def _check_words(self) -> None:
        check_label(self.name, "name")
        for name in ("question", "source"):
            check_text(getattr(self, name), name)
        for name in self.published:
            check_label(name, "a published network's name")
        if self.up not in claimable():
            raise Refused(f"up={self.up!r} is not measured; training gives {', '.join(claimable())}")
        for word, what in ((self.down, "down"), *((name, "limits") for name in self.limits)):
            if word not in COSTS:
                raise Refused(f"{what}: {word!r} is no cost; there are {', '.join(COSTS)}")
        if self.down == "ms":
            raise Refused("down='ms': time is measured only of what is proposed; limit it: --max ms=1.2")
        for name, most in self.limits.items():
            if not most > 0:
                raise Refused(f"limits: {name} {most}: must be above 0")
        ascending = [*self.rungs] == sorted({r for r in self.rungs if 0 < r <= 1})
        if not ascending or self.rungs[-1:] != (1.0,) or len(self.rungs) > 2:
            raise Refused(f"rungs {self.rungs}: expected (1.0,), or one part of the training before it, as (0.2, 1.0)")

    def _check_paths(self) -> None:
        """No two options that can be chosen together set one path."""
        needs = {option: self.space.needs(*option) for option in self.space.columns}
        paths = {option: self._paths(option) for option in needs}
        for (a, b), both in ((two, paths[two[0]] & paths[two[1]]) for two in combinations(needs, 2)):
            if both and a[0] != b[0] and _together(needs[a], needs[b]):
                raise Refused(f"factors {a[0]!r} ({a[1]}) and {b[0]!r} ({b[1]}) both set {min(both)!r}; one has to")

    def _paths(self, option: tuple[str, str]) -> set[str]:
        changes = next(f for f in self.factors if f.name == option[0]).options[option[1]]
        try:
            return set(changes_made(self.base, changes))
        except _FAULTS as error:
            raise Refused(f"factor {option[0]!r}, option {option[1]!r}: {_said_of(error)}") from None

    def _check_option(self, name: str, label: str) -> None:
        """Builds with the first options of the others or, where that fails, with some other option."""
        needs = self.space.needs(name, label)
        fault = self._fault(self.space.with_first(needs))
        if fault is None:
            return
        others = (self.space.needs(*option) for option in self.space.columns if option[0] != name)
        tried = (_both(needs, other) for other in others if _together(needs, other))
        if all(self._fault(self.space.with_first(one)) is not None for one in tried):
            raise Refused(f"factor {name!r}, option {label!r} can be built with no other: {_said_of(fault)}")

    def _check_published(self) -> None:
        wanted = {name: {str(f): str(label) for f, label in one.items()} for name, one in self.published.items()}
        for name, one in wanted.items():
            if not {*one.items()} <= {*self.space.columns}:
                raise Refused(f"published {name!r}: {one} is no choice of the space; options: {[*self.space.columns]}")
        for candidate, name in self.landmarks.items():
            if not wanted[name].items() <= dict(candidate.pairs).items():
                raise Refused(f"published {name!r}: {wanted[name]} can not be chosen together, see `when`")
            if (fault := self._fault(candidate)) is not None:
                raise Refused(f"published {name!r}: {_said_of(fault)}")
        if len(self.landmarks) < len(self.published):
            raise Refused(f"published {[*self.published]}: two of them are one candidate")

    def _fault(self, candidate: Candidate) -> Exception | None:
        try:
            job = Job(variant=self.variant(candidate), protocol=Protocol(augment="rtmo"))
            augmented(job, self.base, candidate.text, candidate.changes)
        except _FAULTS as error:
            return error
        return None


def _said_of(error: Exception) -> str:
    """What a fault says, without quotes around it."""
    return str(error.args[0])


def _both(one: Wanted, other: Wanted) -> dict[str, tuple[str, ...]]:
    """What serves both; where nothing does, a factor has no label."""
    found = {name: tuple(labels) for name, labels in one.items()}
    for name, labels in other.items():
        found[name] = tuple(label for label in found.get(name, labels) if label in labels)
    return found


def _together(one: Wanted, other: Wanted) -> bool:
    return all(_both(one, other).values())
