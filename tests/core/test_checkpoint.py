"""Checkpoints of other programs: tensors, arrays and containers come back, all else is passed over and not run."""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from workbench.core.checkpoint import PassedOver, read_checkpoint

old = pytest.mark.parametrize("old", [False, True], ids=["zip", "before torch 1.6"])
protocols = pytest.mark.parametrize("protocol", [2, 4, 5])


def again(folder: Path, content: Any, old: bool = False, protocol: int = 2) -> Any:
    """What is read of what was saved."""
    torch.save(content, folder / "a.pth", pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
    return read_checkpoint(folder / "a.pth")


class Foreign:
    """A class of another program, with what such objects have: attributes, and the methods of a container."""

    def __init__(self) -> None:
        self.rate = 0.1


class ForeignList(list[int]):
    pass


class ForeignDict(dict[str, int]):
    pass


class ForeignSet(set[int]):
    pass


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("harm done",))


@old
def test_foreign_objects_are_passed_over_and_their_module_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    (tmp_path / "foreign_program.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    foreign = ModuleType("foreign_program")
    monkeypatch.setitem(sys.modules, foreign.__name__, foreign)
    kinds = (Foreign, ForeignList, ForeignDict, ForeignSet)
    for kind in kinds:
        monkeypatch.setattr(kind, "__module__", foreign.__name__)
        setattr(foreign, kind.__name__, kind)
    given = [Foreign(), ForeignList([1, 2]), ForeignDict(a=1), ForeignSet([3]), Foreign]
    torch.save({"given": given, "weight": torch.ones(2)}, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    monkeypatch.delitem(sys.modules, foreign.__name__)
    found = read_checkpoint(tmp_path / "a.pth")
    assert torch.equal(found["weight"], torch.ones(2))
    assert all(isinstance(one, PassedOver) and not vars(one) for one in found["given"][:4])
    assert found["given"][4] is PassedOver
    assert foreign.__name__ not in sys.modules


@old
def test_code_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], old: bool) -> None:
    found = again(tmp_path, {"meta": Harmful(), "weight": torch.ones(2)}, old)
    assert isinstance(found["meta"], PassedOver) and torch.equal(found["weight"], torch.ones(2))
    assert "harm" not in capsys.readouterr().out


ARRAYS: dict[str, Any] = {
    **{name: np.ones((2, 3), name) for name in ("bool", "uint8", "int64", "float16", "float32", "complex64", ">f4")},
    "words": np.array(["left", "right"]),
    "bytes": np.array([b"a", b"bc"]),
    "days": np.array(["2020-01-31"], "datetime64[D]"),
    "objects": np.array(["a", None, {"b": 1}], object),
    "fields": np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]),
    "records": np.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "columns first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "turned": np.arange(24).reshape(2, 3, 4).transpose(1, 2, 0),
    "none": np.zeros((0, 3), np.float32),
    "point": np.array(1.5),
}


@protocols
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_any_dtype_come_back(tmp_path: Path, name: str, protocol: int) -> None:
    found = again(tmp_path, ARRAYS[name], protocol=protocol)
    assert type(found) is np.ndarray
    # numpy puts the bytes of numbers in the machine's order
    assert found.dtype.newbyteorder("=") == ARRAYS[name].dtype.newbyteorder("=") and found.shape == ARRAYS[name].shape
    assert found.tolist() == ARRAYS[name].tolist()


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_arrays_of_older_and_newer_numpy(tmp_path: Path, module: bytes) -> None:
    torch.save({"a": np.arange(3)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    content, count = re.subn(rb"cnumpy\._?core\.multiarray\n", b"c" + module + b"\n", (tmp_path / "a.pth").read_bytes())
    assert count
    (tmp_path / "a.pth").write_bytes(content)
    assert read_checkpoint(tmp_path / "a.pth")["a"].tolist() == [0, 1, 2]


CONTAINERS: list[Any] = [
    {1, 2},
    frozenset({3}),
    slice(1, 4, 2),
    1 + 2j,
    bytearray(b"ab"),
    b"\xff\x00",
    b"",
    (1, [2, {"c": None}]),
    collections.OrderedDict(b=1, a=2),
    torch.Size([2, 3]),
    torch.device("cpu"),
    torch.bfloat16,
    np.dtype("float32"),
    np.float64(1.5),
]


@protocols
@pytest.mark.parametrize("given", CONTAINERS, ids=lambda given: type(given).__name__)
def test_containers_dtypes_and_numbers_come_back(tmp_path: Path, given: Any, protocol: int) -> None:
    found = again(tmp_path, given, protocol=protocol)
    assert found == given and type(found) is type(given)


def test_a_dictionary_with_a_default_is_a_plain_one(tmp_path: Path) -> None:
    found = again(tmp_path, collections.defaultdict(list, a=[1]))
    assert found == {"a": [1]} and type(found) is dict


@old
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.bool])
def test_tensors_come_back(tmp_path: Path, dtype: torch.dtype, old: bool) -> None:
    given = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(dtype).T
    found = again(tmp_path, given, old)
    assert found.dtype == dtype and found.stride() == given.stride() and torch.equal(found, given)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint64, torch.float8_e4m3fn])
def test_tensors_of_newer_dtypes_come_back(tmp_path: Path, dtype: torch.dtype) -> None:
    found = again(tmp_path, torch.tensor([1, 2]).to(dtype))  # torch itself reads these from zip files only
    assert found.dtype == dtype and found.to(torch.int64).tolist() == [1, 2]


def test_parameters_come_back_with_and_without_attributes(tmp_path: Path) -> None:
    plain, marked = nn.Parameter(torch.ones(2)), nn.Parameter(torch.zeros(2), requires_grad=False)
    marked.group = Foreign()  # pyright: ignore[reportAttributeAccessIssue]
    found = again(tmp_path, {"plain": plain, "marked": marked})
    assert all(isinstance(one, nn.Parameter) for one in found.values())
    assert torch.equal(found["plain"], plain) and torch.equal(found["marked"], marked)
    assert found["plain"].requires_grad and not found["marked"].requires_grad
    assert not hasattr(found["marked"], "group")


def test_tensors_that_share_their_numbers_still_do(tmp_path: Path) -> None:
    whole = torch.zeros(4)
    found = again(tmp_path, {"whole": whole, "part": whole[2:]})
    found["part"].fill_(1)
    assert found["whole"].tolist() == [0, 0, 1, 1]


def test_a_program_is_refused_by_name(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(1, 1)).save(str(tmp_path / "a.pt"))  # pyright: ignore
    with pytest.raises(ValueError, match=r"^a TorchScript program; save its state_dict\(\) instead$"):
        read_checkpoint(tmp_path / "a.pt")


def test_what_is_no_checkpoint_raises(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("hello")
    with pytest.raises(Exception, match=r"\w"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "b.pth")
