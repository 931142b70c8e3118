"""`workbench register`: the best row of a study as a model that other programs load."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from typing import Annotated

import typer

from workbench.cli.options import Command, DataFolder, FirstSeed, ProtocolName, Seeds, Sets, StudyName
from workbench.cli.study_runs import check_recorded, check_words, run_to_look_at
from workbench.core.errors import Refused

register_commands = typer.Typer()


@register_commands.command("register", cls=Command, epilog="Example: workbench register ablate_dcc --protocol smoke")
def register_command(
    name: StudyName,
    protocol: ProtocolName = None,
    data: DataFolder = None,
    seeds: Seeds = None,
    first_seed: FirstSeed = 0,
    sets: Sets = None,
    row: Annotated[str, typer.Option("--row", metavar="LABEL", help="Another row than the one of the highest AP")] = "",
    model: Annotated[
        str, typer.Option("--as", metavar="MODEL", help="Name of the model (default: that of study and protocol)")
    ] = "",
) -> int:
    """Put the best row of a study into MLflow's model registry, with its ONNX file. Options as the study had them."""
    check_words(name, sets)
    if missing := [package for package in ("onnx", "onnxruntime", "onnxscript") if find_spec(package) is None]:
        raise Refused(f"register: {', '.join(missing)} missing; install rtmo-workbench[onnx]")
    check_recorded("register", name, protocol)
    from workbench.experiments.registry import register_best

    run = run_to_look_at("register", name, protocol, data, sets, seeds, first_seed)
    found = register_best(run, row, model)
    print(f"{found.name} version {found.version}: {found.planned.title}, AP {100 * found.score:.1f}")
    load = shlex.quote(f"import mlflow; mlflow.pyfunc.load_model({json.dumps(found.uri)})")
    print(f"MLFLOW_TRACKING_URI={shlex.quote(found.store)} python -c {load}")
    return 0
