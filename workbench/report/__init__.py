"""The report of a study: its record as CSV files, numbers, figures, and the pieces of a page that notebooks show."""

from typing import Any

from workbench.stats import Metric

Frame = Any  # a pandas.DataFrame; pandas types each of its columns as nearly anything
INTERVAL_OF: tuple[Metric, ...] = ("AP", "mOKS", "NME")
