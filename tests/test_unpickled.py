"""Nothing that somebody else made is unpickled: a file that would run something is read, refused or put aside."""

from __future__ import annotations

import ast
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.core.errors import Refused
from workbench.core.weights import read_weights
from workbench.data.synthetic.dataset import SyntheticScenes, cache_name, cached
from workbench.evaluation.records import MatchRecords
from workbench.training.run import kept_state

ROOT = Path(__file__).parents[1]
OWN_READER = ROOT / "workbench/core/checkpoint.py"  # passes over all that is no tensor and no container
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve"}


class Harmful:
    """What, unpickled, makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.made,)


def _checkpoint(folder: Path, one: Harmful) -> None:
    torch.save({"model": {"weight": torch.ones(1)}, "meta": one}, folder / "a.pth")
    read_weights(str(folder / "a.pth"))


def _old_checkpoint(folder: Path, one: Harmful) -> None:
    torch.save({"model": one}, folder / "a.pth", _use_new_zipfile_serialization=False)
    read_weights(str(folder / "a.pth"))


def _plain(folder: Path, one: Harmful) -> None:
    (folder / "a.pkl").write_bytes(pickle.dumps({"model": one}))
    read_weights(str(folder / "a.pkl"))


def _arrays(folder: Path, one: Harmful) -> None:
    np.savez(folder / "a.npz", weight=np.array([one], object))
    read_weights(str(folder / "a.npz"))


def _own_checkpoint(folder: Path, one: Harmful) -> None:
    torch.save({"model": one}, folder / "checkpoint.pt")
    kept_state(folder / "checkpoint.pt")


def _records(folder: Path, one: Harmful) -> None:
    names = MatchRecords.__dataclass_fields__
    np.savez(folder / "records.npz", allow_pickle=True, **{name: np.array([one], object) for name in names})
    MatchRecords.load(folder / "records.npz")


def _images(folder: Path, one: Harmful) -> None:
    scenes = SyntheticScenes("easy", 32, count=2)
    place = folder / cache_name(scenes)
    cached(scenes, folder)
    np.save(place / "images.npy", np.array([one, one], object), allow_pickle=True)
    cached(scenes, folder)[0]


def _labels(folder: Path, one: Harmful) -> None:
    scenes = SyntheticScenes("easy", 32, count=2)
    cached(scenes, folder)
    path = folder / cache_name(scenes) / "labels.npz"
    with np.load(path) as file:
        labels = {name: file[name] for name in file.files}
    np.savez(path, allow_pickle=True, **{**labels, "boxes": np.array([one], object)})
    cached(scenes, folder)[0]


ENTRANCES = [_checkpoint, _old_checkpoint, _plain, _arrays, _own_checkpoint, _records, _images, _labels]


@pytest.mark.parametrize("read", ENTRANCES)
def test_no_file_is_run(read: Callable[[Path, Harmful], None], tmp_path: Path) -> None:
    made = tmp_path / "harm"
    with suppress(Refused):
        read(tmp_path, Harmful(made))
    assert not made.exists()
    pickle.loads(pickle.dumps(Harmful(made)))
    assert made.exists(), "it would have"


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What reads pickles."""
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (f"imports {name}" for name in names if name.partition(".")[0] in PICKLES)
        if not isinstance(node, ast.Call):
            continue
        given = {one.arg: ast.unparse(one.value) for one in node.keywords}
        called = ast.unparse(node.func)
        if called.endswith("read_pickle") or given.get("allow_pickle", "False") != "False":
            yield f"{called} reads pickles"
        if called == "torch.load" and given.get("weights_only") != "True":
            yield "torch.load without weights_only=True"


def test_no_line_of_the_workbench_reads_pickles() -> None:
    files = [*(ROOT / "workbench").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    assert len(files) > 100 and OWN_READER in files
    found = [(file.name, said) for file in files if file != OWN_READER for said in unsafe(ast.parse(file.read_text()))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "np.load(x, allow_pickle=True)",
        "torch.load(x)",
        "torch.load(x, weights_only=False)",
        "pd.read_pickle(x)",
    ],
)
def test_a_line_that_does_is_found(line: str) -> None:
    assert list(unsafe(ast.parse(line)))
