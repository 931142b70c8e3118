"""The figures of a page, from the record alone. One that the record has no numbers for is left out, and why is said."""

from __future__ import annotations

from workbench.report import curves as training
from workbench.report import error_figures, figures, findings, front
from workbench.report import tables as numbers
from workbench.report.drawing import Hover, svg
from workbench.report.forest_figure import forest_figure
from workbench.report.interactive import interactive
from workbench.report.pieces import NOT_RECORDED, LivePicture, Piece, left_out, picture
from workbench.report.record import Record
from workbench.report.rows import labels
from workbench.report.verdict_frames import earlier, forest_frame

ONE_READING = "each run was evaluated once, at its end"


def forest(record: Record) -> Piece:
    """Differences with intervals."""
    frame = forest_frame(record)
    if frame.empty:
        return left_out("Differences", NOT_RECORDED)
    title, hover = findings.forest_finding(frame), Hover()
    if earlier(record):
        title = f"By an earlier rule: {title[:1].lower()}{title[1:]}"
    figure = forest_figure(frame, title, hover)
    return LivePicture(picture(figure, title), interactive(svg(figure), hover, labels(record), "differences"))


def quality(record: Record) -> Piece:
    """The metrics that have intervals beside each other."""
    if not {"AP", "mOKS", "NME"} <= set(record.runs):
        return left_out("Errors", "the record holds no mean OKS and no mean error")
    title = findings.quality_finding(record)
    rows = numbers.intervals_of_rows(record.runs, record.rows)
    return picture(figures.quality_figure(record.runs, rows, labels(record), title), title)


def fronts(record: Record) -> Piece:
    """AP against latency and FLOPs."""
    frames = {cost: front.front_frame(record, cost) for cost in front.COSTS}
    frames = {cost: frame for cost, frame in frames.items() if len(frame) > 1}
    if not frames:
        return left_out("AP against cost", "fewer than two rows have both")
    if same := front.alike(record):
        return left_out("AP against cost", same)
    title = "; ".join(findings.front_finding(frame, cost) for cost, frame in frames.items())
    named = {findings.cost_text(record, cost): frame for cost, frame in frames.items()}
    hover, rows = Hover(), labels(record)
    figure = figures.fronts_figure(named, rows, title, hover)
    return LivePicture(picture(figure, title), interactive(svg(figure), hover, rows, "front"))


def curves(record: Record) -> Piece:
    """AP over training."""
    if record.curves.empty:
        return left_out("Curves", "the record holds none")
    if not training.has_curves(record):
        return left_out("Curves", ONE_READING)
    title = findings.curves_finding(training.gains_frame(record))
    return picture(figures.curves_figure(training.bands_frame(record), labels(record), title), title)


def loss_curves(record: Record) -> Piece:
    """Training losses over epochs."""
    frame = training.losses_frame(record)
    if frame.empty or not training.has_curves(record):
        return left_out("Losses", "the record holds none" if frame.empty else ONE_READING)
    title = findings.losses_finding(frame)
    return picture(figures.losses_figure(frame, labels(record), title), title)


def precision(record: Record) -> Piece:
    """Precision against recall."""
    if record.precision.empty:
        return left_out("Precision and recall", NOT_RECORDED)
    title = findings.precision_finding(record.precision)
    return picture(error_figures.precision_figure(record.precision, labels(record), title), title)


def points(record: Record) -> Piece:
    """The error of each key point."""
    if record.points.empty:
        return left_out("Errors by key point", NOT_RECORDED)
    title = findings.points_finding(record.points)
    return picture(error_figures.points_figure(record.points, labels(record), title), title)


def kinds(record: Record) -> Piece:
    """What kind of error key points have."""
    shares = numbers.kinds_frame(record)
    if shares.empty:
        return left_out("Kinds of error", NOT_RECORDED)
    title = findings.kinds_finding(shares)
    return picture(error_figures.kinds_figure(shares, title), title)


def slices(record: Record) -> Piece:
    """AP by size of persons and by crowding."""
    means = {by: numbers.slices_mean(record, by) for by in ("size", "crowding")}
    means = {by: frame for by, frame in means.items() if len(frame) and len(frame.columns) > 1}
    if not means:
        return left_out("AP by size and crowding", NOT_RECORDED)
    persons = {by: _persons(record, by) for by in means}
    title = "; ".join(findings.slices_finding(frame, by) for by, frame in means.items())
    return picture(error_figures.slices_figure(means, persons, labels(record), title), title)


def _persons(record: Record, by: str) -> dict[str, int]:
    mine = record.slices[record.slices["by"] == by]
    return dict(zip(mine["slice"], mine["persons"], strict=True))
