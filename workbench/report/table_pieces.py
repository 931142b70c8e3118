"""The tables of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.evaluation.metrics import METRICS, PERCENT, Metric, Place, metrics_at
from workbench.experiments.mlflow_pages import address
from workbench.report import curves, findings, front, tables
from workbench.report.components import components_frame
from workbench.report.findings import values
from workbench.report.frames import Frame
from workbench.report.freshness import MLFLOW
from workbench.report.pieces import LeftOut, Text, left_out, number, paragraphs, table_text
from workbench.report.record import Record
from workbench.report.rows import cost_frame, labels, uneven
from workbench.training.record import FLAT


def ablation(record: Record) -> Text:
    """The check-mark table: what each row has, its AP, and what it costs."""
    things, frame = components_frame(record.jobs), tables.ablation_frame(record)
    names = [name for name in things.columns if things.loc[frame.index, name].any()]
    lines = [
        [str(row), *(str(things[name][row]) for name in names), *_numbers(line, uneven(record))]
        for row, line in frame.iterrows()
    ]
    heads = ["row", *names, *_HEADS]
    kept = [i for i, _ in enumerate(heads) if i == 0 or any(line[i] for line in lines)]
    table = table_text([heads[i] for i in kept], [[line[i] for i in kept] for line in lines])
    return paragraphs(table, _read_as(record, things.attrs["with"], names, frame["sd"].notna().any()))


_HEADS = ["seeds", "AP, %", "to the row above", "to the first", "params, M", "GFLOPs", "latency, times the first"]
_HEADS += ["minutes"]


def _numbers(line: Any, unequal: bool) -> list[str]:
    """The cells of a row after its check marks; its seeds where rows have not as many."""
    ap = METRICS["AP"]
    score = ap.text(line["AP"]) + ("" if math.isnan(line["sd"]) else f"\u00a0±\u00a0{ap.text(line['sd'])}")
    leads = ["" if math.isnan(line[name]) else ap.difference(line[name]) for name in ("above", "first")]
    costs = [METRICS[name].text(line[name]) for name in ("params", "gflops")]
    seeds = f"{line['seeds']:.0f}" if unequal else ""
    return [seeds, f"**{score}**" if line["best"] else score, *leads, *costs, *(number(line[n], d) for n, d in _ENDS)]


_ENDS = (("ratio", 2), ("minutes", 1))  # columns and digits


def _read_as(record: Record, together: Mapping[str, Sequence[str]], names: Sequence[str], several: bool) -> str:
    """What the columns of the check-mark table mean. `several`: a row has more than one seed."""
    trunk = " of one trunk" if (record.runs["trunk"] != "").any() else ""
    spread = f" ± the standard deviation over seeds{trunk}" if several else ""
    said = (
        f"AP is the mean over runs{spread}. The best mean is bold, if it is the best over the seeds that all rows "
        "have, too; none is where that is 0.0, and a row that repeats another is no candidate. Differences are taken "
        "over the seeds that both rows have, and tell nothing of chance: the claims do. "
    )
    for name, others in together.items():
        if name in names:
            said += f"With *{name}* come and go: {findings.listed(list(others))}. "
    said += f"GFLOPs are 10⁹ multiply-adds of one image with ten persons at {_size(record)} px. "
    if len(record.cost):
        said += "Latency is that of the published size, timed side by side (see below). "
    return said + "Minutes are those of training one run, without its evaluations and what it begins with."


def _size(record: Record) -> str:
    height, width = record.jobs[0].job.protocol.size
    return f"{height} x {width}"


def published(record: Record) -> Text | LeftOut:
    """What others have published for these rows."""
    frame = tables.published_frame(record)
    if frame.empty:
        return left_out("Published numbers", "none of these rows is at hand")
    lines = [[str(c["row"]), f"{c['value']:g}", str(c["source"])] for c in frame.to_dict("records")]
    note = (
        "Trained and judged on other data, at another size, for far longer: not to be compared with what is measured "
        "here."
    )
    return paragraphs(table_text(["row", "AP, %, published", "where"], lines), note)


def table(record: Record) -> Text:
    """Every other metric of quality, by row."""
    frame = tables.table_frame(record)
    return paragraphs(markdown(frame), _legend(frame))


def markdown(frame: Frame) -> str:
    """A table of rows in Markdown: quality in percent."""
    shown = {"row": [str(label) for label in frame.index]}
    for name in frame.columns:
        shown[METRICS[name].column if name in METRICS else name] = [_cell(name, v) for v in frame[name]]
    return table_text(list(shown), list(zip(*shown.values(), strict=True)))


def _cell(name: str, value: Any) -> str:
    if name in ("runs", "seeds"):
        return f"{value:.0f}"
    return METRICS[name.partition(" on ")[0]].text(value)  # "AP on joint": of one trunk


def _legend(frame: Frame) -> str:
    measured = [metric for metric in metrics_at(Place.REPORT) if metric.name in frame and metric.measure]
    coco = [metric.name for metric in measured if not metric.meaning]
    said = f"{findings.listed(coco)} are COCO's, in percent. "
    return (said + "".join(_meaning(metric) for metric in measured if metric.meaning)).strip()


def _meaning(metric: Metric) -> str:
    unit = ", in percent," if metric.shown is PERCENT else ""
    return f"{metric.name}{unit} is {metric.meaning}. "


def runs(record: Record) -> Text | LeftOut:
    """Where each run stands in MLflow."""
    if MLFLOW not in record.runs or record.runs[MLFLOW].isna().all():
        return left_out("Links to the runs", "MLflow had none of them when this record was written")
    lines = [[label, " ".join(_run_links(record.runs[record.runs["row"] == label]))] for label in labels(record)]
    return paragraphs(table_text(["row", "runs"], lines), _LINKS)


_LINKS = "The links open where these runs were made, while `nox -s ui` runs there."


def _run_links(mine: Frame) -> list[str]:
    return [
        f"[seed {run['seed']}{', ' * bool(run['trunk'])}{run['trunk']}]({address(run[MLFLOW])})"
        for run in mine.to_dict("records")
        if isinstance(run[MLFLOW], str) and run[MLFLOW]
    ]


def costs(record: Record) -> Text | LeftOut:
    """What the rows cost, timed side by side."""
    frame = cost_frame(record)
    if frame.empty:
        run = f"nox -s study -- {record.study.name} --protocol cost"
        return left_out("Costs side by side", f"the record does not hold them; run `{run}`")
    lines = [
        [
            str(label),
            *(METRICS[name].text(c[name]) for name in ("params", "gflops", "latency_ms_p50")),
            f"{c['latency_ms_p10']:.1f} to {c['latency_ms_p90']:.1f}",
            f"{c['latency_ratio']:.3f} ({number(c['ratio_low'], 3)} to {number(c['ratio_high'], 3)})",
        ]
        for label, c in frame.iterrows()
    ]
    heads = [
        "row",
        *(METRICS[name].column for name in ("params", "gflops", "latency")),
        "10th to 90th percentile",
        "times the first row, 95 % interval",
    ]
    return paragraphs(table_text(heads, lines), f"{conditions(frame)} GFLOPs are 10⁹ multiply-adds of one image.")


def conditions(frame: Frame) -> str:
    """Where and how costs were timed."""
    known = {"machine": "", "threads": " thread", "precision": "", "size": " px", "rounds": " interleaved rounds"}
    said = [f"{values(frame, name)}{unit}" for name, unit in known.items() if name in frame]
    said += [f"other processes on {values(frame, 'others')} cores"] * ("others" in frame)
    said += [f"load {values(frame, 'load')}"] * ("load" in frame)  # in older files
    if "slack" in frame:  # not in older files
        said.append(f"the same network timed twice differs by up to {100 * frame['slack'].max():.1f} %")
    said.append(f"commit {values(frame, 'commit')}")
    return f"Timed side by side at published size: {', '.join(said)}."


def front_table(record: Record, cost: str) -> Text | LeftOut:
    """Who is on the front, and by whom the others are beaten."""
    frame, what = front.front_frame(record, cost), f"The front by {METRICS[cost].column.partition(',')[0]}"
    if len(frame) < 2:
        return left_out(what, "fewer than two rows have AP and this cost")
    if same := front.alike(record):
        return left_out(what, same)
    lines = [
        [
            str(c["row"]),
            f"{c['cost']:.4g}",
            METRICS["AP"].text(c["AP"]),
            "yes" if c["front"] else "",
            c["dominators"][0] if c["dominators"] else "",
        ]
        for c in frame.sort_values("cost").rename_axis("row").reset_index().to_dict("records")
    ]
    heads = ["row", findings.cost_text(record, cost), "AP, %", "on the front", "dominated by"]
    return Text(table_text(heads, lines))


def flatness(record: Record) -> Text | LeftOut:
    """How flat the curves end, and what other seeds alone change."""
    if record.curves.empty:
        return left_out("What the ends of curves say", "the record holds none")
    gains = curves.gains_frame(record)
    lines = []
    if len(gains):
        lines.append(
            f"Flat at the end (less than {METRICS['AP'].text(FLAT)} AP over the last quarter): {curves.flat(gains)} of "
            f"{len(gains)} curves. Gain over the last quarter, AP, mean over runs and largest:"
        )
        by_row = gains.groupby("row")["gain"]
        each = [(r, by_row.mean()[r], by_row.max()[r]) for r in labels(record) if r in by_row.groups]
        rows = [[label, *map(METRICS["AP"].difference, gained)] for label, *gained in each]
        lines += ["", table_text(["row", "mean", "largest"], rows), ""]
    else:
        lines.append("The curves have too few points to say whether they are flat.")
    return Text("\n".join([*lines, *(_repeat(*one) for one in curves.seed_counts(record))]))


def _repeat(pair: Mapping[str, Any], verdict: str) -> str:
    ends = " to ".join(findings.signed(pair[end], "AP").removesuffix(" AP") for end in ("low", "high"))
    return (
        f"\nNoise floor: {pair['row']} is “{pair['than']}” with other seeds. They differ by "
        f"{findings.signed(pair['mean'], 'AP')}, 95 % interval {ends}. A claim that one is better would be "
        f'<b class="{verdict}">{verdict}</b>, {"as it should be" if verdict == "open" else "which is wrong"}.'
    )
