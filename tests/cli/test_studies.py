"""Commands on studies: no option is ignored, and each reaches what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from studies.ablate_levels import COARSE
from tests.cli.commands import options_of, watch
from workbench.__main__ import main
from workbench.core.skeletons import COCO
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.experiments.engines.ray_engine import RayEngine
from workbench.experiments.protocols import PROTOCOLS
from workbench.study import find_study
from workbench.training.machine import CPU

VERBS = {
    "study": ("study",),
    "resume": ("study", "resume"),
    "retry": ("study", "retry"),
    "status": ("study", "status"),
    "replay": ("study", "replay"),
    "audit": ("study", "audit"),
    "report": ("report",),
}
# A value of each option that is not its default.
VALUES: dict[str, tuple[str, ...]] = {
    "--protocol": ("--protocol", "smoke"),
    "--data": ("--data", "some/folder"),
    "--seeds": ("--seeds", "7"),
    "--first-seed": ("--first-seed", "7"),
    "--jobs": ("--jobs", "7"),
    "--until": ("--until", "decided"),
    "--budget": ("--budget", "7"),
    "--steps": ("--steps", "7"),
    "--set": ("--set", "recipe.lr=0.5"),
    "--max": ("--max", "gflops=8"),
    "--sampler": ("--sampler", "tpe"),
    "--claims-only": ("--claims-only",),
    "--trunk": ("--trunk", "mine.pth"),
    "--rows": ("--rows", COARSE),
    "--then": ("--then", "short"),
    "--engine": ("--engine", "ray"),
    "--address": ("--address", "127.0.0.1:6379"),
}
NOTHING = ("no seeds could be saved", "there is nothing to audit")  # of a timing study, whatever the option
WITH = {"--budget": ("--until", "decided"), "--address": ("--engine", "ray")}  # what has to be given, too
EVERY = sorted(VALUES)
USED = {
    "--protocol",
    "--data",
    "--seeds",
    "--first-seed",
    "--until",
    "--budget",
    "--set",
    "--rows",
}  # of studies that train
STUDIES = {"training": "ablate_levels", "timing": "profile_persons"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the commands on studies call; nothing is run."""
    answers: dict[str, Any] = {
        "workbench.core.processes.prepare": None,
        "workbench.experiments.runner.run_study": 1,
        "workbench.experiments.runner.retry": 0,
        "workbench.experiments.runner.status": 1,
        "workbench.experiments.runner.replay": 0,
        "workbench.experiments.audit.audit_study": [],
        "workbench.experiments.audit_table.write_audit": Path("audit.csv"),
        "workbench.experiments.profiling.run_timing": 0,
        "workbench.experiments.profiling.print_measured": 1,
        "workbench.report.render.write_report": [Path("page.html")],
        "workbench.report.record.write_claims": Path("claims.csv"),
        "workbench.report.render.write_profile": [Path("page.html")],
        "workbench.experiments.changes.dataset_fingerprint": "folder@1",
        "workbench.experiments.changes.dataset_keypoints": DataKeypoints(COCO, ""),
        "workbench.experiments.changes.dataset_classes": DataClasses(("person",), {}),
    }
    monkeypatch.setattr("workbench.experiments.engines.ray_cluster.connect", lambda address: None)
    monkeypatch.setattr("workbench.report.index.write_index", lambda _: Path("index.html"))
    return watch(monkeypatch, answers)


def test_every_option_is_tried() -> None:
    assert set(VALUES) | {"--store", "--files"} == set().union(*(options_of(*words) for words in VERBS.values()))


