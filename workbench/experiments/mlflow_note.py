"""The description of a run in MLflow, in Markdown: what it differs in, its curve and its picture, what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.core.words import harmless_markdown
from workbench.experiments.mlflow_view import shown_metrics
from workbench.study import PlannedJob

PICTURE = "predictions.png"
CURVE_POINTS = 10  # of a curve in a description


def run_note(
    planned: PlannedJob,
    question: str,
    factors: Mapping[str, str],
    numbers: Mapping[str, float],
    curve: Sequence[Mapping[str, float]],
    pictured: str,
) -> str:
    """The description of a run.

    Args:
        question: which the run helps to answer, and under what protocol.
        factors: what the rows differ in, and what that is here.
        numbers: final ones; those of the saved view are shown.
        curve: one mapping per evaluation, with `epoch`.
        pictured: the run's id where it has a picture of what was found, else "".
    """
    where = f", on trunk {planned.trunk}" if planned.trunk else ""
    picture = f"![what was found](get-artifact?path={PICTURE}&run_uuid={pictured})" if pictured else ""
    lines = [
        f"**{_said(planned.row)}**, seed {planned.seed}{where}. What the rows differ in, and what it is here:",
        _columns(factors),
        _curve_text(curve),
        picture,
        _columns({m: f"{numbers[m]:.4g}" for m in shown_metrics() if m in numbers}),
        harmless_markdown(question),
    ]
    return "\n\n".join(filter(None, lines))


def _curve_text(curve: Sequence[Mapping[str, float]]) -> str:
    """AP over epochs as a Markdown table, at most `CURVE_POINTS` of them, the last one among these."""
    points = [line for line in curve if "AP" in line and "epoch" in line]
    kept = points[:: -max(1, -(-len(points) // CURVE_POINTS))][::-1]
    return (
        _columns({"epoch": "AP, %"} | {f"{line['epoch']:g}": f"{100 * line['AP']:.1f}" for line in kept})
        if kept
        else ""
    )


def _said(word: str) -> str:
    """A word of somebody's in a cell or a line."""
    return harmless_markdown(word).replace("|", "/")


def _columns(cells: Mapping[str, str]) -> str:
    """A Markdown table of one line; "" without cells."""
    lines = (map(_said, cells), ["---"] * len(cells), map(_said, cells.values()))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if cells else ""
