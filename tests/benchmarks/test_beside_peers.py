"""A peer in a process of its own, beside ours."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from benchmarks import _record, beside_peers
from tests.inference.tiny import stored_job
from workbench.__main__ import main


def run(tmp_path: Path, peer: str, python: str = sys.executable) -> int:
    file = tmp_path / "peer.py"
    file.write_text(peer)
    job = tmp_path / "job"
    if not job.exists():
        stored_job(job)
    words = [python, str(file), str(job), "--size", "64", "--rounds", "2", "--cpu"]
    return main(["bench", "beside_peers", *words])


def test_both_are_asked_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    asked = tmp_path / "asked"
    peer = f"print('a word')\ndef find(picture):\n    open({str(asked)!r}, 'a').write(picture + '\\n')\n    return []\n"
    assert run(tmp_path, peer) == 1  # it finds nobody, and ours finds some
    assert len(asked.read_text().splitlines()) == 3
    with (tmp_path / "bench_beside_peers.csv").open() as file:
        lines = {line["what"]: line for line in csv.DictReader(file)}
    assert list(lines) == [beside_peers.PEER, "infer"] and int(lines["infer"]["persons"]) > 0
    assert float(lines["infer"]["ratio"]) > 1 and lines[beside_peers.PEER]["persons"] == "0"


@pytest.mark.parametrize(
    ("peer", "python", "said"),
    [
        ("import no_such_peer", sys.executable, "No module named 'no_such_peer'"),
        ("def find(picture):\n    return []", "/no/python", "/no/python: no interpreter"),
    ],
)
def test_what_is_not_there_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], peer: str, python: str, said: str
) -> None:
    assert run(tmp_path, peer, python) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told and len(told.strip().splitlines()) == 1


def test_persons_are_told_apart_by_the_nearest() -> None:
    a, b = [[0.0, 0.0], [2.0, 0.0]], [[50.0, 0.0], [52.0, 0.0]]
    assert beside_peers.distance([a, b], [b, a]) == 0
    assert beside_peers.distance([a], [[[3.0, 4.0], [5.0, 4.0]]]) == 5
    assert beside_peers.distance([a], []) == float("inf") and beside_peers.distance([], []) == 0
