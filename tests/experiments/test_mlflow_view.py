"""The view of runs that is saved with a study."""

import base64
import json
import zlib
from typing import Any

from workbench.evaluation.metrics import Metric
from workbench.experiments.mlflow_view import saved_view, shown_metrics


def state() -> dict[str, Any]:
    """What the browser unpacks."""
    packed = json.loads(saved_view())["state"].removeprefix("deflate;")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def test_the_view_has_quality_cost_and_minutes_in_groups_of_one_row() -> None:
    columns = state()["selectedColumns"]
    assert {"params.`row`", "metrics.`AP`", "metrics.`gflops`", "metrics.`train_minutes`"} <= set(columns)
    assert state()["groupBy"]["groupByKeys"][0] == {"mode": "param", "groupByData": "row"}
    assert len(columns) == len(set(columns)), "no column twice"


def test_a_metric_that_is_added_to_the_table_is_a_column(added: Metric) -> None:
    assert added.name in shown_metrics() and f"metrics.`{added.name}`" in state()["selectedColumns"]
