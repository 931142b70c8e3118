"""A file of weights, whoever wrote it: the tensors under their published names, and what it says of its network.

Read are files of mmengine, Focoos, Lightning and of torch programs at large, ours, and the folder of a job. A file that
this program writes names its network in its header; one in the folder of a job has the job beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from workbench.core.errors import Refused, one_line
from workbench.core.files import write_whole
from workbench.core.spec import from_dict
from workbench.core.weights import Weights, fetched, placed_tensors, read_weights
from workbench.models import catalog
from workbench.models.job import Job
from workbench.models.variant import Variant
from workbench.models.weight_names import FOCOOS_SIGMAS, SIGMAS, Names, names_of, published_name

ANCHOR = "backbone.stem.conv.conv.weight"  # in every released model: what stands before it, stands before all
OF_A_JOB = ("weights.safetensors", "checkpoint.pt", "state.pt")  # files of weights in the folder of a job
_WRAPPERS = ("module", "_orig_mod", "ema_model")
_VARIANT, _SIZE, _SIGMAS = "workbench.variant", "workbench.size", "workbench.sigmas"  # of the header of a file of ours


@dataclass(frozen=True)
class WeightFile:
    """Weights as a file has them.

    Fields:
        source: the file or the folder as it was named; path: the file that was read.
        names: whose names they have in the file; prefix: what stands there before all of them, as "module.".
        tensors: the network's, under their published names, with mmpose's name for the constants of OKS.
        place: the keys that lead to them; beside: what the file holds besides, in words by key.
        others: names of tensors beside the network's, such as a counter or a metric's.
        job: the training, of a file in the folder of a job.
        variant, size: what the file itself says of its network, and of the height and width of its input.
        keypoints: the names of the key points, where the file has them.
    """

    source: str
    path: Path
    names: Names
    tensors: Weights
    place: tuple[str, ...] = ()
    prefix: str = ""
    others: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    job: Job | None = None
    variant: Variant | None = None
    size: tuple[int, int] | None = None
    keypoints: tuple[str, ...] = ()


def read_weight_file(source: str | Path, sha256: str = "") -> WeightFile:
    """Reads a file of weights: .pth and its like, .safetensors or .npz; a path or an address, or the folder of a job.

    Args:
        sha256: expected digest of the file or its first digits, hexadecimal; "" does not check.

    Raises:
        Refused: no such file, or none with named tensors that can be read safely; a folder without a complete job.
    """
    path = fetched(str(_of_folder(Path(source)) if Path(source).is_dir() else source), sha256)
    data = read_weights(str(path), "weights")
    placed = placed_tensors(data, str(source))
    bare, prefix = _without_wrapper(placed.tensors)
    names = names_of(bare.values())
    beside = {key: value for key, value in data.items() if key not in (*placed.place[:1], *placed.tensors)}
    about = _header(path)
    tensors = {_published(bare[name], names): value for name, value in placed.tensors.items() if name in bare}
    return WeightFile(
        source=str(source),
        path=path,
        names=names,
        tensors=_header_sigmas(about) | tensors,
        place=placed.place,
        prefix=prefix,
        others=tuple(name for name in placed.tensors if name not in bare),
        beside={str(key): _in_words(value) for key, value in beside.items()},
        job=_job_beside(path),
        variant=_header_variant(about),
        size=_header_size(about),
        keypoints=_keypoint_names(data),
    )


def job_in(folder: Path) -> Job:
    """The job of a folder of the runs.

    Raises:
        Refused: there is none, the file is damaged, or another version of the package wrote it, which has other parts.
    """
    path = folder / "job.json"
    if not path.is_file():
        raise Refused(f"{folder}: no job.json; expected the folder of a complete job")
    try:
        data = json.loads(path.read_text("utf-8"))
        job = from_dict(data, catalog.spec_types())
    except Refused as error:
        raise Refused(f"{path}: {error}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{path}: it is damaged ({one_line(error)})") from None
    if not isinstance(job, Job):
        raise Refused(f"{path} holds a {type(job).__name__}; expected a Job")
    return job


def write_weight_file(path: Path, tensors: Weights, variant: Variant, size: tuple[int, int], sigmas: Tensor) -> None:
    """Writes a file of ours, which says whose weights it holds.

    Args:
        tensors: under our names; size: height and width of the input; sigmas: the constants of OKS, as the file that
            the weights are from has them.
    """
    header = {
        _VARIANT: json.dumps(variant.to_dict(defaults=True)),
        _SIZE: json.dumps(size),
        _SIGMAS: json.dumps([str(sigmas.dtype).removeprefix("torch."), sigmas.tolist()]),
    }
    with write_whole(path) as part:
        part.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}, header))


def _of_folder(folder: Path) -> Path:
    missing = [name for name in ("job.json", OF_A_JOB[0]) if not (folder / name).is_file()]
    if missing:
        raise Refused(f"{folder}: no {' and no '.join(missing)}; expected the folder of a complete job")
    return folder / OF_A_JOB[0]


def _without_wrapper(state: Iterable[str]) -> tuple[dict[str, str], str]:
    """The names of the network's tensors, each with what it is without the words of wrappers: parallel, compiled,
    averaging ones, a whole training program; and what stood before all of them.

    What such a program keeps beside the network is left out: buffers of its metrics, a counter of steps, and the
    weights themselves where their average is there.
    """
    bare = {name: ".".join(word for word in name.split(".") if word not in _WRAPPERS) for name in state}
    averages = {name: word for name, word in bare.items() if _of_average(name)}
    if any(word.endswith(ANCHOR) for word in averages.values()):
        bare = averages
    if len(set(bare.values())) < len(bare):  # two parts of one program
        return {name: name for name in bare}, ""
    heads = {name.removesuffix(ANCHOR) for name in bare.values() if name.endswith(ANCHOR)}
    if len(heads) != 1:
        return bare, _common(bare)
    (head,) = heads
    kept = {name: bare[name].removeprefix(head) for name in bare if bare[name].startswith(head)}
    kept = {name: word for name, word in kept.items() if word != "steps"}
    return kept, _common(kept)


def _of_average(name: str) -> bool:
    """Whether a name is of an average that a training program keeps beside the weights, as `ema_model.`."""
    return any("ema" in word.split("_") for word in name.split("."))


def _common(bare: Mapping[str, str]) -> str:
    """What the names in a file have before the bare ones; "" where it is not the same for all."""
    found = {name.removesuffix(word) if name.endswith(word) else "" for name, word in bare.items()}
    return found.pop() if len(found) == 1 else ""


def _published(name: str, names: Names) -> str:
    return published_name(name) if names == "workbench" else SIGMAS if name == FOCOOS_SIGMAS else name


def _job_beside(path: Path) -> Job | None:
    return job_in(path.parent) if path.name in OF_A_JOB and (path.parent / "job.json").is_file() else None


def _header(path: Path) -> Mapping[str, str]:
    if path.suffix != ".safetensors":
        return {}
    with safe_open(path, "pt") as file:
        return file.metadata() or {}


def _header_variant(header: Mapping[str, str]) -> Variant | None:
    if _VARIANT not in header:
        return None
    variant = from_dict(json.loads(header[_VARIANT]), catalog.spec_types())
    assert isinstance(variant, Variant)
    return variant


def _header_size(header: Mapping[str, str]) -> tuple[int, int] | None:
    height, width = json.loads(header.get(_SIZE, "[0, 0]"))
    return (height, width) if height else None


def _header_sigmas(header: Mapping[str, str]) -> Weights:
    if _SIGMAS not in header:
        return {}
    dtype, values = json.loads(header[_SIGMAS])
    return {SIGMAS: torch.tensor(values, dtype=getattr(torch, dtype))}


def _keypoint_names(data: Any) -> tuple[str, ...]:
    """Those of the data set that mmengine keeps with the weights."""
    named = data
    for key in ("meta", "dataset_meta", "keypoint_id2name"):
        named = named.get(key) if isinstance(named, Mapping) else None
    if not isinstance(named, Mapping) or not all(isinstance(key, int) for key in named):
        return ()
    return tuple(str(named[key]) for key in sorted(named))


def _in_words(value: Any) -> str:
    """What stands beside the weights, in a word or two."""
    if isinstance(value, bool | int | float | str):
        return str(value) if len(str(value)) < 60 else "text"
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    tensors = sum(1 for _ in _tensors(value))
    if isinstance(value, Mapping):
        words = ", ".join(map(str, list(value)[:4])) + ", ..." * (len(value) > 4)
        return f"{tensors} tensors" if tensors > 4 else f"{len(value)} entries" + f": {words}" * bool(value)
    if isinstance(value, list | tuple):
        return f"{tensors} tensors" if tensors else f"{len(value)} entries"
    return "nothing" if value is None else "an object of another program, passed over"


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _tensors(inner)
