"""Weights from a file or an address: downloaded once, read safely, matched by name, and all of them."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import torch
from torch import Tensor, nn

from workbench.core.checkpoint import read_checkpoint
from workbench.core.download import LARGEST_SENT, download
from workbench.core.errors import Refused, one_line
from workbench.core.files import make_once

Weights = dict[str, Tensor]
# Where programs put the weights in what they save. An average stands first where it is the one to use: mmengine's own
# is in "state_dict" already and "ema_state_dict" has the others, Focoos' and ours are beside "model".
_PLACES = (
    "state_dict",
    "model_state_dict",
    "ema_state",
    "ema",
    "model",
    "ema_state_dict",
    "module",
    "net",
    "network",
    "weights",
)


class Placed(NamedTuple):
    """The named tensors of a checkpoint, and the keys that lead to them, as ("state_dict",)."""

    tensors: Weights
    place: tuple[str, ...]


def load_into(module: nn.Module, data: Any, source: str, prefix: str = "") -> None:
    """Loads `data`, a checkpoint as it was read from `source`, into `module`; see `fitting`."""
    module.load_state_dict(fitting(data, module, source, prefix))


def fitting(data: Any, module: nn.Module, source: str, prefix: str = "") -> Weights:
    """What a checkpoint (a dict, or one under "state_dict" or "model") has for the names of `module`.

    Names may carry `prefix`; names of other parts are ignored, a missing one is not.

    Raises:
        Refused: no checkpoint, or its names or shapes are not the module's.
    """
    found = as_tensors(data, source)
    ours = module.state_dict()
    inner = {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
    state = inner or found
    wrong = [k for k, v in ours.items() if k not in state or state[k].shape != v.shape]
    if wrong:
        first = f"{wrong[0]}: {_shape(state, wrong[0])} in it, {_shape(ours, wrong[0])} expected"
        raise Refused(f"{source}: {len(wrong)} of {len(ours)} weights do not fit ({first}); pass weights of this size")
    return {k: state[k] for k in ours}


def as_tensors(data: Any, source: str) -> Weights:
    """The named tensors of a checkpoint.

    Raises:
        Refused: there are none.
    """
    return placed_tensors(data, source).tensors


def placed_tensors(data: Any, source: str) -> Placed:
    """As `as_tensors`, with where they stand. Of several places with tensors the first of `_PLACES` is taken.

    Raises:
        Refused: there are none.
    """
    found = _placed(data, ())
    if found is not None:
        _check_numbers(found.tensors, source)
    else:
        there = f"; it has {', '.join(map(str, list(data)[:8]))}" if isinstance(data, Mapping) and data else ""
        raise Refused(f"{source}: holds no named tensors{there}; pass a state dict")
    if odd := [name for name, value in found.tensors.items() if value.layout != torch.strided or value.is_meta]:
        raise Refused(f"{source}: {odd[0]} is sparse or has no values; save dense tensors")
    return found


def _check_numbers(tensors: Weights, source: str) -> None:
    """Refuses what is no weight: every answer of such a network would be that it sees nobody.

    Raises:
        Refused: tensors hold NaN or infinite numbers, or complex ones.
    """
    dense = {name: value for name, value in tensors.items() if value.layout == torch.strided and not value.is_meta}
    complex_ = [name for name, value in dense.items() if value.is_complex()]
    endless = [n for n, v in dense.items() if v.is_floating_point() and not bool(torch.isfinite(v.float()).all())]
    for names, what in ((complex_, "complex numbers"), (endless, "NaN or infinite numbers")):
        if names:
            raise Refused(f"{source}: {len(names)} of {len(tensors)} tensors hold {what}, the first {names[0]}")


def _placed(data: Any, place: tuple[str, ...]) -> Placed | None:
    if not isinstance(data, Mapping):
        return None
    inner = (_placed(data.get(key), (*place, key)) for key in _PLACES)
    here = {name: value for name, value in data.items() if isinstance(value, Tensor) and isinstance(name, str)}
    return next((one for one in inner if one is not None), Placed(here, place) if here else None)


def read_weights(source: str, option: str = "use_pretrained", sha256: str = "") -> Any:
    """A checkpoint: .npz, .safetensors, or a file of torch.save, see `core.checkpoint`.

    Args:
        source: a path or an address, see `fetched`; sha256: as there.
        option: what the message says was given.

    Raises:
        Refused: no such file, or not a checkpoint, or as `fetched`.
    """
    path = fetched(source, sha256)
    if not _is_file(path):
        raise Refused(f"{option}={_shown(source)}: no such file; pass the path of a checkpoint")
    try:
        _check_unpacked(path)
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {k: torch.from_numpy(arrays[k]) for k in arrays.files}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return read_checkpoint(path)
    except Exception as error:  # readers raise whatever they met; to the user it is one thing
        thrown = ""
        if path.parent == _cache():  # else the next call would read it again
            path.unlink(missing_ok=True)
            thrown = "; the download was thrown away"
        raise Refused(
            f"{option}={source!r}: not a checkpoint that can be read safely ({one_line(error)}){thrown}"
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _shown(source: str) -> str:
    return repr(source) if len(source) <= 300 else f"{source[:60]!r}..."


def _check_unpacked(path: Path) -> None:
    """An archive may hold a thousand times what it takes on the disk: torch stores tensors as they are."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(one.file_size for one in archive.infolist())
    if size > max(LARGEST_SENT, 2 * path.stat().st_size):
        raise ValueError(f"{size / 1e6:,.0f} MB packed into {path.stat().st_size / 1e6:,.1f} MB; save it unpacked")


