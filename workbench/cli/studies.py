"""`workbench study`: the jobs of a study, or of a search, and what becomes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from workbench.cli.options import (
    COUNT,
    Command,
    DataFolder,
    FilesAddress,
    FirstSeed,
    ProtocolName,
    Seeds,
    Sets,
    StoreAddress,
    StudyName,
    TrunkFile,
    completing,
    files_in,
    one_of,
    refuse_options_but,
    runs_folder,
    use_shared,
    whole_number,
)
from workbench.cli.searches import Budget, Limits, Minutes, SamplerName, Then, check_study_options, planned
from workbench.cli.study_runs import (
    asked_study,
    check_words,
    keep_plan,
    on_trunk_asked,
    plan_place,
    planned_run,
    recorded_run,
)
from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.experiments.engines.engine import Engine
    from workbench.experiments.plan import UntilDecided
    from workbench.experiments.profiling import TimingRun
    from workbench.experiments.search.plan import SearchRun
    from workbench.study import Study, StudyProtocol, TimingStudy
    from workbench.training.machine import Machine

RUN = "NAME"  # the command that a study's name stands for


class _StudyGroup(TyperGroup):
    """`study NAME` runs a study; `study VERB NAME` does something else with it."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the verb, or of the run where a name stands in its place."""
        if args and args[0] in self.commands:
            return super().make_context(info_name, args, parent, **extra)
        bare = [word for word in args[:2] if not word.startswith("-")]
        if len(bare) == 2 and not extra.get("resilient_parsing"):  # which is how the shell asks
            verbs = ", ".join(name for name in self.commands if name != RUN)
            raise Refused(f"study {args[0]} {args[1]}: expected NAME, or one of {verbs} and NAME")
        return self.commands[RUN].make_context(info_name, args, parent, **extra)


study_verbs = typer.Typer(cls=_StudyGroup, help="Run a study; or study status|resume|retry|replay|audit NAME.")

Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="decided",
        parser=one_of("until"),
        help="Then add seeds, only to rows with an open claim",
        autocompletion=completing("until"),
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        metavar="N",
        parser=whole_number(0),
        help="Jobs at a time (default: by the machine's cores); 0, with --store, leaves them to other machines",
    ),
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="NAME",
        parser=one_of("engines"),
        help="Where jobs run: local, as processes of this machine, or ray, as tasks of a Ray cluster",
        autocompletion=completing("engines"),
    ),
]
ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        help="Of --engine ray: the head of the cluster that this machine is a node of (default: auto, which finds it)",
    ),
]
RowLabels = Annotated[
    str | None,
    typer.Option("--rows", metavar="ROWS", help='These rows alone, commas between, as in "A,B" (default: all)'),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="A file in studies/, without .py",
        autocompletion=lambda: [*files_in("studies"), "status", "resume", "retry", "replay", "audit"],
    ),
]


