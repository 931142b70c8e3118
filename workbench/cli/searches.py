"""What `workbench study` does with a search, and the options that only searches have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from workbench.cli.options import COUNT, Change, changes_of, completing, refuse_options_but, runs_folder
from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.experiments.search.plan import SearchRun
    from workbench.row import StudyProtocol
    from workbench.space import Search

_UNITS = {"h": 60.0, "min": 1.0, "m": 1.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(h|min|m)")


class Minutes(NamedTuple):
    """A budget of time, as it was typed."""

    value: float
    text: str


def budget(given: Any) -> int | Minutes:
    """Reads a number of jobs, or a time of training on one core, as in 3h or 90min."""
    if found := _TIME.fullmatch(str(given)):
        return Minutes(float(found[1]) * _UNITS[found[2]], str(given))
    try:
        return COUNT(given)
    except typer.BadParameter:
        raise typer.BadParameter(f"{given!r}: expected a number of jobs, or for a search a time as in 3h") from None


class Limit(NamedTuple):
    """One `--max`: a cost and the most that it may be."""

    cost: str
    most: float


def limit(given: Any) -> Limit:
    """`gflops=8` as a cost and a number."""
    cost, equals, most = str(given).partition("=")
    try:
        return Limit(cost, float(most)) if cost and equals else _no_limit(given)
    except ValueError:
        return _no_limit(given)


def _no_limit(given: Any) -> Limit:
    raise typer.BadParameter(f"{given!r}: expected COST=NUMBER, as in gflops=8")


Budget = Annotated[
    Any,
    typer.Option(
        "--budget",
        metavar="JOBS|TIME",
        parser=budget,
        help="Of --until: at most so many jobs (default: twice the first round). Of a search: training on one core, "
        "as in 3h (default: 1h)",
    ),
]
Limits = Annotated[
    list[Limit] | None,
    typer.Option(
        "--max",
        metavar="COST=NUMBER",
        parser=limit,
        help="Of a search: train nothing that costs more, as in gflops=8; may be given several times",
    ),
]
SamplerName = Annotated[
    str | None,
    typer.Option(
        "--sampler", metavar="NAME", help="Of a search: one of {samplers}", autocompletion=completing("samplers")
    ),
]


Then = Annotated[
    str | None,
    typer.Option(
        "--then",
        metavar="PROTOCOL",
        help="Of a search: train its front and the published networks under this longer protocol, too",
        autocompletion=completing("protocols"),
    ),
]


def check_study_options(
    most: int | Minutes | None, limits: list[Limit] | None, sampler: str | None = None, then: str | None = None
) -> None:
    """For a study, which has rows and seeds.

    Raises:
        Refused: an option that only searches have.
    """
    for option, given in (("--max", limits), ("--sampler", sampler), ("--then", then)):
        if given:
            raise Refused(f"{option}: it is for searches, and this is a study; leave it out")
    if isinstance(most, Minutes):
        raise Refused(f"--budget {most.text}: that is for a search; --until decided takes a number of jobs")


OPTIONS = ("name", "protocol", "data", "jobs", "budget", "sets", "limits", "sampler", "then", "as_study", "force")
OPTIONS += ("store", "wait", "cores", "engine", "address")


def planned(
    ctx: typer.Context,
    asked: Search,
    under: StudyProtocol,
    data: Path | None,
    sets: list[Change] | None,
    most: int | Minutes | None,
    limits: list[Limit] | None,
    sampler: str | None,
    reads: bool = False,
) -> SearchRun:
    """The run of a search; `reads`: the command only looks at it, and makes no folder.

    Raises:
        Refused: an option that searches do not have, a budget that is no time, a cost with two limits.
    """
    from workbench.experiments.search.plan import BUDGET, SURROGATE, SearchRun

    refuse_options_but(ctx, OPTIONS, f"{asked.name} is a search: its seeds go where they tell most")
    if isinstance(most, int):
        raise Refused(f"--budget {most}: {asked.name} is a search; give a time, as in --budget {most}h")
    names = [one.cost for one in limits or ()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused(f"--max {twice[0]}: it is given {names.count(twice[0])} times; give it once")
    return SearchRun(
        asked,
        under,
        runs_folder(not reads),
        data=data,
        changes=changes_of(sets),
        limits=dict(limits or ()),
        budget=most.value if most else BUDGET,
        sampler=sampler or SURROGATE,
    )
