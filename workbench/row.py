"""Row: one line of a study's table, the network that it means, and the job that it is under a protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.core.errors import Refused, one_line
from workbench.core.fields import fit, fit_fields
from workbench.core.words import check_label, check_text
from workbench.models.job import LARGEST_SEED, Job, Protocol, Recipe
from workbench.models.trunk import trunk_identity
from workbench.models.variant import Variant

# Dotted paths and their new values; as a function, of the base after scaling.
Changes = Mapping[str, Any] | Callable[[Variant], Mapping[str, Any]]
_AUGMENT = "protocol.augment"


@dataclass(frozen=True)
class Cited:
    """A published number and where it stands."""

    value: float
    source: str

    def __post_init__(self) -> None:
        fit_fields(self)
        check_text(self.source, "Cited.source")


@dataclass(frozen=True)
class Row:
    """One line of the table: a short unique label and what it changes of the base, as dotted paths.

    Paths begin at the variant (`neck.channels`), or at the augmentation of training (`protocol.augment.main.Mosaic`).
    """

    label: str
    changes: Changes = field(default_factory=dict)
    cited: Cited | None = None
    seed_offset: int = 0  # an A/A row is the base again with other seeds

    def __post_init__(self) -> None:
        fit_fields(self)
        check_label(self.label, "Row.label")
        if not 0 <= self.seed_offset <= LARGEST_SEED // 2:
            raise Refused(f"Row.seed_offset: {self.seed_offset} given; expected 0 to {LARGEST_SEED // 2}")


@dataclass(frozen=True)
class StudyProtocol:
    """A protocol as a study uses it: how the base is scaled, the recipe, what is seen, and how often it is repeated.

    Fields:
        trunks: names of frozen trunks: every row is run on each.
        first: each job begins with the weights of its row's job under this protocol; None begins anew.
        together: of a `first`, that it is one job for all rows: their coordinate stages learn beside each other, and
            the rows go on from where it stops.
        taught: what taught the network that rows begin with, where they begin with one: the word of a trunk's name.
        phase: of the base, that training begins in.
        trains: where it does not, rows are measured.
        answers: in a sentence which question its verdicts answer, and which they do not.
    """

    name: str
    about: str
    protocol: Protocol
    recipe: Recipe = Recipe()
    scale: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    trunks: tuple[str, ...] = ()
    first: StudyProtocol | None = None
    together: bool = False
    taught: str = ""
    phase: int = 0
    trains: bool = True
    answers: str = ""

    def __post_init__(self) -> None:
        if self.first is not None and self.first.together and not self.taught:
            raise Refused(f"protocol {self.name}: its rows begin with one network; say in `taught` what taught it")

    @property
    def begun_share(self) -> float:
        """The share of its epochs after which others go on from it."""
        return self.protocol.stop / self.protocol.epochs

    @property
    def frozen(self) -> bool:
        """Whether the trunk of every network stays as it was stored."""
        return bool(self.trunks) and self.first is None


@dataclass(frozen=True)
class PlannedJob:
    """One job of a plan: a row, a seed, and the trunk that it stands on or began on ("" without one).

    `first` is the one that it begins with, where it does. `until` is the epoch after which it pauses, 0 for none: it is
    no part of the job, which goes on from there when it is planned with a later one.
    """

    row: str
    seed: int
    trunk: str
    job: Job
    first: PlannedJob | None = None
    until: int = 0

    @property
    def title(self) -> str:
        """The job as people call it."""
        return f"{self.row}, seed {self.seed}" + f", trunk {self.trunk}" * bool(self.trunk)


def changes_made(base: Variant, changes: Changes, scale: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The changes of a row as dotted paths and values, those that follow from the scaled base made from it.

    Raises:
        Refused: they are made by a function that fails, or that gives something else.
    """
    if not callable(changes):
        return fit(changes, Mapping[str, Any], "changes")
    scaled = base.vary(scale or {})
    try:
        made = changes(scaled)
    except Exception as error:  # it is a user's own
        raise Refused(f"the function of its changes does not fit the base ({one_line(error)})") from error
    return fit(made, Mapping[str, Any], "what the function of its changes gives")


def changed_variant(base: Variant, changes: Changes, scale: Mapping[str, Any] | None = None) -> Variant:
    """The base after scaling, with the changes that are not of the augmentation.

    Raises:
        KeyError: a path leads nowhere.
        Refused: there is no such network.
    """
    made = changes_made(base, changes, scale)
    return base.vary(scale or {}).vary({path: value for path, value in made.items() if not _of_augmentation(path)})


def job_of(base: Variant, row: Row, protocol: StudyProtocol, seed: int, trunk: str = "") -> Job:
    """The job that a row is under a protocol: a study's and a search's are one where their variants are.

    Raises:
        Refused: a path of the augmentation leads nowhere under the protocol.
    """
    job = Job(
        variant=changed_variant(base, row.changes, protocol.scale),
        recipe=protocol.recipe,
        protocol=replace(protocol.protocol, trunk=trunk_identity(trunk)),
        seed=seed + row.seed_offset,
    )
    return augmented(job, base, row.label, row.changes, protocol.scale)


def augmented(job: Job, base: Variant, label: str, changes: Changes, scale: Mapping[str, Any] | None = None) -> Job:
    """The job with what a row changes of its augmentation.

    Raises:
        Refused: a path leads nowhere under the job's protocol.
    """
    made = changes_made(base, changes, scale)
    try:
        return job.vary({path: value for path, value in made.items() if _of_augmentation(path)})
    except KeyError as error:
        raise Refused(f"row {label!r}: {error.args[0]}; set protocol.augment before, as to 'rtmo'") from None


def _of_augmentation(path: str) -> bool:
    return path == _AUGMENT or path.startswith(f"{_AUGMENT}.")
