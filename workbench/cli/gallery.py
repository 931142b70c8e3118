"""`workbench gallery`: the rows of a study side by side on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.options import (
    Command,
    DataFolder,
    FirstSeed,
    ProtocolName,
    Seeds,
    Sets,
    StudyName,
    changes_of,
    runs_folder,
    whole_number,
)
from workbench.core.errors import Refused
from workbench.core.study_files import check_study

gallery_commands = typer.Typer()


@gallery_commands.command("gallery", cls=Command, epilog="Example: workbench gallery ablate_dcc --protocol smoke")
def gallery_command(
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
    images: Annotated[
        int, typer.Option("--images", metavar="N", parser=whole_number(1), help="How many are shown")
    ] = 60,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE.html", help="The page (default: beside the runs)")
    ] = None,
) -> int:
    """Write a page with what each row of a study finds, with filters. It takes options as the study was given them."""
    check_study(name)
    changes = changes_of(sets)
    from workbench.core.files import write_whole
    from workbench.experiments.plan import StudyRun
    from workbench.experiments.protocols import protocol_named
    from workbench.report.gallery import gallery
    from workbench.report.gallery_page import gallery_page
    from workbench.study import Study, find_study

    asked = find_study(name)
    if not isinstance(asked, Study):
        raise Refused(f"gallery {name}: it has no rows that are trained; use a study that has")
    under = protocol_named(protocol or asked.default)
    if not under.trains:
        raise Refused(f"gallery {name}: nothing is trained under {under.name}; use --protocol {asked.default}")
    home = runs_folder(False)
    run = StudyRun(asked, under, home, data=data, changes=changes, seeds=seeds, first_seed=first_seed)
    path = out or home / "galleries" / f"{run.stem}.html"
    page = gallery_page(gallery(run, images))
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as part:
        part.write_text(page, "utf-8")
    print(path)
    return 0
