"""A run of one's own, trained once in a folder of its own and recorded in MLflow.

FOLDER/run.json     what it was started with, by which it goes on; the rest is a job's folder (`training.record`)
FOLDER/error.txt    the traceback of a failure
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from workbench.core.errors import DataFault, Refused, one_line
from workbench.core.files import locked_folder, write_whole
from workbench.core.home import runs_folder
from workbench.core.torchrun import launched
from workbench.data.datasets.checking import DataReport, data_report
from workbench.data.datasets.folder import open_dataset
from workbench.data.synthetic.dataset import SyntheticScenes, cache_name
from workbench.experiments.own_job import OwnJob, own_job
from workbench.experiments.protocols import protocol_named
from workbench.experiments.run_folders import JOB_FILE, RESULT_FILE
from workbench.experiments.subject import Subject
from workbench.experiments.tracking import MlflowRecord
from workbench.models.initial import Initialised, initialise, keep_start_weights
from workbench.models.job import Job
from workbench.models.network import Network
from workbench.models.weight_file import job_in
from workbench.study import PlannedJob
from workbench.training.machine import Machine, machine_on
from workbench.training.record import Progress, Result, arithmetic, read_losses
from workbench.training.run import check_ranks, kept_state, run, silent
from workbench.training.rung import CHECKPOINT

RUN_FILE = "run.json"
EXPERIMENT = "own runs"
ENOUGH_STEPS = 500  # below it a nano network on 40 images finds nobody: 30 gave AP 0, 1,000 gave 67
_SHOWN = ("protocol.epochs", "protocol.batch", "protocol.size", "recipe.lr")  # parameters in MLflow


@dataclass(frozen=True)
class Begun:
    """A run that has a folder.

    Fields:
        threads: of the CPU; other ones give other last bits.
    """

    own: OwnJob
    folder: Path
    threads: int

    @property
    def epoch(self) -> int:
        """The last epoch that is kept."""
        return int(max((line["epoch"] for line in read_losses(self.folder)), default=0))

    @property
    def complete(self) -> bool:
        return (self.folder / RESULT_FILE).is_file()


def begin(own: OwnJob, folder: Path) -> Begun:
    """Makes the folder of a run and writes what it is started with. The folder of the same run is taken as it stands.

    Raises:
        Refused: the folder holds something else.
    """
    if (folder / RUN_FILE).is_file():
        if (there := begun_in(folder)).own.job == own.job:
            return replace(there, own=own)
        raise Refused(f"{folder} holds another run ({there.own.name}, job {there.own.job.key}); name another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there and holds something else; name a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (
            (JOB_FILE, own.job.to_dict(defaults=True)),
            (RUN_FILE, _as_data(own, torch.get_num_threads())),
        ):
            with write_whole(folder / name) as part:
                part.write_text(json.dumps(content, indent=1), "utf-8")
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}; name a folder that can be written to") from None
    return Begun(own, folder, torch.get_num_threads())


def _as_data(own: OwnJob, threads: int) -> dict[str, Any]:
    data = None if own.data is None else str(own.data)
    return {"name": own.name, "protocol": own.protocol, "data": data, "threads": threads}


def begun_in(folder: Path, data: Path | None = None) -> Begun:
    """The run that a folder holds.

    Args:
        data: the folder of its data set, where that has been moved.

    Raises:
        Refused: it holds none.
    """
    if not (folder / RUN_FILE).is_file() or not (folder / JOB_FILE).is_file():
        raise Refused(f"{folder} holds no {RUN_FILE}; expected the folder of a run that `workbench train` began")
    try:
        said = json.loads((folder / RUN_FILE).read_text("utf-8"))
        name, protocol, known, threads = (said[key] for key in ("name", "protocol", "data", "threads"))
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{folder / RUN_FILE}: it is damaged ({one_line(error)}); begin anew in another folder") from None
    return Begun(OwnJob(name, protocol, job_in(folder), data or (Path(known) if known else None)), folder, threads)


def name_of_run(folder: Path) -> str:
    """The name of the network that a run of one's own trains, as it was begun with; "" where that is not known."""
    try:
        return str(json.loads((folder / RUN_FILE).read_text("utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def check_data(folder: Path) -> DataReport:
    """Looks at a data set whole, before the first step.

    Raises:
        DataFault: what is wrong with it, all of it.
    """
    found = data_report(folder)
    if not found.fit:
        raise DataFault(
            f"{folder} cannot be trained or judged on; correct it first:"
            + "".join(f"\n  {one}" for one in found.findings)
        )
    return found


def check_steps(own: OwnJob) -> None:
    """Refuses a run whose images do not make one batch, before it has a folder.

    Raises:
        Refused: the message says which batch they make.
    """
    protocol, count = own.job.protocol, _images_of_epoch(own)
    if count < protocol.batch // protocol.accumulate:
        raise Refused(
            f"batch {protocol.batch}: there are {count} images to train on in an epoch, which make no batch; add "
            f"--batch {max(1, count // 2)} or the like"
        )


def few_steps(own: OwnJob) -> str:
    """What to do where a run on a data set has too few steps for random weights; "" where it has enough."""
    protocol, count = own.job.protocol, _images_of_epoch(own)
    steps = protocol.last * (count // protocol.batch)
    if own.data is None or own.protocol == "smoke" or own.job.start.weights or steps >= ENOUGH_STEPS:
        return ""
    return (
        f"{steps:,} steps in all, with {count:,} images in batches of {protocol.batch}: too few to learn from scratch, "
        f"which takes {ENOUGH_STEPS:,} and more; give more --epochs, a smaller --batch, or --init FILE"
    )


def _images_of_epoch(own: OwnJob) -> int:
    protocol = own.job.protocol
    return protocol.epoch_images or protocol.images or len(open_dataset(own.data, "train") if own.data else ())


def machine_for(begun: Begun, machine: Machine) -> Machine:
    """The machine as a run goes on on it: in the precision of its checkpoint, where it has one.

    Raises:
        Refused: this version computes otherwise, so that what is kept could not be gone on with; or it is damaged.
    """
    path = begun.folder / CHECKPOINT
    if not path.exists():
        return machine
    try:
        kept = str(kept_state(path, mapped=True).get("arithmetic", ""))
    except Refused as error:
        raise Refused(
            f"{error}, and no earlier one is kept; delete it to train from the start again, or put an intact copy in "
            "its place"
        ) from error
    like = replace(machine, bf16=kept.startswith("bf16"))
    if not kept.startswith(arithmetic(like.precision)):
        raise Refused(
            f"{begun.folder}: its checkpoint was computed in {kept or 'an unknown way'}, this version computes in "
            f"{arithmetic(like.precision)}, and half of each is neither; begin anew in another folder"
        )
    return like


def draws_scenes(job: Job, home: Path) -> bool:
    """Whether the embedded scenes of a job are still to be drawn, which takes minutes where there are many."""
    if not (level := job.protocol.scenes):
        return False
    wanted = SyntheticScenes(level, job.protocol.size[0], count=job.protocol.images, start=job.protocol.first_image)
    return not (home / "data" / cache_name(wanted)).exists()


def train_begun(begun: Begun, machine: Machine, home: Path, tell: Callable[[Progress], None] = silent) -> Result:
    """Trains a run to its end, from its checkpoint where there is one. A complete one is only read.

    Raises:
        Refused: its data set does not fit any more, the machine can not share its batch, or as `machine_for`.
    """
    torch.set_num_threads(begun.threads)
    with locked_folder(begun.folder):
        return run(begun.own.job, machine_for(begun, machine), home, begun.own.data, tell, folder=begun.folder)


def record_run(begun: Begun, result: Result, home: Path) -> str:
    """Records a complete run in MLflow, once; gives its number there."""
    own, folder = begun.own, begun.folder.resolve()
    settings = dict(own.job.flat())
    shown = {path: str(settings[path]) for path in _SHOWN}
    subject = Subject(
        home,
        EXPERIMENT,
        "What does one network reach?",
        "workbench train",
        protocol_named(own.protocol),
        "none",
        lambda _: {"network": own.name, "data": own.job.protocol.data, **shown},
        lambda _: {"folder": str(folder)},
    )
    planned = PlannedJob(own.name, own.job.seed, "", own.job)
    return MlflowRecord(subject).record(planned, result.metrics, result.curve, result.tags, result.folder)


def train_network(
    network: str,
    folder: Path | str,
    *,
    data: Path | str | None = None,
    protocol: str | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    size: int | None = None,
    seed: int = 0,
    changes: Mapping[str, Any] | None = None,
    device: str = "",
    init: str | Path | None = None,
    leftover: bool = False,
    tell: Callable[[Progress], None] = silent,
) -> Result:
    """Trains one network and records it, as `workbench train` does. Called again, it goes on where it was stopped, and
    a complete run is only read.

    Args:
        network: a preset's name, as "nano" or "rtmo-s", or "STUDY:ROW".
        folder: of the run: new, or that of the same run.
        data: the folder of a data set, which is checked first; None for the embedded scenes.
        protocol: whose settings are the start; None for a sensible one.
        epochs, batch, size: in place of the protocol's; size is the side of the input, in pixels.
        changes: of the job, by dotted path, as {"recipe.lr": 0.002}.
        device: "cpu" or "cuda"; "" for what there is.
        init: weights to begin with as far as they fit; leftover: leave what does not. See `models.initial.initialise`.
        tell: is given the progress about once a second.

    Raises:
        Refused: something that was given does not fit, or a data set with faults: all of them are said.
    """
    if launched() is not None:
        raise Refused("torchrun shares the command among processes: torchrun --nproc-per-node N -m workbench train ...")
    where = None if data is None else Path(data)
    made = {**settings_of_run(epochs, batch, size), **(changes or {})}
    own = own_job(network, data=where, protocol=protocol, seed=seed, changes=made)
    machine, home = machine_on(device), runs_folder()
    check_ranks(own.job, machine.ranks)
    if init is not None:
        own, _ = with_weights(own, init, leftover, home)
    if where is not None:
        check_data(where)
    check_steps(own)
    begun = begin(own, Path(folder))
    result = train_begun(begun, machine, home, tell)
    record_run(begun, result, home)
    return result


def with_weights(own: OwnJob, source: str | Path, leftover: bool, home: Path) -> tuple[OwnJob, Initialised]:
    """The run, to be begun with what fits of a file of weights, and what that is.

    Args:
        source, leftover: see `models.initial.initialise`. home: keeps a copy of the file.

    Raises:
        Refused: see there.
    """
    found = initialise(Network(own.job.variant, own.job.seed), source, leftover)
    return replace(own, job=own.job.vary({"start.weights": keep_start_weights(source, home)})), found


def settings_of_run(epochs: int | None, batch: int | None, size: int | None) -> dict[str, Any]:
    """These as changes of a job, by dotted path; what is None is left out."""
    sides = None if size is None else (size, size)
    made = {"protocol.epochs": epochs, "protocol.batch": batch, "protocol.size": sides}
    return {path: value for path, value in made.items() if value is not None}
