"""What runs of a study vary by: the table behind the spread that moderates every claim's own.

The table holds the rows which claims compare that can be decided, and each job once. A row that has never learnt is
left out: it has no variance to speak of. `evaluation.moderation` says what becomes of it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np

from workbench.evaluation.moderation import Residual, StudySpread, residual_of
from workbench.experiments.pairing import Results
from workbench.experiments.readings import Read, value_of
from workbench.study import Better
from workbench.tensors import Floats
from workbench.training.record import arithmetic_of

LEARNT = 0.01  # mean AP below which a row has never learnt


@dataclass(frozen=True)
class RunTable:
    """The runs of a study as rows by seeds (or trunks), from which its residual is taken once per end point.

    Fields:
        rows: those which claims compare that can be decided.
    """

    rows: frozenset[str]
    results: Results
    read: Read
    _known: dict[tuple[str, frozenset[str], tuple[str, ...]], Residual] = field(default_factory=dict)

    def spread(self, claim: Better, trunks: tuple[str, ...] = ()) -> StudySpread:
        """What the difference of a claim varies by, as the runs of the study tell.

        Rows that no claim decides join for their own alone.

        Args:
            trunks: those that stand in place of seeds; () where there are none.
        """
        key = claim.metric, self.rows.union(claim.rows), trunks
        if key not in self._known:
            self._known[key] = residual_of(self._values(*key))
        return self._known[key].of_difference(len(claim.rows))

    def _values(self, metric: str, rows: frozenset[str], trunks: tuple[str, ...]) -> Floats:
        """(rows, seeds or trunks), nan where no run is known."""
        cells: dict[tuple[str, str | int], list[float]] = defaultdict(list)
        for one, result in self._counted(rows, trunks):
            cells[one.row, one.trunk or one.seed].append(value_of(result, metric, self.read))
        labels, blocks = (list(dict.fromkeys(cell[side] for cell in cells)) for side in (0, 1))
        values = np.full((len(labels), len(blocks)), np.nan)
        for (row, block), found in cells.items():
            values[labels.index(row), blocks.index(block)] = np.mean(found)
        return values

    def _counted(self, rows: frozenset[str], trunks: tuple[str, ...]) -> Results:
        """Each job of these rows once, those computed as most are, without rows at the floor."""
        there = [(one, result) for one, result in self.results if one.row in rows and one.trunk in (trunks or ("",))]
        mine = {one.job.key: (one, result) for one, result in there}.values()
        usual = Counter(arithmetic_of(result.tags) for _, result in mine).most_common(1)
        alike = [(one, result) for one, result in mine if arithmetic_of(result.tags) == usual[0][0]]
        by_row: dict[str, list[float]] = defaultdict(list)
        for one, result in alike:
            by_row[one.row].append(result.metrics.get("AP", math.inf))
        return [(one, result) for one, result in alike if np.mean(by_row[one.row]) >= LEARNT]
