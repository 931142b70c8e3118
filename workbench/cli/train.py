"""`workbench train`: one network, trained once, in a folder of one's own."""

from __future__ import annotations

import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli.names import check_network
from workbench.cli.options import (
    COUNT,
    Change,
    Command,
    DataFolder,
    Sets,
    changes_of,
    completing,
    one_of,
    refuse_options_but,
    runs_folder,
    whole_number,
)
from workbench.cli.printed import print_json, remark
from workbench.cli.progress import ProgressLine
from workbench.core.errors import Refused, one_line
from workbench.core.processes import INTERRUPTED, interruptible
from workbench.core.torchrun import launched

if TYPE_CHECKING:
    from workbench.experiments.own_run import Begun
    from workbench.training.machine import Machine
    from workbench.training.record import Progress, Result

FAILED = 1
ERROR_FILE = "error.txt"
_SHOWN = ("AP", "AP50", "mOKS")
_FILES = {
    "numbers": "result.json",
    "curve": "curve.csv",
    "pictures": "predictions.png",
    "weights": "weights.safetensors",
}

_Name = Annotated[
    str,
    typer.Argument(
        metavar="[NAME]",
        help="Of the network: {networks}, BACKBONE-rtmo, or STUDY:ROW",
        autocompletion=completing("networks"),
    ),
]
_Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Of the run; a new one")]
_Start = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        parser=one_of("whole"),
        help="Whose settings are the start, of {whole} (default: paper for a published network on a data set, the "
        "study's for a row, else laptop)",
        autocompletion=completing("whole"),
    ),
]
_Epochs = Annotated[int | None, typer.Option("--epochs", metavar="N", parser=COUNT, help="Rounds of the data")]
_Batch = Annotated[int | None, typer.Option("--batch", metavar="N", parser=COUNT, help="Images of a step")]
_Size = Annotated[
    int | None, typer.Option("--size", metavar="PIXELS", parser=COUNT, help="Side of the input, a multiple of 32")
]
_Seed = Annotated[int, typer.Option("--seed", metavar="N", parser=whole_number(0), help="Of all that chance does")]
_Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        parser=one_of("devices"),
        help="{devices} (default: all GPUs where there are any)",
        autocompletion=completing("devices"),
    ),
]
_Init = Annotated[
    str | None,
    typer.Option(
        "--init",
        metavar="FILE",
        help="Begin with what fits of a file of weights, a job's folder or a released model, as rtmo-s-coco",
    ),
]
_Leftover = Annotated[
    str | None,
    typer.Option(
        "--init-leftover", metavar="ignore", parser=one_of("leftover"), help="Of --init: leave what fits nowhere"
    ),
]
_Resume = Annotated[
    Path | None, typer.Option("--resume", metavar="FOLDER", help="Go on with the run of that folder; no NAME then")
]
_Json = Annotated[bool, typer.Option("--json", help="Print what came out as JSON")]

run_commands = typer.Typer()


@run_commands.command(
    "train", cls=Command, epilog="Example: workbench train nano --data ../mine --epochs 20 -o runs/first"
)
def train_command(
    ctx: typer.Context,
    name: _Name = "",
    out: _Out = None,
    data: DataFolder = None,
    protocol: _Start = None,
    epochs: _Epochs = None,
    batch: _Batch = None,
    size: _Size = None,
    seed: _Seed = 0,
    sets: Sets = None,
    device: _Device = None,
    init: _Init = None,
    leftover: _Leftover = None,
    resume: _Resume = None,
    as_json: _Json = False,
) -> int:
    """Train one network on a data set of your own, or on embedded scenes.

    Exit code 0: done, 1: failed, 130: interrupted; then --resume goes on, and ends with the same numbers.
    """
    changes = _checked(ctx, name, out, resume, sets)
    if leftover is not None and init is None:
        raise Refused(f"--init-leftover {leftover}: nothing is begun with; add --init FILE")
    folder = resume or out
    assert folder is not None  # else it was refused
    with interruptible() as check:
        try:
            from workbench.experiments.own_run import machine_for, settings_of_run
            from workbench.training.machine import machine_on

            machine = machine_on(device or "")
            if resume is not None:
                begun = _resumed(resume, data, machine)
            else:
                made = changes_of([*map(_change, settings_of_run(epochs, batch, size).items()), *changes])
                weights = None if init is None else (init, leftover is not None)
                begun = _new(name, folder, data, protocol, seed, made, weights, machine)
            return _trained(begun, machine_for(begun, machine), check, as_json)
        except KeyboardInterrupt:
            return _stopped(folder, as_json)


