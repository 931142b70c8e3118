"""The things that rows have or have not."""

import pytest

from workbench.experiments.protocols import protocol_named
from workbench.models.zoo import nano
from workbench.report.components import components_frame, thing_name
from workbench.study import Row, Study, StudyProtocol, find_study


@pytest.fixture(scope="module")
def laptop() -> StudyProtocol:
    return protocol_named("laptop")


def test_settings_count_where_the_component_is_the_same(laptop: StudyProtocol) -> None:
    study = find_study("ablate_dcc")
    assert isinstance(study, Study)
    frame = components_frame(study.planned_jobs(laptop))
    assert list(frame.columns) == ["coords", "dynamic allocation", "dynamic encoding", "cell position", "KLD", "MLE"]
    assert frame.loc["regression"].tolist() == ["Regression", "", "", "", "", ""]
    assert frame.loc["- cell position"].tolist() == ["DCC", "✓", "", "", "✓", ""]
    assert frame.loc["+ MLE (RTMO)"].tolist() == ["DCC", "✓", "✓", "", "", "✓"]
    assert not frame.attrs["with"], "regression differs by its stage alone"


def test_a_number_is_shown_and_an_augmentation_counts(laptop: StudyProtocol) -> None:
    rows = (Row("base"), Row("wide", {"coords.padding": 1.5}), Row("rtmo", {"protocol.augment": "rtmo"}))
    frame = components_frame(Study("s", "?", "a test", nano(), rows).planned_jobs(laptop))
    assert frame["padding"].tolist() == ["1.25", "1.5", "1.25"]
    assert frame.index.tolist() == ["base", "wide", "rtmo"] and len(frame.columns) == 2


def test_rows_that_are_one_network_differ_in_nothing(laptop: StudyProtocol) -> None:
    rows = (Row("base"), Row("A/A", seed_offset=100))
    assert components_frame(Study("s", "?", "a test", nano(), rows).planned_jobs(laptop)).columns.empty


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("losses.KLD.width", "KLD width"),
        ("coords.num_bins", "num bins"),
        ("coords", "coords"),
        ("phases.1.proxy", "phases 1 proxy"),
    ],
)
def test_a_path_is_the_head_of_a_column(path: str, name: str) -> None:
    assert thing_name(path) == name


def test_what_a_job_begins_with_is_no_thing_of_its_row() -> None:
    """Its key differs in every row: it follows from what the row says itself."""
    study = Study("s", "?", "", nano(), (Row("a"), Row("b", {"coords.padding": 1.5})))
    assert list(components_frame(study.planned_jobs(protocol_named("fork"), 1))) == ["padding"]
