"""From a command's words to the study, the protocol and the run that they mean, for all commands on studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli.options import Change, changes_of, runs_folder
from workbench.core.errors import Refused
from workbench.core.study_files import check_study
from workbench.experiments.kept_plan import PlanPlace
from workbench.experiments.object_store import given_files

if TYPE_CHECKING:
    from workbench.experiments.plan import StudyRun, UntilDecided
    from workbench.space import Search
    from workbench.study import Study, StudyProtocol, TimingStudy


def check_words(name: str, sets: list[Change] | None) -> None:
    """Refuses what is wrong by itself, before anything is imported that takes seconds."""
    check_study(name)
    changes_of(sets)


def check_recorded(command: str, name: str, protocol: str | None) -> None:
    """Refuses to look at complete jobs where there are none, before anything is imported that takes seconds.

    Raises:
        Refused: no job of any study is complete in the home.
    """
    home = runs_folder(False)
    if not given_files() and next((home / "jobs").glob("*/result.json"), None) is None:
        study = f"workbench study {name}" + (f" --protocol {protocol}" if protocol else "")
        raise Refused(f"{command} {name}: no job is complete in {home}; run a study first: {study}")


def asked_study(name: str, protocol: str | None) -> tuple[Study | TimingStudy | Search, StudyProtocol]:
    """The study of that name and the protocol that is asked for."""
    from workbench.experiments.protocols import protocol_named
    from workbench.study import find_study

    asked = find_study(name)
    return asked, protocol_named(protocol or asked.default)


def on_trunk_asked(
    asked: Study, under: StudyProtocol, trunk: str | None, data: Path | None
) -> tuple[Study, StudyProtocol]:
    """Both as they are, or with the trunk of a file of weights.

    Raises:
        Refused: no data set beside it, no such weights, or the study can not stand on them.
    """
    if trunk is None:
        return asked, under
    if data is None:
        raise Refused(f"--trunk {trunk}: its features are of images; add --data FOLDER")
    from workbench.experiments.file_trunk import on_file_trunk

    return on_file_trunk(asked, under, trunk, runs_folder())


def rows_named(asked: Study, text: str) -> tuple[str, ...]:
    """The labels that a text names, commas between them. A label may have commas itself.

    Raises:
        Refused: what is left names no row.
    """
    labels, found, left = [row.label for row in asked.rows], list[str](), text.strip()
    while left:
        begins = [label for label in labels if left == label or left.startswith(f"{label},")]
        if not begins:
            raise Refused(
                f"--rows: {left!r} begins with no row of {asked.name}; there are {labels}, with commas between"
            )
        found.append(max(begins, key=len))
        left = left[len(found[-1]) :].lstrip(", ")
    if not found:
        raise Refused(f"--rows: it names none; {asked.name} has {labels}")
    return tuple(dict.fromkeys(found))


def planned_run(
    asked: Study,
    under: StudyProtocol,
    data: Path | None,
    sets: list[Change] | None,
    seeds: int | None,
    first_seed: int,
    until: UntilDecided | None = None,
    reads: bool = False,
    rows: str | None = None,
) -> StudyRun:
    """The run of a study where jobs are trained; `reads`: the command only looks at it, and makes no folder."""
    from workbench.experiments.plan import StudyRun

    home, changes = runs_folder(not reads), changes_of(sets)
    return StudyRun(
        asked,
        under,
        home,
        data=data,
        changes=changes,
        seeds=seeds,
        first_seed=first_seed,
        until=until,
        rows=() if rows is None else rows_named(asked, rows),
    )


def plan_place(
    name: str,
    protocol: str | None,
    sets: list[Change] | None,
    seeds: int | None,
    first_seed: int,
    rows: str | None,
    *others: Any,
) -> PlanPlace | None:
    """Where the plan of these words is kept; None with other words, by which a plan follows from more than from code.

    Call it before the study is imported.
    """
    if any(other is not None for other in others):
        return None
    words = (protocol, sorted(changes_of(sets).items()), seeds, first_seed, rows)
    return PlanPlace(runs_folder(False), name, words)


def keep_plan(place: PlanPlace | None, run: StudyRun) -> None:
    """Keeps the plan of a run for `study status`, where it has a place."""
    from workbench.study import with_starts

    if place is not None:
        place.keep(run.name, with_starts(run.jobs()))


def recorded_run(
    asked: Study,
    under: StudyProtocol,
    data: Path | None,
    sets: list[Change] | None,
    seeds: int | None,
    first_seed: int,
) -> StudyRun:
    """The run of a study whose complete jobs are looked at: those that other machines have done are brought here.

    Raises:
        Refused: the common files can not be used.
    """
    run = planned_run(asked, under, data, sets, seeds, first_seed, reads=not given_files())
    if given_files():
        from workbench.experiments.runner import bring

        bring(run)
    return run


def run_to_look_at(
    command: str,
    name: str,
    protocol: str | None,
    data: Path | None,
    sets: list[Change] | None,
    seeds: int | None,
    first_seed: int,
    trunk: str | None = None,
) -> StudyRun:
    """The run whose complete jobs a command looks at.

    Raises:
        Refused: the study, or the protocol, trains nothing.
    """
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if not isinstance(asked, Study):
        raise Refused(f"{command} {name}: it has no rows that are trained; use a study that has")
    if not under.trains:
        raise Refused(f"{command} {name}: nothing is trained under {under.name}; use --protocol {asked.default}")
    asked, under = on_trunk_asked(asked, under, trunk, data)
    return recorded_run(asked, under, data, sets, seeds, first_seed)
