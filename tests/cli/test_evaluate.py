"""`workbench evaluate`: its options reach the work, and what is told of a whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import options_of, watch
from tests.data.datasets.animals import labelled
from workbench.__main__ import main
from workbench.evaluation.keypoint_errors import KeypointError
from workbench.experiments.judge import Judgement

FOUND = Judgement(
    "rtmo-t", "../coco", "coco", 3, 5, {"AP": 0.5, "NME": float("nan")}, [KeypointError("nose", 2, 0.1, 1.5)], {}
)
OPTIONS: dict[str, tuple[str, ...]] = {
    "--data": ("../coco",),
    "--weights": ("rtmo.pth",),
    "--score-threshold": ("0.3",),
    "--nms-threshold": ("0.5",),
    "--max-persons": ("5",),
    "--device": ("cuda",),
    "--batch": ("2",),
}


class _Images:
    ids = (1, 2, 3)

    def __repr__(self) -> str:
        return "images"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    return watch(
        monkeypatch,
        {
            "workbench.inference.finder.open_finder": "finder",
            "workbench.experiments.judge.judged_on": _Images(),
            "workbench.experiments.judge.judge_network": FOUND,
        },
    )


def asked(calls: list[tuple[Any, ...]]) -> str:
    return str([(name, [value for value in values if not callable(value)], named) for name, values, named in calls])


@pytest.mark.parametrize("option", sorted(options_of("evaluate") - {"--json", "--results", "--truth"}))
def test_every_option_is_used(option: str, calls: list[tuple[Any, ...]]) -> None:
    assert main(["evaluate", "rtmo-t"]) == 0
    plain = asked(calls)
    calls.clear()
    assert main(["evaluate", "rtmo-t", option, *OPTIONS[option]]) == 0
    assert asked(calls) != plain and len(calls) == 3


def test_it_is_told_in_words_or_as_json(
    calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["evaluate", "rtmo-t"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("rtmo-t on 3 images of ../coco, by COCO's rules\n") and "50.0 %" in text and "nose" in text
    assert main(["evaluate", "rtmo-t", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"] == {"AP": 0.5, "NME": None}
    broken = Judgement("rtmo-t", "../coco", "coco", 3, 5, {"AP": 0.5}, [], {"a.jpg": "missing"})
    watch(monkeypatch, {"workbench.experiments.judge.judge_network": broken})
    assert main(["evaluate", "rtmo-t"]) == 1
    assert capsys.readouterr().err == "1 of 4 could not be read, first a.jpg: missing\n"


def test_a_results_file_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = labelled(3, 0)
    people = truth["annotations"]
    rows = [
        {key: one[key] for key in ("image_id", "category_id", "keypoints", "bbox")} | {"score": 0.5} for one in people
    ]
    for name, made in (("truth", truth), ("results", rows)):
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    words = ["evaluate", "--results", str(tmp_path / "results.json"), "--truth", str(tmp_path / "truth.json")]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["values"]["AP"] == 1.0 and found["persons"] == 3 and found["keypoints"][0]["pixels"] == 0
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "AP       100.0 %" in out and "key points: 5 of 'goat'" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "evaluate: nothing to judge; expected NETWORK --data FOLDER, or --results FILE --truth FILE"),
        ("--results a.json", "nothing to judge"),
        ("--results a.json --truth b.json --batch 2", "there is no network to run; leave out --batch"),
        ("rtmo-t --results a.json", "evaluate rtmo-t: it finds persons itself; leave out --results"),
        ("rtmo-x", "no network 'rtmo-x'; there are nano"),
        ("--results a.json --truth b.json", "--results a.json: no such file"),
    ],
)
def test_what_can_not_be_judged_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err
