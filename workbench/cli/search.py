"""`workbench search`: what is done with a search that was run, and with one trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import Command, DataFolder, ProtocolName, Sets, StudyName
from workbench.cli.sizes import sizes_command

search_verbs = typer.Typer(
    help="The front of a search, search front NAME; sizes of a network, search sizes CHECKPOINT."
)
search_verbs.command("sizes", cls=Command, epilog="Example: workbench search sizes runs/jobs/KEY --sizes 64,96,128")(
    sizes_command
)


@search_verbs.command("front", cls=Command, epilog="Example: workbench search front search_rtmo")
def front_command(
    ctx: typer.Context,
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    sets: Sets = None,
    as_study: Annotated[
        Path | None, typer.Option("--as-study", metavar="FILE", help="Write it as a study, to studies/NAME.py")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there")] = False,
) -> int:
    """Show the front of a search, or write it as a study: a row per network, a claim per pair of neighbours."""
    from workbench.cli.searches import planned
    from workbench.core.errors import Refused
    from workbench.experiments.protocols import protocol_named
    from workbench.experiments.search import chosen_front
    from workbench.space import Search
    from workbench.study import find_study

    asked = find_study(name)
    if not isinstance(asked, Search):
        raise Refused(f"search front {name}: it is a study with rows of its own, and no search")
    under = protocol_named(protocol or asked.default)
    run = planned(ctx, asked, under, data, sets, None, None, None, reads=True)
    if as_study is None:
        if force:
            raise Refused("--force: it is for --as-study; add that, or leave --force out")
        return chosen_front.show_front(run)
    print(chosen_front.write_study(run, as_study, force))
    return 0
