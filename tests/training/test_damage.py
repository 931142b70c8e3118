"""Damaged records are named, put aside and made again."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests import properties
from workbench.core.errors import DataFault
from workbench.training.damage import damage_of, damaged, put_aside, put_aside_damaged
from workbench.training.record import NUMERICS, is_complete, job_folder, read_result, write_curve, write_result


def whole(home: Path) -> Path:
    folder = job_folder(home, "k")
    write_curve(folder, [{"epoch": 1.0, "AP": 0.25}])
    write_result(folder, "k", {"AP": 0.5}, {"commit": "c"})
    return folder


def written(text: str | bytes) -> Callable[[Path], object]:
    data = text if isinstance(text, bytes) else text.encode()
    return lambda folder: (folder / "result.json").write_bytes(data)


def a_folder(folder: Path) -> None:
    (folder / "result.json").unlink()
    (folder / "result.json").mkdir()


def changed(**more: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))

    return change


RESULTS: dict[str, Callable[[Path], object]] = {
    "empty": written(""),
    "a list": written("[]"),
    "a number": written("7"),
    "no metrics": written('{"key": "k"}'),
    "not UTF-8": written(b"\xff\xfe"),
    "deep": written("[" * 100_000),
    "cut off": written('{"key": "k", "metr'),
    "a folder": a_folder,
    "AP is a word": changed(metrics={"AP": "high"}),
    "metrics are a list": changed(metrics=[0.5]),
    "tags are numbers": changed(tags={"numerics": 2}),
    "of another job": changed(key="j"),
}


@settings(properties.quickly, max_examples=50)
@given(properties.changed({"key": "k", "metrics": {"AP": 0.5, "NME": 0.1}, "tags": {"numerics": NUMERICS}}))
def test_no_content_of_a_result_gives_a_traceback_or_a_metric_that_is_no_number(tmp_path: Path, content: Any) -> None:
    folder = job_folder(tmp_path, "k")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(content), "utf-8")
    assert isinstance(is_complete(folder), bool)
    with suppress(DataFault):
        found = read_result(folder)
        assert found.key == "k" and all(isinstance(value, int | float) for value in found.metrics.values())
        assert all(isinstance(value, str) for value in found.tags.values())


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_that_can_not_be_used_is_none(kind: str, tmp_path: Path) -> None:
    folder = whole(tmp_path)
    assert is_complete(folder) and not damage_of(folder)
    RESULTS[kind](folder)
    assert not is_complete(folder)
    with pytest.raises(
        DataFault, match=r"result\.json: .*the study that it belongs to trains the job again"
    ) as refused:
        read_result(folder)
    assert "\n" not in str(refused.value)
    assert damaged([folder, folder]) == [str(refused.value)]
    (line,) = put_aside_damaged([folder, folder])
    assert line.endswith("it was put aside as *.damaged")
    assert (folder / "result.json.damaged").exists() and (folder / "curve.csv.damaged").exists()
    assert not (folder / "result.json").exists() and not damage_of(folder)
    assert is_complete(whole(tmp_path))


@pytest.mark.parametrize("text", ["", "epoch,AP\n1,word\n", "\x00\xff"])
@pytest.mark.parametrize("name", ["curve.csv", "losses.csv"])
def test_a_curve_that_can_not_be_read_is_made_again_with_its_job(name: str, text: str, tmp_path: Path) -> None:
    folder = whole(tmp_path)
    (folder / name).write_bytes(text.encode("latin-1"))
    if name == "losses.csv" and not text:
        return  # records of old have none
    assert name in damage_of(folder)
    put_aside_damaged([folder])
    assert not is_complete(folder) and (folder / f"{name}.damaged").exists()


def test_files_that_are_missing_are_said_and_the_numbers_count(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    assert damaged([folder]) == []
    (folder / "job.json").write_text("{}")
    (line,) = put_aside_damaged([folder])
    assert line.startswith(f"{folder / 'weights.safetensors'} and 1 more: missing; its numbers count")
    assert is_complete(folder) and read_result(folder).metrics == {"AP": 0.5}


def test_what_was_put_aside_before_is_kept_where_it_is_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").touch()
        put_aside(tmp_path / "a")
    assert len(list(tmp_path.glob("a*.damaged"))) == 2
