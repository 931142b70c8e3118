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
    TrunkFile,
    whole_number,
)
from workbench.cli.study_runs import check_recorded, check_words, run_to_look_at

gallery_commands = typer.Typer()


@gallery_commands.command("gallery", cls=Command, epilog="Example: workbench gallery ablate_dcc --protocol smoke")
def gallery_command(
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
    trunk: TrunkFile = None,
    images: Annotated[
        int, typer.Option("--images", metavar="N", parser=whole_number(1), help="How many are shown")
    ] = 60,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE.html", help="The page (default: beside the runs)")
    ] = None,
) -> int:
    """Write a page with what each row of a study finds, with filters. It takes options as the study was given them."""
    check_words(name, sets)
    check_recorded("gallery", name, protocol)
    from workbench.core.files import write_whole
    from workbench.report.gallery import gallery
    from workbench.report.gallery_page import gallery_page

    run = run_to_look_at("gallery", name, protocol, data, sets, seeds, first_seed, trunk)
    path = out or run.home / "galleries" / f"{run.stem}.html"
    page = gallery_page(gallery(run, images))
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as part:
        part.write_text(page, "utf-8")
    print(path)
    return 0
