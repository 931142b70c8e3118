"""The view of a study's runs that is saved in MLflow: which numbers it shows, and how they are grouped."""

from __future__ import annotations

import base64
import json
import time
import zlib

from workbench.evaluation.metrics import Place, metrics_at

VIEW = "workbench"  # the key of the saved view
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
_TIMES = ("latency_ms_p50", "latency_ratio", "train_minutes", "train_core_minutes")


def shown_metrics() -> list[str]:
    """The metrics of the saved view and of descriptions, by name."""
    return [m.name for m in metrics_at(Place.MLFLOW) if not m.name.startswith("latency")] + [*_TIMES]


def saved_view() -> str:
    """The saved view "AP and cost", in groups of one row: MLflow's own table hides children, and every metric.

    Its form is what MLflow 3.17 writes when a view is saved in the browser; the browser test opens it.
    """
    columns = [f"params.`{name}`" for name in ("row", "seed", "trunk")]
    columns += [f"metrics.`{name}`" for name in shown_metrics()]
    state = {
        "searchFilter": "tags.`workbench.role` = 'job'",
        "orderByKey": "metrics.`AP`",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_20_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "param", "groupByData": "row"}, {"mode": "tag", "groupByData": "protocol"}],
        },
        "groupsExpanded": {},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    now = int(time.time() * 1000)
    return json.dumps({"name": "AP and cost", "createdAt": now, "updatedAt": now, "state": f"deflate;{packed}"})