def _checked(
    ctx: typer.Context, name: str, out: Path | None, resume: Path | None, sets: list[Change] | None
) -> list[Change]:
    """What can be told before anything is imported that takes seconds."""
    if resume is not None:
        said = f"--resume {resume}: the run goes on as it was begun"
        if name:
            raise Refused(f"{said}; leave out {name}")
        refuse_options_but(ctx, ("resume", "data", "device", "as_json"), said)
        return []
    if not name:
        raise Refused("no network is given; expected NAME, as in nano, or --resume FOLDER")
    if check_network(name) in ("file", "folder", "onnx"):
        raise Refused(f"{name}: a network is trained by its name; begin with what a file holds: NAME --init {name}")
    if out is None:
        raise Refused(f"no folder is given; add one for the run, as in -o runs/{name.partition(':')[0]}")
    if not ((place := launched()) and place.restarts):  # else it goes on in the folder that it had made
        _check_new(out)
    changes_of(sets)
    return list(sets or ())


def _change(pair: tuple[str, Any]) -> Change:
    return Change(*pair)


def _check_new(folder: Path) -> None:
    if (folder / "run.json").is_file():
        done = (folder / "result.json").is_file()
        again = "it is complete; name another folder" if done else f"go on with it: {_resume_command(folder)}"
        raise Refused(f"-o {folder}: it holds a run already; {again}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"-o {folder}: it is there and not empty; name a new folder")


def _resume_command(folder: Path) -> str:
    return f"workbench train --resume {shlex.quote(str(folder))}"


def _new(
    name: str,
    folder: Path,
    data: Path | None,
    protocol: str | None,
    seed: int,
    changes: Mapping[str, Any],
    weights: tuple[str, bool] | None,
    machine: Machine,
) -> Begun:
    from workbench.experiments.own_job import own_job
    from workbench.experiments.own_run import begin, check_steps, few_steps, with_weights
    from workbench.training.run import check_ranks

    own = own_job(name, data=data, protocol=protocol, seed=seed, changes=changes)
    check_ranks(own.job, machine.ranks)
    if own.said:
        remark(own.said)
    if weights is not None:
        own, found = with_weights(own, *weights, runs_folder())
        remark(f"{weights[0]}: " + "; ".join(found.lines()))
    _look_at(data)
    check_steps(own)
    if hint := few_steps(own):
        remark(hint)
    return begin(own, folder)


def _resumed(folder: Path, data: Path | None, machine: Machine) -> Begun:
    from workbench.experiments.own_run import begun_in
    from workbench.training.run import check_ranks

    begun = begun_in(folder, data)
    if not begun.complete:
        check_ranks(begun.own.job, machine.ranks)
        _look_at(begun.own.data)
    return begun


def _look_at(data: Path | None) -> None:
    if data is not None:
        from workbench.experiments.own_run import check_data

        for one in check_data(data).put_right:
            remark(f"noted: {one}")


def _trained(begun: Begun, machine: Machine, check: Callable[[], None], as_json: bool) -> int:
    """Trains, and says what came out."""
    from workbench.experiments.own_run import draws_scenes, train_begun

    if not begun.complete:
        remark(_begins(begun, machine))
        if draws_scenes(begun.own.job, runs_folder()):
            remark(f"{begun.own.job.protocol.images:,} scenes are drawn first, once")
    line = ProgressLine(sys.stderr.isatty())

    def tell(progress: Progress) -> None:
        check()
        line(progress)

    try:
        with line:
            here = machine.ranks == 1 or launched() is not None
            result = train_begun(begun, machine, runs_folder(), tell if here else line)
    except Refused:
        raise
    except Exception as error:
        return _failed(begun, error, as_json)
    (begun.folder / ERROR_FILE).unlink(missing_ok=True)
    return _done(begun, result, as_json)


def _begins(begun: Begun, machine: Machine) -> str:
    own, protocol = begun.own, begun.own.job.protocol
    augment = protocol.augment if isinstance(protocol.augment, str) else "of its own"
    return (
        f"{own.name}, protocol {own.protocol}: {protocol.last} epochs of {protocol.data} at {protocol.size[0]} x "
        f"{protocol.size[1]}, batch {protocol.batch}, augmentation {augment}, seed {own.job.seed}, on {machine.device} "
        f"in {machine.precision}" + f"; goes on after epoch {begun.epoch}" * bool(begun.epoch)
    )


def _done(begun: Begun, result: Result, as_json: bool) -> int:
    from workbench.evaluation.metrics import METRICS

    run_id, why = _recorded(begun, result)
    folder = shlex.quote(str(begun.folder))
    weights_file = shlex.quote(f"{begun.folder}.onnx")
    following = [f"workbench predict {folder} photo.jpg", f"workbench deploy {folder} -o {weights_file}"]
    files = {what: str(begun.folder / file) for what, file in _FILES.items()}
    if as_json:
        print_json(
            {
                "state": "complete",
                "folder": str(begun.folder),
                "key": result.key,
                "epochs": begun.own.job.protocol.last,
                "metrics": result.metrics,
                "tags": result.tags,
                "files": files,
                "mlflow": run_id,
                "not_recorded": why,
                "next": following,
            }
        )
        return 0
    known = [name for name in _SHOWN if name in result.metrics]
    shown = ", ".join(f"{name} {METRICS[name].text(result.metrics[name])} %" for name in known)
    precision = f", in {result.tags['precision']}" if "precision" in result.tags else ""
    print(f"done: {shown} after {begun.own.job.protocol.last} epochs{precision}")
    for what, file in files.items():
        print(f"  {what:9} {file}")
    print(f"  {'MLflow':9} {f'run {run_id}; workbench ui shows it' if run_id else why}")
    print("next: " + "\n      ".join(following))
    return 0


def _recorded(begun: Begun, result: Result) -> tuple[str, str]:
    """The run's number in MLflow; or "" and why there is none: the result itself is safe."""
    from workbench.experiments.own_run import record_run

    try:
        return record_run(begun, result, runs_folder()), ""
    except Exception as error:
        return "", f"not recorded: {one_line(error)}; try again with {_resume_command(begun.folder)}"


def _failed(begun: Begun, error: Exception, as_json: bool) -> int:
    (begun.folder / ERROR_FILE).write_text(traceback.format_exc(), "utf-8")
    reason, epoch, again = one_line(error), begun.epoch, _resume_command(begun.folder)
    if as_json:
        print_json({"state": "failed", "folder": str(begun.folder), "reason": reason, "epoch": epoch, "resume": again})
    remark(
        f"failed after epoch {epoch} of {begun.own.job.protocol.last}: {reason}\n"
        f"  all of it: {begun.folder / ERROR_FILE}\n  to try again from there: {again}"
    )
    return FAILED


def _stopped(folder: Path, as_json: bool) -> int:
    from workbench.experiments.own_run import RUN_FILE, begun_in

    begun = begun_in(folder) if (folder / RUN_FILE).is_file() else None
    again = "" if begun is None else _resume_command(folder)
    epoch = 0 if begun is None else begun.epoch
    if as_json:
        print_json({"state": "interrupted", "folder": str(folder), "epoch": epoch, "resume": again})
    if begun is None:
        remark("stopped before anything was trained")
    else:
        remark(f"stopped; {epoch} of {begun.own.job.protocol.last} epochs are kept; go on with: {again}")
    return INTERRUPTED
