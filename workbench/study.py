"""Study: one question, the rows of a table, and the published claims that the rows decide."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workbench.catalog import filled
from workbench.errors import Refused
from workbench.trunk import identity
from workbench.variant import Job, Protocol, Recipe, Variant


@dataclass(frozen=True)
class Cited:
    """A published number and where it stands."""

    value: float
    source: str


@dataclass(frozen=True)
class Row:
    """One line of the table: a short unique label and what it changes of the base, as dotted paths."""

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    cited: Cited | None = None
    seed_offset: int = 0  # an A/A row is the base again with other seeds


@dataclass(frozen=True)
class Better:
    """The claim that row `row` beats row `than` by more than `margin` of `metric`.

    `from_scratch`: only whole networks trained under each row can decide it; frozen trunks leave it open.
    """

    id: str
    text: str
    row: str
    than: str
    metric: str = "AP"
    margin: float = 0.0
    from_scratch: bool = False


@dataclass(frozen=True)
class Setting:
    """A protocol as a study uses it: how the base is scaled, the recipe, what is seen, and how often it is repeated.

    `trunks` names the frozen trunks of a probe: every row is run on each.
    """

    name: str
    about: str
    protocol: Protocol
    recipe: Recipe = Recipe()
    scale: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    trunks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """One job of a plan: a row, a seed, and the trunk under a probe ("" otherwise)."""

    row: str
    seed: int
    trunk: str
    job: Job


@dataclass(frozen=True)
class Study:
    """A question with its rows. Every path, every coupling and every label is checked when the file is imported.

    Raises:
        Refused: a path that leads nowhere, an impossible combination, a claim on an unknown row.
    """

    name: str
    question: str
    source: str
    base: Variant
    rows: tuple[Row, ...]
    claims: tuple[Better, ...] = ()

    def __post_init__(self) -> None:
        labels = [row.label for row in self.rows]
        if len(set(labels)) < len(labels):
            raise Refused(f"study {self.name}: row labels {labels} are not unique")
        for claim in self.claims:
            for label in (claim.row, claim.than):
                if label not in labels:
                    raise Refused(f"study {self.name}: claim {claim.id} speaks of row {label!r}; there are {labels}")
        for row in self.rows:
            try:
                self.variant(row)
            except KeyError as error:
                raise Refused(f"study {self.name}, row {row.label!r}: {error.args[0]}") from None

    def variant(self, row: Row, scale: Mapping[str, Any] | None = None) -> Variant:
        """The row's variant, its changes made on the base after scaling."""
        return self.base.vary(scale or {}).vary(row.changes)

    def cells(self, setting: Setting, seeds: int | None = None, sets: Mapping[str, Any] | None = None) -> list[Cell]:
        """Every job of the study under a setting, seeds outermost so that an early stop leaves whole rounds.

        `sets` are further changes of every job (`protocol.epochs`), components by name (`variant.neck`: `PAFPN`).
        """
        sets = filled(sets or {})
        return [
            Cell(row.label, seed, trunk, self._job(row, setting, seed, trunk).vary(sets))
            for seed in range(seeds or setting.seeds)
            for trunk in setting.trunks or ("",)
            for row in self.rows
        ]

    def _job(self, row: Row, setting: Setting, seed: int, trunk: str) -> Job:
        return Job(
            variant=self.variant(row, setting.scale),
            recipe=setting.recipe,
            protocol=replace(setting.protocol, trunk=identity(trunk)),
            seed=seed + row.seed_offset,
        )


def find(name: str) -> Study:
    """The study in `studies/NAME.py`, a module with `STUDY`.

    Raises:
        Refused: there is no such study, or its file defines none; the message lists those that there are.
    """
    try:
        module = importlib.import_module(f"studies.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("studies", f"studies.{name}"):
            raise
        raise Refused(
            f"no study is called {name!r}; there are {known()}. Run from the folder that holds studies/"
        ) from None
    if not isinstance(found := getattr(module, "STUDY", None), Study):
        raise Refused(f"studies/{name}.py defines no STUDY; expected STUDY = Study(...)")
    return found


def known() -> list[str]:
    """The names of all studies."""
    try:
        package = importlib.import_module("studies")
    except ModuleNotFoundError:
        return []
    return sorted(m.name for m in pkgutil.iter_modules(package.__path__))