@pytest.mark.slow
@pytest.mark.parametrize("option", EVERY)
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", STUDIES)
def test_an_option_is_used_or_refused(
    kind: str, verb: str, option: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    words, more = [*VERBS[verb], STUDIES[kind]], WITH.get(option, ())
    code, said = main([*words, *VALUES[option], *more]), capsys.readouterr().err
    if code == 2:
        assert said.count("\n") == 1 and any(word in said for word in (option, *NOTHING))
        assert [call for call in calls if "prepare" not in call[0]] == []
        return
    changed = [call for call in calls if "prepare" not in call[0]]
    calls.clear()
    main([*words, *more])
    calls = [call for call in calls if "prepare" not in call[0]]
    assert changed != calls and len(changed) >= len(calls) > 0


def test_costs_are_those_of_published_networks(calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A study on a file's trunk has other networks, whose costs would come in the place of these."""
    answer = (find_study("ablate_bins"), PROTOCOLS["smoke"])
    watch(monkeypatch, {"workbench.experiments.file_trunk.on_file_trunk": answer})
    monkeypatch.setattr("workbench.experiments.runner.run_study", lambda *_, **__: 0)
    words = ["study", "ablate_bins", "--protocol", "probe", "--data", "some/folder"]
    assert main([*words, "--trunk", "mine.pth"]) == 0 and not [call for call in calls if "run_timing" in call[0]]
    assert main(["study", "ablate_bins", "--protocol", "smoke"]) == 0 and "run_timing" in calls[-1][0]


def test_the_page_of_a_trunk_of_a_file_is_a_persons_own(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = (find_study("ablate_dcc"), PROTOCOLS["smoke"])
    watch(monkeypatch, {"workbench.experiments.file_trunk.on_file_trunk": answer})
    own = watch(monkeypatch, {"workbench.report.own_page.write_own_page": [Path("own.html")]})
    words = ["report", "ablate_dcc", "--protocol", "probe", "--data", "some/folder", "--trunk", "mine.pth"]
    assert main(words) == 0 and capsys.readouterr().out == "own.html\n"
    assert own[0][1][0].protocol.name == "smoke" and not [call for call in calls if ".report." in call[0]]
    assert main([*words, "--claims-only"]) == 2 and "--claims-only" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["study", "status"])
def test_a_trunk_may_be_a_file(verb: str, calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    answer = (find_study("ablate_dcc"), PROTOCOLS["smoke"])
    asked = watch(monkeypatch, {"workbench.experiments.file_trunk.on_file_trunk": answer})
    words = [*VERBS[verb], "ablate_dcc", "--protocol", "probe", "--data", "some/folder", "--trunk", "mine.pth"]
    assert main(words) == 1
    assert asked[0][1][1:3] == (PROTOCOLS["probe"], "mine.pth") and calls[-1][1][0].protocol.name == "smoke"


def test_a_trunk_of_a_file_wants_images(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "ablate_dcc", "--protocol", "probe", "--trunk", "mine.pth"]) == 2
    assert "--trunk mine.pth: its features are of images; add --data FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "verb", "used"),
    [
        (
            "training",
            "study",
            USED | {"--jobs", "--engine", "--address"},
        ),
        (
            "training",
            "resume",
            USED | {"--jobs", "--engine", "--address"},
        ),
        (
            "training",
            "retry",
            USED | {"--jobs", "--engine", "--address"},
        ),
        (
            "training",
            "status",
            USED,
        ),
        ("training", "replay", {"--protocol", "--data", "--seeds", "--first-seed", "--set"}),
        ("training", "audit", {"--protocol", "--data", "--set", "--steps"}),
        ("training", "report", {"--protocol", "--data", "--seeds", "--first-seed", "--set", "--claims-only"}),
        ("timing", "study", {"--protocol"}),
        ("timing", "resume", {"--protocol"}),
        ("timing", "retry", {"--protocol"}),
        ("timing", "status", {"--protocol"}),
        ("timing", "replay", set()),
        ("timing", "audit", set()),
        ("timing", "report", set()),
    ],
)
def test_which_options_are_used(kind: str, verb: str, used: set[str], calls: list[tuple[Any, ...]]) -> None:
    words = [*VERBS[verb], STUDIES[kind]]
    assert {option for option in EVERY if main([*words, *VALUES[option], *WITH.get(option, ())]) != 2} == used


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--address 127.0.0.1:6379", "--address 127.0.0.1:6379: it is that of a Ray cluster; add --engine ray"),
        ("--engine local --address auto", "--address auto: it is that of a Ray cluster; add --engine ray"),
        ("--engine slurm", "--engine 'slurm': expected local or ray"),
        ("--engine ray --address ray://head:10001", "--address ray://head:10001: expected HOST:PORT of a Ray cluster"),
    ],
)
def test_an_engine_that_can_not_be_is_refused(
    words: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "ablate_levels", *words.split()]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not calls


@pytest.mark.parametrize(("words", "address"), [((), "auto"), (("--address", "head:6379"), "head:6379")])
def test_jobs_may_run_on_a_cluster(words: tuple[str, ...], address: str, calls: list[tuple[Any, ...]]) -> None:
    assert main(["study", "ablate_levels", "--engine", "ray", *words]) == 1
    assert calls[-1][2]["engine"] == RayEngine(address) and calls[-1][2]["machine"] == CPU


