"""The run of a study: refused before work starts, and called one thing wherever it is kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.animals import NAMES, animals
from workbench import __main__ as command
from workbench.core.errors import Refused
from workbench.core.skeletons import COCO
from workbench.data.datasets.classes import DataClasses
from workbench.data.datasets.keypoints import DataKeypoints
from workbench.experiments import changes as changed
from workbench.experiments import protocols
from workbench.experiments.plan import StudyRun, UntilDecided
from workbench.experiments.runner import run_study
from workbench.models.job import Protocol, Recipe
from workbench.models.zoo import nano
from workbench.study import Better, Row, Study, StudyProtocol, find_study, known_studies
from workbench.training.machine import Machine

STUDY = Study(
    name="planned",
    question="",
    source="",
    base=nano(),
    rows=(Row("base"), Row("more", {"coords.padding": 1.5}), Row("A/A", seed_offset=100)),
    claims=(Better("P", "", "more", "base"),),
)
WHOLE = StudyProtocol("whole", "", Protocol(size=(96, 96)), seeds=2)
PROBE = replace(WHOLE, name="probe", trunks=("x", "y", "z"))


def run_of(changes: Mapping[str, Any], study: Study = STUDY, protocol: StudyProtocol = WHOLE) -> StudyRun:
    return StudyRun(study, protocol, Path("home"), changes=changes)


# -------------------------------------------------------------------------------------------------- one run, one job


@pytest.mark.parametrize("study", ["ablate_dcc", "ablate_levels"])
@pytest.mark.parametrize("change", ["seed=5", "protocol.trunk=joint", "protocol.data=coco@12345678"])
@pytest.mark.parametrize("words", ["study", "study status", "study retry", "study replay", "study audit", "report"])
def test_every_command_refuses_them(
    study: str, change: str, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    assert command.main([*words.split(), study, "--set", change]) == 2
    assert f"--set {change}: {change.partition('=')[0]} has an option of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes", [{"variant.coords.padding": 2.0}, {"variant.coords": "DCC"}, {"variant": nano()}], ids=list
)
def test_a_change_that_makes_two_rows_one_job_is_refused(changes: dict[str, Any]) -> None:
    for protocol, trunk in ((WHOLE, ""), (PROBE, ", trunk x")):
        said = f"--set .*'base, seed 0{trunk}' and 'more, seed 0{trunk}' would be one job, counted twice"
        with pytest.raises(Refused, match=said):
            run_of(changes, protocol=protocol)


def test_a_trunk_that_is_named_twice_counts_once() -> None:
    twice = replace(PROBE, trunks=("x", "y", "x"))
    with pytest.raises(Refused, match=r"'base, seed 0, trunk x' and 'base, seed 0, trunk x' would be one job"):
        run_of({}, protocol=twice)


def test_rows_may_share_jobs_where_the_study_declares_them_equal() -> None:
    twins = replace(STUDY, rows=(Row("a"), Row("b"), Row("A/A", seed_offset=1)), claims=())  # its seeds overlap
    for changes in ({}, {"recipe.lr": 0.1}):
        jobs = run_of(changes, twins).jobs(3)
        assert len(jobs) == 9 and len({one.job.key for one in jobs}) == 4


APART = ("ablate_levels", "ablate_neck", "compare_backbones")  # their rows have no network in common


@pytest.mark.slow
@pytest.mark.parametrize("name", APART)
def test_rows_without_a_network_in_common_can_not_begin_with_one(name: str) -> None:
    study = find_study(name)
    assert isinstance(study, Study)
    with pytest.raises(
        Refused,
        match=rf"study {name}: under fork all rows begin with one network, .* 60 % of the epochs, and a row changes ",
    ):
        StudyRun(study, protocols.PROTOCOLS["fork"], Path())


@pytest.mark.slow
@pytest.mark.parametrize("name", known_studies())
def test_every_study_can_be_run_with_many_seeds(name: str) -> None:
    if not isinstance(study := find_study(name), Study):
        pytest.skip("nothing is trained")
    for protocol in protocols.PROTOCOLS.values():
        if protocol.trains and not (protocol.trunks and study.whole):
            try:
                run = StudyRun(study, protocol, Path(), seeds=3, changes={"recipe.lr": 0.002})
            except Refused as error:
                assert protocol.first and study.whole and "all rows begin with one network" in str(error)
                continue
            jobs = run.jobs()
            assert len({one.job.key for one in jobs}) == len(jobs) > 0


# --------------------------------------------------------------------------------------------------------- refusals


def test_wrong_changes_are_refused_when_the_run_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"--set 'variant.coords.paddin'.*padding"):
        run_of({"variant.coords.paddin": 1.0})
    with pytest.raises(Refused, match=r"--set variant\.neck=Nothing: no component of that name"):
        run_of({"variant.neck": "Nothing"})
    with pytest.raises(Refused, match="stands on trunks of the embedded scenes"):
        StudyRun(STUDY, PROBE, tmp_path, data=tmp_path)
    lost = replace(WHOLE, scale={"losses.Nothing.weights": (1.0,)})
    with pytest.raises(Refused, match=r"study planned under protocol whole: 'losses.Nothing"):
        run_of({}, protocol=lost)


@pytest.mark.parametrize("change", ["variant.coords.paddin=1", "nothing=1", "recipe.lr.x=1", "variant.neck=Nothing"])
@pytest.mark.parametrize("words", ["study", "study status", "study retry", "study replay", "study audit", "report"])
def test_a_path_that_leads_nowhere_is_one_line_in_every_command(
    words: str, change: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.core.processes.prepare", lambda: None)
    assert command.main([*words.split(), "ablate_dcc", "--set", change]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("workbench: --set ")


# ------------------------------------------------------------------------------------------------------------ names

CHANGES: list[dict[str, Any]] = [
    {"variant.num_classes": 2},
    {"recipe.lr": 1e-3},
    {"recipe.lr": 1e-4},
    {"recipe.weight_decay": 0.1},
    {"recipe.weight_decay": 0.1, "recipe.lr": 1e-3},
    {"recipe.encoder_lr_scale": 1.0},
    {"protocol.size": (64, 64)},
    {"protocol.size": (128, 128)},
    {"recipe": Recipe()},
    {"recipe": Recipe(lr=0.1)},
    {f"variant.losses.{loss}.weights": (1.0, 2.0, 3.0) for loss in ("VariFocal", "IoU", "OKS", "MLE", "Visibility")},
    {f"variant.losses.{loss}.weights": (1.0, 2.0, 3.5) for loss in ("VariFocal", "IoU", "OKS", "MLE", "Visibility")},
]


def test_two_changes_never_share_files_queue_or_settings() -> None:
    runs = [run_of({}), *map(run_of, CHANGES), StudyRun(STUDY, WHOLE, Path("home"), fingerprint="coco@abc")]
    assert len({run.name for run in runs}) == len({run.stem for run in runs}) == len(runs)


def test_signs_that_files_can_not_have_are_told_apart() -> None:
    """-1.0 and 1.0 look the same where every odd character is a dash."""
    classifier = replace(STUDY, rows=STUDY.rows[:1], claims=())
    stems = {run_of({"variant.coords.logit_scale": value}, classifier).stem for value in (-1.0, 1.0)}
    assert len(stems) == 2
    assert all(stem.startswith("planned_whole_variant.coords.logit_scale-") for stem in stems)


def test_names_of_files_stay_short() -> None:
    longest = max(known_studies(), key=len)
    for changes in CHANGES:
        stem = run_of(changes, replace(STUDY, name=longest)).stem
        assert len(f"{stem}_fronts-and-more.png".encode()) < 200


def test_without_changes_names_are_study_and_protocol() -> None:
    assert (run_of({}).name, run_of({}).stem) == ("planned/whole", "planned_whole")


def test_queues_of_old_are_found_again() -> None:
    """Their names stand in the stores of users: study, protocol, and a digest of the changes by their paths."""
    assert run_of({"recipe.lr": 0.1}).name == "planned/whole/452598b9"


def test_the_data_set_is_read_once_and_part_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(changed, "dataset_fingerprint", lambda folder: read.append(folder) or "coco@abc")
    monkeypatch.setattr(changed, "dataset_keypoints", lambda _: DataKeypoints(COCO, ""))
    monkeypatch.setattr(changed, "dataset_classes", lambda _: DataClasses(("person", "dog"), {}))
    run = StudyRun(STUDY, WHOLE, tmp_path, data=tmp_path / "coco", changes={"recipe.lr": 0.1})
    assert {one.job.protocol.data for one in run.jobs(3)} == {"coco@abc"}
    assert {one.job.variant.num_classes for one in run.jobs(3)} == {2}
    assert replace(run, seeds=4).stem == run.stem != run_of({"recipe.lr": 0.1}).stem
    assert read == [tmp_path / "coco"]
    assert replace(run, data=None).stem == run.stem  # a record is read without the folder


def test_every_job_takes_the_key_points_of_the_data(tmp_path: Path) -> None:
    root = animals(tmp_path / "goats")
    run = StudyRun(STUDY, WHOLE, tmp_path, data=root)
    assert {one.job.variant.skeleton.keypoints for one in run.jobs()} == {NAMES}
    assert len({one.job.key for one in run.jobs()}) == len(run.jobs())
    assert "keypoint" not in run.stem, "they follow from the data set, which is part of the name"
    (root / "keypoints.json").write_text('{"sigmas": 0.05}')
    other = StudyRun(STUDY, WHOLE, tmp_path, data=root)
    assert not {one.job.key for one in run.jobs()} & {one.job.key for one in other.jobs()}


def test_key_points_that_the_data_do_not_have_are_refused_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = animals(tmp_path / "goats")
    with pytest.raises(Refused, match="'goat' has 5 key points, num_keypoints is 14"):
        StudyRun(STUDY, WHOLE, tmp_path, data=root, changes={"variant.num_keypoints": 14})
    animal = {"variant.keypoint_set": "ap10k"}
    with pytest.raises(Refused, match=r"goats has 5 key points .goat., the variant 17 .ap10k.: leave out"):
        run_study(
            StudyRun(STUDY, WHOLE, tmp_path, data=root, changes={**animal, "variant.num_keypoints": 17}),
            machine=Machine(),
        )
    with pytest.raises(Refused, match=r"the embedded data set has 17 key points .coco., the variant 17 .ap10k.: add"):
        run_study(StudyRun(STUDY, WHOLE, tmp_path, changes=animal), machine=Machine())


def test_a_claim_that_the_data_can_not_decide_is_refused_before_work(tmp_path: Path) -> None:
    crowded = replace(STUDY, claims=(Better("E", "", "more", "base", metric="AP_E"),))
    for data, where in ((None, "the embedded data set"), (animals(tmp_path / "goats"), ".*goats")):
        with pytest.raises(Refused, match=f"claim E speaks of AP_E, which {where} can not decide: its evalu"):
            run_study(StudyRun(crowded, WHOLE, tmp_path, data=data), machine=Machine())


def test_some_rows_have_the_jobs_that_they_have_among_all() -> None:
    every = {one.row: one.job.key for one in run_of({}).jobs(1)}
    some = StudyRun(STUDY, WHOLE, Path("home"), rows=("A/A", "more"))
    assert {one.row: one.job.key for one in some.jobs(1)} == {row: every[row] for row in ("more", "A/A")}
    assert len(some.jobs()) == 4 and some.name == run_of({}).name
    with pytest.raises(Refused, match=r"--rows nobody: planned has no such row; there are .*'A/A'"):
        StudyRun(STUDY, WHOLE, Path("home"), rows=("base", "nobody"))
    with pytest.raises(Refused, match="claims decide which rows get seeds"):
        StudyRun(STUDY, WHOLE, Path("home"), rows=("base",), until=UntilDecided())
