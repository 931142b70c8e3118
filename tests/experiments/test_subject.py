"""What a record says of the jobs of a study."""

from pathlib import Path

from tests.experiments.fakes import SETTING, STUDY
from workbench.experiments.plan import StudyRun
from workbench.experiments.subject import said, study_subject, varying


def test_only_factors_that_vary_are_parameters(tmp_path: Path) -> None:
    assert varying(STUDY, SETTING) == ["coords.padding", "coords.dynamic_allocation"]
    subject, planned = study_subject(StudyRun(STUDY, SETTING, tmp_path)), STUDY.planned_jobs(SETTING, 1)
    assert [subject.parameters(one)["coords.padding"] for one in planned] == ["1.25", "1.5", "1.25"]
    assert [subject.tags(one)["claim"] for one in planned] == ["F1", "none", "F1"]
    assert subject.numbers(planned[0]) == {} and subject.changes == "none"


def test_changes_are_said_with_their_paths(tmp_path: Path) -> None:
    assert study_subject(StudyRun(STUDY, SETTING, tmp_path, changes={"recipe.lr": 0.5})).changes == "recipe.lr=0.5"
    assert said([]) == "none"