def test_a_study_under_cost_is_timed(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "ablate_levels", "--protocol", "cost"]) == 0
    assert calls[-1][0].endswith("run_timing") and calls[-1][1][0].study.name == "ablate_levels"
    assert main(["study", "ablate_levels", "--protocol", "cost", "--jobs", "2", "--seeds", "3"]) == 2
    assert "ablate_levels, cost: nothing is trained; leave out --seeds, --jobs" in capsys.readouterr().err
    assert main(["report", "ablate_levels", "--protocol", "cost"]) == 2
    assert "costs have no page of their own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "called"),
    [
        ("study", ["run_study"]),
        ("resume", ["run_study"]),
        ("retry", ["retry", "run_study"]),
        ("status", ["status"]),
        ("replay", ["replay"]),
        ("audit", ["audit_study", "write_audit"]),
        ("report", ["write_report"]),
    ],
)
def test_a_verb_does_what_it_says(verb: str, called: list[str], calls: list[tuple[Any, ...]]) -> None:
    seeds = [] if verb == "audit" else ["--seeds", "2"]  # it looks at the first one
    main([*VERBS[verb], "ablate_levels", *seeds, "--set", "recipe.lr=0.5"])
    assert [name.rpartition(".")[2] for name, *_ in calls if "prepare" not in name] == called


def test_options_may_stand_before_the_name(calls: list[tuple[Any, ...]]) -> None:
    assert main(["study", "status", "--protocol", "laptop", "ablate_levels"]) == 1
    before = calls.pop()
    assert main(["study", "status", "ablate_levels", "--protocol", "laptop"]) == 1
    assert calls.pop() == before
    assert main(["study", "--protocol", "laptop", "ablate_levels"]) == 1


def test_costs_that_are_claimed_are_measured_when_the_runs_are_complete(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = watch(monkeypatch, {"workbench.experiments.runner.run_study": 0})
    assert main(["study", "ablate_levels"]) == 0
    assert calls[-1][0].endswith("run_timing") and calls[-1][1][0].protocol.name == "cost"
    calls.clear()
    assert main(["study", "ablate_levels", "--set", "recipe.lr=0.5"]) == 0
    assert len(more) == 2 and not any("run_timing" in name for name, *_ in calls)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("study ablate_dcc --budget 9", "--budget 9: it limits the jobs of --until decided; add that"),
        ("study status ablate_dcc --budget 9", "--budget 9: it limits the jobs of --until decided; add that"),
        ("study replay profile_persons", "study replay profile_persons: nothing is trained under cost"),
        ("study audit profile_persons", "study audit profile_persons: nothing is trained under cost"),
        ("study audit ablate_dcc --steps 0", "--steps '0': expected a whole number of 1 or more"),
        ("study nobody", "no study is called 'nobody'; there are ['ablate_bins', "),
        ("report ablate_dcc --protocol nothing", "--protocol 'nothing': expected smoke or probe or "),
        ("study ablate_dcc --set recipe.lr=1 --set recipe.lr=2", "--set recipe.lr: it is set 2 times"),
    ],
)
def test_words_that_do_not_go_together(
    words: str, said: str, calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 2
    assert said in capsys.readouterr().err


def test_a_report_says_where_its_pages_are(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    for name in STUDIES.values():
        assert main(["report", name]) == 0
        assert capsys.readouterr().out == "page.html\nindex.html\n"


@pytest.mark.parametrize("protocol", [name for name, found in PROTOCOLS.items() if found.trains and name != "smoke"])
@pytest.mark.parametrize("verb", ["", "status "])
def test_a_timing_study_takes_no_protocol_that_trains(
    verb: str, protocol: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    assert main([*f"study {verb}profile_persons --protocol".split(), protocol]) == 2
    assert f"--protocol {protocol}: it trains, and profile_persons is only measured" in capsys.readouterr().err


@pytest.mark.slow
def test_commands_that_read_make_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    assert main(["study", "status", "ablate_levels", "--seeds", "1"]) == 1
    assert "0 of 3 complete" in capsys.readouterr().out
    assert main(["study", "status", "ablate_levels", "--until", "decided"]) == 1
    assert main(["study", "status", "ablate_levels", "--protocol", "cost"]) == 1
    assert main(["study", "replay", "ablate_levels"]) == 2
    assert not list(tmp_path.iterdir())
