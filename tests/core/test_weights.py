"""Weights from a file or an address: one download, kept and checked, and every failure is said in one line."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from tests.properties import quickly
from tests.served import Server, served
from workbench.core import weights
from workbench.core.errors import Refused
from workbench.core.weights import as_tensors, digits_of, fetched, read_weights

CONTENT = b"x" * 3000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
TENSORS = {"a": torch.arange(3.0)}


def _torch() -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": TENSORS}, file)
    return file.getvalue()


def _numpy() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=TENSORS["a"].numpy())
    return file.getvalue()


STARTS: dict[str, Callable[[], bytes]] = {"": bytes, "torch": _torch, "npz": _numpy, "st": lambda: save(TENSORS)}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    files = {
        "a.pth": CONTENT,
        "short.pth": CONTENT,
        "t.pth": _torch(),
        "t.npz": _numpy(),
        "t.safetensors": save(TENSORS),
    }
    with served(files, short=frozenset({"short.pth"})) as server:
        yield server


def cached(tmp_path: Path) -> list[Path]:
    return [p for p in (tmp_path / "cache").glob("*") if p.suffix != ".lock"]


@pytest.mark.parametrize("digest", ["", DIGEST, DIGEST[:8].upper()])
def test_a_download_is_kept(server: Server, tmp_path: Path, digest: str) -> None:
    with ThreadPoolExecutor(3) as pool:  # as the jobs of a study do
        paths = list(pool.map(lambda _: fetched(f"{server.address}/a.pth", digest), range(3)))
    assert len(set(paths)) == 1 and paths[0].read_bytes() == CONTENT and paths[0].suffix == ".pth"
    assert fetched(f"{server.address}/a.pth", digest) == paths[0]
    assert server.asked == ["a.pth"]
    assert cached(tmp_path) == [paths[0]]


@pytest.mark.parametrize(
    ("name", "digest", "message"),
    [
        ("a.pth", "0" * 64, "its sha256 is"),
        ("missing.pth", "", "could not be downloaded"),
        ("short.pth", "", "could not be downloaded .*3000 of 3009 bytes arrived"),
    ],
)
def test_a_failed_download_leaves_nothing(server: Server, tmp_path: Path, name: str, digest: str, message: str) -> None:
    with pytest.raises(Refused, match=message) as refused:
        fetched(f"{server.address}/{name}", digest)
    assert "\n" not in str(refused.value) and "pass its path" in str(refused.value)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/a.pth", "http://[a/a.pth", f"http://{'a' * 80}/a.pth"])
def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(Refused, match="download it elsewhere and pass its path"):
        fetched(address)


def test_a_cache_that_can_not_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Refused, match=r"could not be downloaded \(.*file/cache"):
        fetched("http://127.0.0.1:9/a.pth")


def test_a_file_that_is_there_is_checked_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(CONTENT)
    assert fetched(str(tmp_path / "a.pth"), DIGEST) == tmp_path / "a.pth"
    kept = fetched(f"{server.address}/a.pth")
    for source in (str(tmp_path / "a.pth"), f"{server.address}/a.pth"):
        with pytest.raises(Refused, match=r"its sha256 is .* delete .*a\.pth and get it again"):
            fetched(source, "f" * 64)
    assert kept.exists()


@pytest.mark.parametrize("name", ["t.pth", "t.npz", "t.safetensors"])
def test_each_format_is_read_from_a_file_and_from_an_address(server: Server, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(server.files[name])
    for source in (str(tmp_path / name), f"{server.address}/{name}"):
        assert torch.equal(as_tensors(read_weights(source), source)["a"], TENSORS["a"])


@pytest.mark.parametrize("source", ["", "none.pth", "ftp://host/a.pth", "//[a"])
def test_what_is_no_file_is_refused_under_the_name_of_the_option(source: str) -> None:
    with pytest.raises(Refused, match=r"weights='.*': no such file; pass the path"):
        read_weights(source, "weights")


def test_a_download_that_can_not_be_read_is_thrown_away(server: Server, tmp_path: Path) -> None:
    source = f"{server.address}/a.pth"
    for _ in range(2):
        with pytest.raises(Refused, match=r"can be read safely .*; the download was thrown away"):
            read_weights(source)
        assert cached(tmp_path) == []
    with pytest.raises(Refused, match="can be read safely"):  # as whoever asks for the file first
        read_weights(str(fetched(source)))
    assert cached(tmp_path) == []
    (tmp_path / "own.pth").write_bytes(CONTENT)
    with pytest.raises(Refused, match=r"can be read safely [^;]*$"):
        read_weights(str(tmp_path / "own.pth"))
    assert (tmp_path / "own.pth").exists(), "a file of one's own is not"


def test_an_address_with_a_long_name_is_kept_under_a_short_one(server: Server, tmp_path: Path) -> None:
    name = "a" * 300 + ".pth"
    server.files = {name: CONTENT}
    assert fetched(f"{server.address}/{name}").read_bytes() == CONTENT


@pytest.mark.parametrize("source", ["a" * 5000, "a\0b.pth"])
def test_a_name_that_no_file_can_have_is_no_file(source: str) -> None:
    with pytest.raises(Refused, match="no such file") as refused:
        read_weights(source)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["bomb.npz", "bomb.pth"])
def test_an_archive_that_unpacks_to_much_more_is_refused_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(weights, "LARGEST_SENT", 10_000_000)
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(11_000_000))
    tracemalloc.start()
    with pytest.raises(Refused, match=r"11 MB packed into 0\.0 MB; save it unpacked"):
        read_weights(str(tmp_path / name))
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({7: torch.ones(2)}, "holds no named tensors"),
        ({None: torch.ones(2)}, "holds no named tensors"),
        ({"a": torch.ones(2).to_sparse()}, "a is sparse or has no values"),
        ({"a": torch.ones(2, device="meta")}, "a is sparse or has no values"),
    ],
)
def test_what_is_no_named_dense_tensor_is_refused(tensors: dict[Any, torch.Tensor], said: str) -> None:
    with pytest.raises(Refused, match=said):
        as_tensors(tensors, "x.pth")
    if None not in tensors and 7 not in tensors:
        return
    assert list(as_tensors({**tensors, "b": torch.ones(1)}, "x.pth")) == ["b"]


@quickly
@given(st.binary(max_size=200), st.sampled_from([".pth", ".npz", ".safetensors"]), st.sampled_from(sorted(STARTS)))
def test_no_bytes_give_a_traceback(tmp_path: Path, content: bytes, suffix: str, start: str) -> None:
    """Also behind what a file of weights begins with, or cut anywhere."""
    whole = STARTS[start]()
    path = tmp_path / f"x{suffix}"
    cut = len(whole) * (content[0] if content else 255) // 255
    path.write_bytes(whole[:cut] + content)
    with suppress(Refused):
        as_tensors(read_weights(str(path)), "x")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (torch.tensor([1.0, float("nan")]), "NaN or infinite numbers"),
        (torch.tensor([float("inf")], dtype=torch.bfloat16), "NaN or infinite numbers"),
        (torch.tensor([1.0 + 1j]), "complex numbers"),
    ],
)
def test_what_is_no_weight_is_refused(broken: torch.Tensor, said: str) -> None:
    """A network with such weights sees nobody, whatever the image; torch drops the imaginary part of others."""
    assert as_tensors({"a": torch.ones(2), "steps": torch.tensor(3)}, "a.pth").keys() == {"a", "steps"}
    with pytest.raises(Refused, match=f"^a.pth: 1 of 2 tensors hold {said}, the first b$"):
        as_tensors({"state_dict": {"a": torch.ones(2), "b": broken}}, "a.pth")


def test_the_digits_of_numbers_are_told_whatever_their_type() -> None:
    few, some, many = (torch.tensor([0.1, 3e4]).to(kind).double() for kind in (torch.bfloat16, torch.half, torch.float))
    assert digits_of([few]) == torch.bfloat16 and digits_of([few, torch.tensor(3)]) == torch.bfloat16
    assert digits_of([few, some]) == torch.float16 and digits_of([some, many]) is None
    assert digits_of([torch.tensor(3), torch.zeros(0)]) is None and digits_of([torch.tensor([float("nan")])]) is None
