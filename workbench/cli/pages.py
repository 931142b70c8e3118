"""`workbench report`, `ui` and `dashboard`: what is recorded, as pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.options import (
    Change,
    Command,
    DataFolder,
    FilesAddress,
    FirstSeed,
    ProtocolName,
    Seeds,
    Sets,
    StudyName,
    TrunkFile,
    refuse_options_but,
    runs_folder,
    use_files,
    whole_number,
)
from workbench.cli.searches import planned
from workbench.cli.study_runs import asked_study, check_words, recorded_run, run_to_look_at
from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.space import Search
    from workbench.study import Study, StudyProtocol, TimingStudy

page_commands = typer.Typer()

_Port = Annotated[
    int, typer.Option("--port", metavar="N", parser=whole_number(1, 65535), help="Of the address in the browser")
]


@page_commands.command("report", cls=Command, epilog="Example: workbench report ablate_dcc --protocol laptop")
def report_command(
    ctx: typer.Context,
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
    claims_only: Annotated[
        bool, typer.Option("--claims-only", help="Write the file of claims and no page: enough of a repeat")
    ] = False,
    trunk: TrunkFile = None,
    files: FilesAddress = None,
) -> int:
    """Write a study's report from its recorded numbers. It takes --data and --set as the study was given them. With
    --trunk it lies beside the runs, as a page of your own."""
    check_words(name, sets)
    use_files(files)
    from workbench.study import Study

    asked, under = asked_study(name, protocol)
    if trunk is not None and isinstance(asked, Study):
        from workbench.report.own_page import write_own_page

        if claims_only:
            raise Refused(
                "--claims-only: only repeats of a study without --trunk are read from such files; leave it out"
            )
        paths = write_own_page(run_to_look_at("report", name, protocol, data, sets, seeds, first_seed, trunk))
    else:
        paths = _written(ctx, asked, under, data, sets, seeds, first_seed, claims_only)
    for path in paths:
        print(path)
    return 0


def _written(
    ctx: typer.Context,
    asked: Study | TimingStudy | Search,
    under: StudyProtocol,
    data: Path | None,
    sets: list[Change] | None,
    seeds: int | None,
    first_seed: int,
    claims_only: bool,
) -> list[Path]:
    """The files that are written in the current folder.

    Raises:
        Refused: an option that goes with no page of this kind, nothing is trained, or the folder can not be written.
    """
    from workbench.core.files import check_writable
    from workbench.experiments.project import add_notebooks
    from workbench.report.index import write_index
    from workbench.report.pieces import RENDERED
    from workbench.report.render import write_profile, write_report
    from workbench.space import Search
    from workbench.study import TimingStudy

    check_writable(Path("reports"))  # before what takes a minute
    add_notebooks(Path("reports"))  # where studies of one's own lie there may be none
    if isinstance(asked, Search):
        from workbench.report.search_render import write_search

        paths = write_search(planned(ctx, asked, under, data, sets, None, None, None, reads=True))
    elif isinstance(asked, TimingStudy):
        refuse_options_but(ctx, (), f"report {asked.name}: its numbers are those of its last measurement")
        paths = write_profile(asked)
    elif not under.trains:
        raise Refused(
            f"report {asked.name}, {under.name}: costs have no page of their own, they stand in those of protocols "
            f"that train; use --protocol {asked.default}"
        )
    elif claims_only:
        from workbench.report.record import write_claims

        return [write_claims(recorded_run(asked, under, data, sets, seeds, first_seed))]
    else:
        paths = write_report(recorded_run(asked, under, data, sets, seeds, first_seed))
    return [*paths, write_index(RENDERED)]


@page_commands.command("ui", cls=Command, epilog="Example: workbench ui --port 5001")
def ui_command(
    port: _Port = 5000,
) -> int:
    """Show the recorded runs in a browser. Only this machine can see it; Ctrl+C ends it."""
    from workbench.experiments import mlflow_pages, tracking

    if (server := tracking.given_record()).startswith("http"):
        print(f"{server} shows the runs")
        return 0
    return mlflow_pages.ui(runs_folder(), port)


@page_commands.command("dashboard", cls=Command, epilog="Example: workbench dashboard --port 8081")
def dashboard_command(
    port: _Port = 8080,
) -> int:
    """Show the candidates of searches in optuna-dashboard. Only this machine can see it; Ctrl+C ends it."""
    from workbench.experiments.search import dashboard

    return dashboard.serve_dashboard(runs_folder(False), port)
