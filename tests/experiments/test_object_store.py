"""Object stores: which addresses are taken, that objects are whole, and what is said of one that is away."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.shared_files import SECRET, S3Server, forget
from workbench.core.errors import Refused
from workbench.experiments import object_store
from workbench.experiments.object_store import FILES_VARIABLE, Away, ObjectStore, check_files, given_files

# Addresses


@pytest.mark.parametrize(
    "address",
    ["s3://runs", "s3://my-runs.2026/", "s3://runs/a/b c", "gs://runs/x", "file:///shared/runs", "file:///a b"],
)
def test_an_address_is_a_place(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    check_files(address)
    assert ObjectStore(f"{address}/").shown == address.rstrip("/")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://me:secret@runs/x", "files s3://...: expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or file:///FOLDER"),
        ("s3://", "expected s3://BUCKET/PREFIX"),
        ("s3://Runs", "expected s3://BUCKET/PREFIX"),
        ("s3://runs/x?key=secret", "expected s3://BUCKET/PREFIX"),
        ("https://me:secret@host/runs", "files https://...: expected s3://"),
        ("file://runs/secret", "or file:///FOLDER"),
        ("/shared/secret", "files ://...: expected s3://"),
    ],
)
def test_another_address_is_refused_in_a_line_that_gives_nothing_away(address: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        check_files(address)
    text = str(refused.value)
    assert said in text and "\n" not in text and "secret" not in text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://runs", "driver s3fs is missing; it is in the extra `cluster`: pip install 'rtmo-workbench"),
        ("gs://runs", "driver gcsfs is missing; pip install gcsfs"),
    ],
)
def test_without_a_driver_its_package_is_named(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=said):
        check_files(address)
    check_files("file:///shared")


def test_there_is_none_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FILES_VARIABLE, raising=False)
    assert given_files() == ""
    monkeypatch.setenv(FILES_VARIABLE, " s3://runs ")
    assert given_files() == "s3://runs"


# Objects


def test_what_is_written_is_found_and_read(address: str, tmp_path: Path) -> None:
    store = ObjectStore(address)
    assert store.names("jobs") == [] and store.read("jobs/a") is None
    (tmp_path / "one").write_bytes(b"1" * 100_000)
    (tmp_path / "two").write_bytes(b"2")
    store.put({"jobs/a/one": tmp_path / "one", "jobs/b/two": tmp_path / "two"})
    store.write("word", "für alle")
    assert store.read("word") == "für alle"
    assert store.names("jobs") == ["jobs/a/one", "jobs/b/two"] and store.names("jobs/b") == ["jobs/b/two"]
    store.get({"jobs/a/one": tmp_path / "back", "jobs/b/two": tmp_path / "again"})
    assert (tmp_path / "back").read_bytes() == b"1" * 100_000 and (tmp_path / "again").read_bytes() == b"2"
    store.put({"jobs/b/two": tmp_path / "one"})
    store.remove(["jobs/a/one", "jobs/a/none"])
    assert store.names("jobs") == ["jobs/b/two"] and len(store.read("jobs/b/two") or "") == 100_000
    with pytest.raises(FileNotFoundError):
        store.get({"jobs/a/one": tmp_path / "back"})


def test_a_text_is_extended_and_never_replaced(address: str) -> None:
    store = ObjectStore(address)
    assert store.extend("log", "one\n") and store.extend("log", "one\ntwo\n") and store.extend("log", "one\ntwo\n")
    assert not store.extend("log", "one\nthree\n") and not store.extend("log", "one\n")
    assert store.read("log") == "one\ntwo\n"


def test_a_text_is_not_replaced_after_a_while_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wrote meanwhile."""
    store, whole = ObjectStore(f"file://{tmp_path}"), object_store.write_whole
    store.write("log", "one\n")

    def late(path: Path) -> None:
        monkeypatch.setattr(object_store, "write_whole", whole)
        store.write("log", "one\ntheirs\n")
        raise OSError("away")

    monkeypatch.setattr(object_store, "write_whole", late)
    assert not store.extend("log", "one\nours\n") and store.read("log") == "one\ntheirs\n"


def test_what_is_half_there_is_not_there(bucket: str, s3: S3Server) -> None:
    """Its sender died in the middle of it."""
    client, name = s3.client(), bucket.split("/")[2]
    begun = client.create_multipart_upload(Bucket=name, Key="runs/jobs/a/weights")
    client.upload_part(
        Bucket=name, Key="runs/jobs/a/weights", UploadId=begun["UploadId"], PartNumber=1, Body=b"1" * 5_000_000
    )
    assert ObjectStore(bucket).names("jobs") == [] and ObjectStore(bucket).read("jobs/a/weights") is None


# What is wrong is said in a line


def said(store: ObjectStore) -> str:
    with pytest.raises(Away) as refused:
        store.read("folder_id")
    text = str(refused.value)
    assert text.startswith(f"files {store.shown}: ") and "\n" not in text and SECRET not in text
    return text


def test_a_bucket_that_is_not_there(s3: S3Server) -> None:
    store = ObjectStore("s3://nobody-made-it/runs")
    assert "there is no such bucket; make it first" in said(store)
    with pytest.raises(Away, match="no such bucket"):
        store.write("word", "x")
    with pytest.raises(Away, match="no such bucket"):
        store.names("jobs")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}/none")
    assert "there is no such folder; make it, or mount its disk" in said(store)
    with pytest.raises(Away, match="no such folder"):
        store.write("word", "x")
    assert not list(tmp_path.iterdir())


def test_no_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    forget()
    assert "no credentials; name them as for other programs" in said(ObjectStore(bucket))


def test_access_that_is_denied(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not waited for, whether it was there before or not."""
    store = ObjectStore(bucket)
    store.write("word", "x")

    class Denying:
        def cat_file(self, path: str) -> bytes:
            raise PermissionError(f"Access Denied {SECRET}")

    monkeypatch.setattr("fsspec.filesystem", lambda *_, **__: Denying())
    assert "access is denied" in said(store)


def test_a_server_that_nobody_reaches(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    forget()
    assert "Could not connect" in said(ObjectStore("s3://far-away/runs"))


@pytest.mark.slow
def test_a_server_that_is_away_for_a_while_is_waited_for(bucket: str, s3: S3Server, tmp_path: Path) -> None:
    store = ObjectStore(bucket)
    store.write("word", "kept")
    (tmp_path / "file").write_text("file")
    s3.stop()
    back = threading.Timer(1.5, s3.start)
    back.start()
    try:
        began = time.monotonic()
        assert store.read("word") == "kept" and time.monotonic() - began > 1
        store.put({"file": tmp_path / "file"})
        assert store.names("") == ["file", "word"]
    finally:
        back.join()


@pytest.mark.slow
def test_one_that_stays_away_is_said(bucket: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "OUTAGE", 1.0)
    store = ObjectStore(bucket)
    store.write("word", "kept")
    s3.stop()
    try:
        assert "Could not connect" in said(store)
    finally:
        s3.start()
    assert store.read("word") == "kept"