def fetched(source: str, sha256: str = "") -> Path:
    """The file at a path or an http(s) address.

    A download is kept below `$WORKBENCH_CACHE` (`~/.cache/workbench`), written whole or not at all, and within the
    limits of `core.download`. Of several processes that ask at once, one downloads.

    Args:
        sha256: expected digest of the file or its first digits, hexadecimal; "" does not check.

    Raises:
        Refused: it could not be had, or its digest is another.
    """
    if not source.lower().startswith(("http://", "https://")):
        path = Path(source)
    else:
        try:
            path = _cached(source)
            make_once(path, lambda part: _download(source, part, sha256))
        except Refused:
            raise
        except (OSError, ValueError, HTTPException) as error:  # of the network, the address or the disk
            raise Refused(
                f"{source}: could not be downloaded ({one_line(error)}); download it elsewhere and pass its path"
            ) from error
    if sha256 and _is_file(path):
        _check_digest(path, sha256, source, f"delete {path} and get it again")
    return path


def digits_of(values: Iterable[Tensor]) -> torch.dtype | None:
    """The type of half precision that holds all of these numbers to the bit, whatever type they are stored in: a
    program that read such a file may have written it again as float32. None: they have more digits, or are none."""
    numbers = [value for value in values if value.is_floating_point() and value.numel()]
    for kind in (torch.bfloat16, torch.float16):  # the one of fewer digits first
        if numbers and all(torch.equal(value.to(kind).to(value.dtype), value) for value in numbers):
            return kind
    return None


def _cached(address: str) -> Path:
    """Where the download of an address is kept."""
    tag = hashlib.sha256(address.encode()).hexdigest()[:8]  # two addresses may end in the same name
    return _cache() / f"{tag}-{Path(urlsplit(address).path).name[-100:]}"  # a file's name has an end, too


def _cache() -> Path:
    return Path(os.environ.get("WORKBENCH_CACHE", Path.home() / ".cache" / "workbench"))


def _download(address: str, path: Path, sha256: str) -> None:
    with path.open("wb") as file:
        download(address, file)
    if sha256:
        _check_digest(path, sha256, address, "get it elsewhere and pass its path")


def _check_digest(path: Path, sha256: str, source: str, remedy: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256.lower()):
        raise Refused(f"{source}: its sha256 is {found}, expected {sha256}: damaged, or another file; {remedy}")


def _shape(state: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"