@study_verbs.command(
    "retry",
    cls=Command,
    help="Run a study, and try again the jobs that have failed or were refused. A timing study is measured anew.",
    epilog="Example: workbench study retry ablate_dcc",
)
@study_verbs.command(
    "resume",
    cls=Command,
    help="Go on with a study that was stopped; the same as: study NAME.",
    epilog="Example: workbench study resume ablate_dcc",
)
@study_verbs.command(
    RUN,
    cls=Command,
    hidden=True,
    help="Run a study. Jobs that are complete are found and not run again; a job that was cut off goes on.",
    epilog="Also: workbench study status|resume|retry|replay|audit NAME; see workbench study status --help, and so on."
    "\n\nExample: workbench study ablate_dcc --protocol smoke --jobs 2",
)
def run_command(
    ctx: typer.Context,
    name: RunName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    jobs: Jobs = None,
    until: Until = None,
    budget: Budget = None,
    sets: Sets = None,
    limits: Limits = None,
    sampler: SamplerName = None,
    then: Then = None,
    trunk: TrunkFile = None,
    rows: RowLabels = None,
    store: StoreAddress = None,
    files: FilesAddress = None,
    engine: EngineName = "local",
    address: ClusterAddress = None,
) -> int:
    """Runs a study, as `study NAME`, `study resume NAME` and `study retry NAME`."""
    check_words(name, sets)
    use_shared(store, files)
    place = plan_place(name, protocol, sets, seeds, first_seed, rows, data, until, trunk)
    prepare_engine(engine, address)
    from workbench.experiments import profiling, runner
    from workbench.experiments.protocols import protocol_named
    from workbench.space import Search
    from workbench.study import Study

    again = ctx.info_name == "retry"
    asked, under = asked_study(name, protocol)
    if isinstance(asked, Search):
        found = planned(ctx, asked, under, data, sets, budget, limits, sampler)
        return _search(found, jobs, again, protocol_named(then) if then else None, *_engine(engine, address))
    check_study_options(budget, limits, sampler, then)
    _check_budget(until, budget)
    if not isinstance(asked, Study) or not under.trains:
        return profiling.run_timing(_timing(ctx, asked, under), again)
    asked, under = on_trunk_asked(asked, under, trunk, data)
    run = planned_run(asked, under, data, sets, seeds, first_seed, _decided(until, budget), rows=rows)
    keep_plan(place, run)
    if again:
        print(f"{runner.retry(run)} jobs are tried again")
    on, machine = _engine(engine, address)
    code = runner.run_study(run, jobs=jobs, machine=machine, engine=on)
    if code == 0 and asked.costs and not sets and trunk is None:  # of published networks, when no job runs any more
        costs = under if under.name == "smoke" else protocol_named("cost")
        profiling.run_timing(profiling.TimingRun(asked.profile(), costs, run.home))
    return code


def prepare_engine(engine: str, address: str | None) -> None:
    """Begins with an engine, before anything is imported that takes seconds.

    Raises:
        Refused: an address without a cluster, or a cluster that can not be used.
    """
    if engine == "ray":
        from workbench.experiments.engines import ray_cluster

        where = ray_cluster.AUTO if address is None else address
        ray_cluster.check_cluster(where)
        ray_cluster.connect(where)
        return
    if address is not None:
        raise Refused(f"--address {address}: it is that of a Ray cluster; add --engine ray, or leave it out")
    from workbench.core import processes

    processes.prepare()  # imports while we do


def _engine(engine: str, address: str | None) -> tuple[Engine, Machine]:
    """The engine of that name, and what each of its jobs has of a machine, as far as its command can know."""
    from workbench.experiments.engines.engine import LOCAL
    from workbench.training.machine import CPU, this_machine

    if engine != "ray":
        return LOCAL, this_machine()
    from workbench.experiments.engines.ray_cluster import AUTO
    from workbench.experiments.engines.ray_engine import RayEngine

    return RayEngine(AUTO if address is None else address), CPU  # its nodes find out by themselves


def _search(
    run: SearchRun, jobs: int | None, again: bool, then: StudyProtocol | None, engine: Engine, machine: Machine
) -> int:
    """Runs a search and, where it is asked for, its front under a longer protocol."""
    from workbench.experiments.search import longer, rounds

    if then is not None:
        longer.check_longer(run, then)
    code = rounds.run_search(run, jobs=jobs, machine=machine, again=again, engine=engine)
    if then is None or code:
        return code
    return longer.train_on(run, then, jobs=jobs, machine=machine, retried=again, engine=engine)


