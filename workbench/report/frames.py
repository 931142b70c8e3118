"""The type of a table, and the metrics that have an interval in one."""

from typing import Any

from workbench.evaluation.bootstrap import Metric

Frame = Any  # a pandas.DataFrame; pandas types each of its columns as nearly anything
INTERVAL_OF: tuple[Metric, ...] = ("AP", "mOKS", "NME")
