"""The best row of a study as a registered model: which run it is, and that MLflow loads it back."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from workbench.core.errors import Refused
from workbench.experiments import registry
from workbench.experiments.plan import StudyRun
from workbench.experiments.registry import best_run, register_best
from workbench.models.job import Protocol
from workbench.models.zoo import nano
from workbench.study import Row, Study, StudyProtocol
from workbench.training.record import write_result

STUDY = Study(
    name="registered",
    question="Which?",
    source="none",
    base=nano(),
    rows=(Row("base"), Row("better", {"coords.padding": 1.5}), Row("A/A", seed_offset=100)),
)
SETTING = StudyProtocol("test", "about", Protocol(size=(96, 96), epoch_images=100), seeds=3)
SCORES = {"base": (0.2, 0.3, 0.1), "better": (0.3, 0.5, 0.25), "A/A": (0.9, 0.9, 0.9)}


def complete(home: Path, scores: Mapping[str, tuple[float, ...]]) -> StudyRun:
    """Complete jobs with these APs, seed by seed; what is left out is not complete."""
    run = StudyRun(STUDY, SETTING, home)
    seen = dict.fromkeys(SCORES, 0)
    for one in run.jobs():
        seen[one.row] += 1
        if seen[one.row] <= len(scores.get(one.row, ())):
            folder = run.folder(one.job.key)
            folder.mkdir(parents=True)
            (folder / "curve.csv").write_text("epoch,AP\n1,0.1\n")
            tags = {"commit": "abc", "machine": "m", "threads": "1", "precision": "float32"}
            write_result(folder, one.job.key, {"AP": scores[one.row][seen[one.row] - 1]}, tags)
    return run


def test_the_best_row_is_that_of_the_highest_mean_and_its_run_the_middle_one(tmp_path: Path) -> None:
    planned, result = best_run(complete(tmp_path, SCORES))
    assert (planned.row, planned.seed, result.metrics["AP"]) == ("better", 0, 0.3), "0.5 would be luck"
    planned, _ = best_run(complete(tmp_path / "x", SCORES), "base")
    assert (planned.row, planned.seed) == ("base", 0)


def test_rows_are_compared_on_the_seeds_that_they_share(tmp_path: Path) -> None:
    """By all of them the base would win: its first seed is an easy one."""
    planned, _ = best_run(complete(tmp_path, {"base": (0.2,), "better": (0.25, 0.05, 0.05)}))
    assert planned.row == "better"


def test_what_can_not_be_called_best_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        Refused,
        match=r"registered, test: nothing is complete in .*; run it first: workbench study registered --protocol test",
    ):
        best_run(complete(tmp_path / "a", {}))
    run = complete(tmp_path / "b", {"base": (0.2,)})
    with pytest.raises(Refused, match="row 'better': nothing is complete"):
        best_run(run, "better")
    with pytest.raises(Refused, match="has no such row; there are 'base', 'better'"):
        best_run(run, "A/A")
    last = next(one for one in run.jobs() if one.row == "better" and one.seed == 2)
    run.folder(last.job.key).mkdir()
    write_result(run.folder(last.job.key), last.job.key, {"AP": 0.9}, {})
    (run.folder(last.job.key) / "curve.csv").write_text("epoch,AP\n")
    with pytest.raises(Refused, match="rows are not complete for one seed together"):
        best_run(run)


def model(path: Path) -> Path:
    """A file with the inputs and outputs of a deployed network: it finds one person everywhere."""
    dets = helper.make_tensor("d", TensorProto.FLOAT, (1, 1, 5), [1, 2, 3, 4, 0.5])
    points = helper.make_tensor("k", TensorProto.FLOAT, (1, 1, 2, 3), range(6))
    nodes = [helper.make_node("Constant", [], [n], value=v) for n, v in (("dets", dets), ("keypoints", points))]
    taken = helper.make_tensor_value_info("input", TensorProto.FLOAT, ("b", 3, "h", "w"))
    given = [
        helper.make_tensor_value_info("dets", TensorProto.FLOAT, (1, 1, 5)),
        helper.make_tensor_value_info("keypoints", TensorProto.FLOAT, (1, 1, 2, 3)),
    ]
    whole = helper.make_model(
        helper.make_graph(nodes, "g", [taken], given), opset_imports=[helper.make_opsetid("", 20)]
    )
    whole.ir_version = 9
    helper.set_model_props(whole, {"keypoint_names": "nose,tail"})
    onnx.save(whole, str(path))
    return path


@pytest.mark.slow
def test_mlflow_loads_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "load_trained", lambda folder: folder)
    monkeypatch.setattr(registry, "exported", lambda _, path: model(path))
    run = complete(tmp_path, SCORES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own
        import mlflow

        found, again = register_best(run), register_best(run, row="base")
        assert (found.name, found.version, again.version) == ("registered-test", 1, 2)
        loaded = mlflow.pyfunc.load_model(found.uri)
        persons = loaded.predict({"input": np.zeros((1, 3, 96, 96), np.float32)})
    assert persons["dets"].tolist() == [[[1, 2, 3, 4, 0.5]]] and persons["keypoints"].shape == (1, 1, 2, 3)
    signature = loaded.metadata.signature
    assert signature is not None and signature.outputs.inputs[1].shape == (-1, -1, 2, 3)
    client = registry.open_client(run.home)
    version = client.get_model_version_by_alias("registered-test", "best")
    assert version.tags["row"] == "base" and version.run_id == again.run != found.run
    assert client.get_run(found.run).data.metrics["AP"] == 0.3 and client.get_run(found.run).info.status == "FINISHED"