@study_verbs.command("status", cls=Command, epilog="Example: workbench study status ablate_dcc --protocol laptop")
def status_command(
    ctx: typer.Context,
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    until: Until = None,
    budget: Budget = None,
    sets: Sets = None,
    limits: Limits = None,
    trunk: TrunkFile = None,
    rows: RowLabels = None,
    store: StoreAddress = None,
    files: FilesAddress = None,
) -> int:
    """Show what is planned, running, complete and failed. Exit code 0: all complete, 1: something is missing."""
    check_words(name, sets)
    use_shared(store, files)
    place = plan_place(name, protocol, sets, seeds, first_seed, rows, data, until, budget, limits, trunk)
    if place is not None and (kept := place.read()) is not None:
        from workbench.experiments.states import print_plan

        return print_plan(place.home, kept)
    from workbench.experiments import profiling, runner
    from workbench.space import Search
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if isinstance(asked, Search):
        from workbench.experiments.search import rounds

        return rounds.status(planned(ctx, asked, under, data, sets, budget, limits, None, reads=True))
    check_study_options(budget, limits)
    _check_budget(until, budget)
    if not isinstance(asked, Study) or not under.trains:
        return profiling.print_measured(_timing(ctx, asked, under, reads=True))
    asked, under = on_trunk_asked(asked, under, trunk, data)
    decided = _decided(until, budget)
    run = planned_run(asked, under, data, sets, seeds, first_seed, decided, reads=True, rows=rows)
    keep_plan(place, run)
    return runner.status(run)


@study_verbs.command("replay", cls=Command, epilog="Example: workbench study replay ablate_dcc --protocol laptop")
def replay_command(
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
) -> int:
    """Show what --until decided would have saved of a finished study."""
    check_words(name, sets)
    from workbench.experiments import runner
    from workbench.space import Search
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if isinstance(asked, Search):
        raise Refused(f"study replay {name}: it is a search, whose seeds go to its front; nothing could be saved")
    if not isinstance(asked, Study) or not under.trains:
        raise Refused(f"study replay {name}: nothing is trained under {under.name}, so no seeds could be saved")
    return runner.replay(recorded_run(asked, under, data, sets, seeds, first_seed))


@study_verbs.command("audit", cls=Command, epilog="Example: workbench study audit ablate_dcc --protocol short")
def audit_command(
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    sets: Sets = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            metavar="N",
            parser=COUNT,
            help="Train every row so far, at most to its first change of phase (default: take the weights of complete "
            "jobs, train other rows a few steps, and all to where a coordinate stage becomes a teacher, if it is near)",
        ),
    ] = None,
) -> int:
    """Show what differs between a study's rows besides what they name, and write it for the report."""
    check_words(name, sets)
    from workbench.experiments import audit, audit_table
    from workbench.space import Search
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if isinstance(asked, Search):
        raise Refused(
            f"study audit {name}: it is a search, which has candidates and no rows; audit the study of its front"
        )
    if not isinstance(asked, Study) or not under.trains:
        raise Refused(
            f"study audit {name}: nothing is trained under {under.name}, so there is nothing to audit; "
            "use a study and a protocol that train"
        )
    run = recorded_run(asked, under, data, sets, None, 0)
    lines = audit.audit_study(run, steps)
    audit_table.print_audit(lines)
    print(audit_table.write_audit(run, lines))
    return 0


def _timing(ctx: typer.Context, asked: Study | TimingStudy, under: StudyProtocol, reads: bool = False) -> TimingRun:
    """The run of a study where nothing is trained; `reads` as for `planned_run`.

    Raises:
        Refused: a protocol or an option was given that only training has.
    """
    from workbench.experiments.profiling import TimingRun
    from workbench.study import TimingStudy

    if under.trains and under.name != "smoke":  # which times small networks, to prove that it runs
        raise Refused(
            f"{asked.name}, --protocol {under.name}: it trains, and {asked.name} is only measured; "
            f"use --protocol {asked.default} or smoke"
        )
    refuse_options_but(ctx, ("protocol",), f"{asked.name}, {under.name}: nothing is trained")
    return TimingRun(asked if isinstance(asked, TimingStudy) else asked.profile(), under, runs_folder(not reads))


def _check_budget(until: str | None, budget: int | Minutes | None) -> None:
    if isinstance(budget, int) and until is None:
        raise Refused(f"--budget {budget}: it limits the jobs of --until decided; add that")


def _decided(until: str | None, budget: int | None) -> UntilDecided | None:
    from workbench.experiments.plan import UntilDecided

    return None if until is None else UntilDecided(budget)
