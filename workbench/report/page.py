"""The pieces of a page, as a notebook shows them: texts in Markdown and pictures, each from one call.

A figure that the record has no numbers for is replaced by a sentence that says why.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS, PERCENT, Metric, Place, metrics_at
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.tracking import address
from workbench.report import examples as networks
from workbench.report import fairness, figures, findings, network_figures, tables
from workbench.report.components import components_frame
from workbench.report.findings import values
from workbench.report.frames import Frame
from workbench.report.freshness import networks_stamp, stamp_of
from workbench.report.interactive import interactive
from workbench.report.record import Record, read_csv
from workbench.study import BESIDE, TimingStudy, find_study
from workbench.training.record import FLAT

RENDERED = Path("reports/rendered")


@dataclass(frozen=True)
class Text:
    """Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


@dataclass(frozen=True)
class PagePicture:
    """A PNG file; `title` stands for it where it can not be seen."""

    png: bytes
    title: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": b64encode(self.png).decode(), "text/plain": self.title}
        return data, {"image/png": {"alt": self.title}}


@dataclass(frozen=True)
class LivePicture:
    """A picture, and the same as a piece of HTML that answers the pointer."""

    picture: PagePicture
    html: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, Any]]:
        data, metadata = self.picture._repr_mimebundle_()
        return {**data, "text/html": self.html}, metadata


Piece = Text | PagePicture | LivePicture


def _picture(figure: Any, title: str, stamp: str = "") -> PagePicture:
    return PagePicture(figures.png(figure, stamp), title)


def left_out(what: str, why: str) -> Text:
    """The sentence in place of a figure."""
    return Text(f"*{what} left out: {why}.*")


# ------------------------------------------------------------------------------------------------------------ head


def head(record: Record) -> Text:
    """The question, the conclusion, what was run where, and what to mind."""
    return Text("\n\n".join([f"# {record.study.question}", conclusion(record), about(record), *_warnings(record)]))


def conclusion(record: Record) -> str:
    """What holds, fails and is open, and how surely."""
    return findings.concluded(tables.verdicts_frame(record), _judged_on(record))


def _judged_on(record: Record) -> str:
    """Over what chance the claims were judged."""
    counts = sorted(set(tables.ablation_frame(record)["seeds"]))
    seeds = f"{counts[0]:g}" if len(counts) == 1 else f"{counts[0]:g} to {counts[-1]:g}"
    trunks = record.runs["trunk"].nunique() if (record.runs["trunk"] != "").any() else 0
    return f"{seeds} seed{'s' * (seeds != '1')} of each row" + f" on each of {trunks} trunks" * bool(trunks)


def about(record: Record) -> str:
    """What was run, how often, where; and where the numbers stand."""
    runs, protocol = record.runs, record.protocol
    done = f"{len(runs) - tables.stale(record)} of {len(record.jobs)} runs complete"
    what = (
        f"{_ended(record.study.source)} Protocol `{protocol.name}`: {protocol.about}. {done}; "
        f"seeds {values(runs, 'seed')}; "
        f"{values(runs, 'machine')}; threads {values(runs, 'threads')}; {values(runs, 'precision')}."
    )
    return f"{what}\n\n{origin(record)}"


def _ended(text: str) -> str:
    return text.rstrip(".") + "."


def origin(record: Record) -> str:
    """Where the numbers come from. The same wherever the page is written."""
    return (
        f"Numbers from job folders at commit {values(record.runs, 'commit')}: `result.json`, `curve.csv` and, for "
        f"intervals, `records.npz` of {len(record.runs)} runs. They stand in `{REPORT_DATA / record.stem}.csv` and the "
        f"files beside it; the MLflow store holds the same files of each run."
    )


def _seeds_asked(record: Record) -> int:
    return record.study.seeds_under(record.protocol)


def _warnings(record: Record) -> list[str]:
    found = []
    if gone := tables.missing(record):
        found.append(f"The record lacks {findings.listed([f'“{label}”' for label in gone])}.")
    asked = _seeds_asked(record)
    if record.seeds < asked:
        found.append(f"The protocol has {asked} seeds per row, the record {record.seeds}.")
    if old := tables.stale(record):
        found.append(
            f"{old} of {len(record.runs)} recorded runs are of an earlier version of the study or its protocol."
        )
    lost = record.runs["unreadable_images"].max() if "unreadable_images" in record.runs else 0
    if lost > 0:
        found.append(f"{lost:.0f} images could not be read and are missing in what was trained and judged.")
    return ["**Read with care.** " + " ".join(found)] if found else []


def verdicts(record: Record) -> Text:
    """The claims with verdict and reason, and what the audit has flagged of their rows."""
    return _verdicts(tables.verdicts_frame(record), fairness.claim_flags(record))


def _verdicts(frame: Frame, flags: Mapping[str, Sequence[str]] | None = None) -> Text:
    if frame.empty:
        return Text("The study makes no claim.")
    columns: dict[str, list[str]] = {
        "id": list(frame["claim"]),
        "claim": list(frame["text"]),
        "verdict": [f'<b class="{word}">{word}</b>' for word in frame["verdict"]],
        "effect (95 % interval)": list(frame["effect"]),
        "why": list(frame["reason"]),
    }
    if any(frame["beside"]):
        columns["beside AP"] = [str(word) for word in frame["beside"]]
    if flags:
        columns["what else differs"] = ["<br>".join(flags.get(claim, ())) for claim in frame["claim"]]
    table = table_text(list(columns), [list(line) for line in zip(*columns.values(), strict=True)])
    says = (f"{name}: a row that is better in it {METRICS[name].says}." for name in BESIDE if "beside AP" in columns)
    return Text("\n\n".join([table, *says]))


def audit(record: Record) -> Text:
    """What else differs between the rows besides what they name."""
    if fairness.audit_frame(record).empty:
        run = f"nox -s study -- audit {record.study.name} --protocol {record.protocol.name}"
        return left_out("What else differs", f"the record has no audit of these rows; run `{run}`")
    same, apart, lines = fairness.facts(record)
    alike = f"The same in all rows: {'; '.join(f'{name}: {value}' for name, value in same.items()) or 'nothing'}."
    heads = ["row", "compared with", "differs, besides what the row names", "flagged"]
    pairs = table_text(heads, fairness.compared_rows(record))
    return Text("\n\n".join([pairs, alike, table_text(["row", *apart], lines) if apart else ""]).strip())


# ----------------------------------------------------------------------------------------------------------- table


def ablation(record: Record) -> Text:
    """The check-mark table: what each row has, its AP, and what it costs."""
    things, frame = components_frame(record.jobs), tables.ablation_frame(record)
    names = [name for name in things.columns if things.loc[frame.index, name].any()]
    lines = [
        [str(row), *(str(things[name][row]) for name in names), *_numbers(line, tables.uneven(record))]
        for row, line in frame.iterrows()
    ]
    heads = ["row", *names, *_HEADS]
    kept = [i for i, _ in enumerate(heads) if i == 0 or any(line[i] for line in lines)]
    table = table_text([heads[i] for i in kept], [[line[i] for i in kept] for line in lines])
    return Text("\n\n".join([table, _read_as(record, things.attrs["with"], names)]))


_HEADS = ["seeds", "AP, %", "to the row above", "to the first", "params, M", "GFLOPs", "latency, times the first"]
_HEADS += ["minutes"]


def _numbers(line: Any, uneven: bool) -> list[str]:
    """The cells of a row after its check marks; its seeds where rows have not as many."""
    ap = METRICS["AP"]
    score = ap.text(line["AP"]) + ("" if math.isnan(line["sd"]) else f"\u00a0±\u00a0{ap.text(line['sd'])}")
    leads = ["" if math.isnan(line[name]) else ap.difference(line[name]) for name in ("above", "first")]
    costs = [METRICS[name].text(line[name]) for name in ("params", "gflops")]
    seeds = f"{line['seeds']:.0f}" if uneven else ""
    return [seeds, f"**{score}**" if line["best"] else score, *leads, *costs, *(_number(line[n], d) for n, d in _ENDS)]


_ENDS = (("ratio", 2), ("minutes", 1))  # columns and digits


def _read_as(record: Record, together: Mapping[str, Sequence[str]], names: Sequence[str]) -> str:
    """What the columns of the check-mark table mean."""
    trunk = " of one trunk" if (record.runs["trunk"] != "").any() else ""
    said = (
        f"AP is the mean over runs ± the standard deviation over seeds{trunk}. The best mean is bold, if it is the "
        "best over the seeds that all rows have, too; a row that repeats another is no candidate. Differences are "
        "taken over the seeds that both rows have, and tell nothing of chance: the claims do. "
    )
    for name, others in together.items():
        if name in names:
            said += f"With *{name}* come and go: {findings.listed(list(others))}. "
    said += f"GFLOPs are 10⁹ multiply-adds of one image with ten persons at {_size(record)} px. "
    if len(record.cost):
        said += "Latency is that of the published size, timed side by side (see below). "
    return said + "Minutes are those of training one run, without its evaluations."


def _size(record: Record) -> str:
    height, width = record.jobs[0].job.protocol.size
    return f"{height} x {width}"


def published(record: Record) -> Text:
    """What others have published for these rows."""
    frame = tables.published_frame(record)
    if frame.empty:
        return Text(f"No published number of these rows is at hand. {_ended(record.study.source)}")
    lines = [[str(c["row"]), f"{c['value']:g}", str(c["source"])] for c in frame.to_dict("records")]
    note = (
        "Trained and judged on other data, at another size, for far longer: not to be compared with what is measured "
    )
    return Text("\n\n".join([table_text(["row", "AP, %, published", "where"], lines), note + "here."]))


def table(record: Record) -> Text:
    """Every other metric of quality, by row."""
    frame = tables.table_frame(record)
    return Text("\n\n".join([markdown(frame), _legend(frame)]))


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


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def table_text(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    every = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in every)


def _legend(frame: Frame) -> str:
    measured = [metric for metric in metrics_at(Place.REPORT) if metric.name in frame and metric.measure]
    coco = [metric.name for metric in measured if not metric.meaning]
    said = f"{findings.listed(coco)} are COCO's, in percent. "
    return (said + "".join(_meaning(metric) for metric in measured if metric.meaning)).strip()


def runs(record: Record) -> Text:
    """Where each run stands in MLflow."""
    if "mlflow" not in record.runs or record.runs["mlflow"].isna().all():
        return left_out("Links to the runs", "they were recorded nowhere when this record was written")
    lines = [[label, " ".join(_run_links(record.runs[record.runs["row"] == label]))] for label in tables.labels(record)]
    return Text("\n\n".join([table_text(["row", "runs"], lines), _LINKS]))


_LINKS = "The links open where these runs were made, while `nox -s ui` runs there."


def _run_links(mine: Frame) -> list[str]:
    return [
        f"[seed {run['seed']}{', ' * bool(run['trunk'])}{run['trunk']}]({address(run['mlflow'])})"
        for run in mine.to_dict("records")
        if isinstance(run["mlflow"], str) and run["mlflow"]
    ]


def _meaning(metric: Metric) -> str:
    unit = ", in percent," if metric.shown is PERCENT else ""
    return f"{metric.name}{unit} is {metric.meaning}. "


def costs(record: Record) -> Text:
    """What the rows cost, timed side by side."""
    frame = tables.cost_frame(record)
    if frame.empty:
        run = f"nox -s study -- {record.study.name} --protocol cost"
        return left_out("Costs side by side", f"the record does not hold them; run `{run}`")
    lines = [
        [
            str(label),
            *(METRICS[name].text(c[name]) for name in ("params", "gflops", "latency_ms_p50")),
            f"{c['latency_ms_p10']:.1f} to {c['latency_ms_p90']:.1f}",
            f"{c['latency_ratio']:.3f} ({_number(c['ratio_low'], 3)} to {_number(c['ratio_high'], 3)})",
        ]
        for label, c in frame.iterrows()
    ]
    heads = [
        "row",
        *(METRICS[name].column for name in ("params", "gflops", "latency")),
        "10th to 90th percentile",
        "times the first row, 95 % interval",
    ]
    return Text("\n\n".join([table_text(heads, lines), _conditions(frame)]))


def _conditions(frame: Frame) -> str:
    known = {"machine": "", "threads": " thread", "precision": "", "size": " px", "rounds": " interleaved rounds"}
    said = [f"{values(frame, name)}{unit}" for name, unit in known.items() if name in frame]
    said += [f"other processes on {values(frame, 'others')} cores"] * ("others" in frame)
    said += [f"load {values(frame, 'load')}"] * ("load" in frame)  # in older files
    if "slack" in frame:  # not in older files
        said.append(f"the same network timed twice differs by up to {100 * frame['slack'].max():.1f} %")
    said.append(f"commit {values(frame, 'commit')}")
    return f"Timed side by side at published size: {', '.join(said)}. GFLOPs are 10⁹ multiply-adds of one image."


# --------------------------------------------------------------------------------------------------------- figures


def forest(record: Record) -> Piece:
    """Differences with intervals."""
    frame = tables.forest_frame(record)
    if frame.empty:
        return left_out("Differences", "the record holds no intervals of differences; write it anew where the jobs are")
    title, hover = findings.forest_finding(frame), figures.Hover()
    figure = figures.forest_figure(frame, title, hover)
    picture = _picture(figure, title)
    return LivePicture(picture, interactive(figures.svg(figure), hover, tables.labels(record), "differences"))


def quality(record: Record) -> Piece:
    """The metrics that have intervals beside each other."""
    if not {"AP", "mOKS", "NME"} <= set(record.runs):
        return left_out("Errors", "the record holds neither mean OKS nor mean error")
    title = findings.quality_finding(record)
    rows = tables.intervals_of_rows(record.runs, record.rows)
    return _picture(figures.quality_figure(record.runs, rows, tables.labels(record), title), title)


def fronts(record: Record) -> Piece:
    """AP against latency and FLOPs."""
    frames = {cost: tables.front_frame(record, cost) for cost in tables.COSTS}
    frames = {cost: frame for cost, frame in frames.items() if len(frame) > 1}
    if not frames:
        return left_out("AP against cost", "fewer than two rows have both")
    if same := tables.alike(record):
        return left_out("AP against cost", same)
    title = "; ".join(findings.front_finding(frame, cost) for cost, frame in frames.items())
    named = {findings.cost_text(record, cost): frame for cost, frame in frames.items()}
    hover, labels = figures.Hover(), tables.labels(record)
    figure = figures.fronts_figure(named, labels, title, hover)
    return LivePicture(_picture(figure, title), interactive(figures.svg(figure), hover, labels, "front"))


def front_table(record: Record, cost: str) -> Text:
    """Who is on the front, and by whom the others are beaten."""
    frame = tables.front_frame(record, cost)
    if len(frame) < 2:
        return left_out("The front", "fewer than two rows have AP and this cost")
    if same := tables.alike(record):
        return left_out("The front", same)
    lines = [
        [
            str(c["row"]),
            _number(c["cost"], 3),
            METRICS["AP"].text(c["AP"]),
            "yes" if c["front"] else "",
            c["dominated by"],
        ]
        for c in tables.dominated_frame(frame).to_dict("records")
    ]
    heads = ["row", findings.cost_text(record, cost), "AP, %", "on the front", "dominated by"]
    return Text(table_text(heads, lines))


def curves(record: Record) -> Piece:
    """AP over training."""
    if record.curves.empty:
        return left_out("Curves", "the record holds none")
    title = findings.curves_finding(tables.gains_frame(record))
    return _picture(figures.curves_figure(tables.bands_frame(record), tables.labels(record), title), title)


def loss_curves(record: Record) -> Piece:
    """Training losses over epochs."""
    frame = tables.losses_frame(record)
    if frame.empty:
        return left_out("Losses", "the record holds none")
    title = findings.losses_finding(frame)
    return _picture(figures.losses_figure(frame, tables.labels(record), title), title)


def precision(record: Record) -> Piece:
    """Precision against recall."""
    if record.precision.empty:
        return left_out("Precision and recall", _ANEW)
    title = findings.precision_finding(record.precision)
    return _picture(figures.precision_figure(record.precision, tables.labels(record), title), title)


def points(record: Record) -> Piece:
    """The error of each key point."""
    if record.points.empty:
        return left_out("Errors by key point", _ANEW)
    title = findings.points_finding(record.points)
    return _picture(figures.points_figure(record.points, tables.labels(record), title), title)


def kinds(record: Record) -> Piece:
    """What kind of error key points have."""
    shares = tables.kinds_frame(record)
    if shares.empty:
        return left_out("Kinds of error", _ANEW)
    title = findings.kinds_finding(shares)
    return _picture(figures.kinds_figure(shares, title), title)


_ANEW = "the record does not hold them; write it anew where the jobs are"


def flatness(record: Record) -> Text:
    """How flat the curves end, and what other seeds alone change."""
    gains = tables.gains_frame(record)
    lines = []
    if len(gains):
        lines.append(
            f"Flat at the end (less than {METRICS['AP'].text(FLAT)} AP over the last quarter): {tables.flat(gains)} of "
            f"{len(gains)} curves. Gain over the last quarter, AP, mean over runs and largest:"
        )
        by_row = gains.groupby("row")["gain"]
        each = [(r, by_row.mean()[r], by_row.max()[r]) for r in tables.labels(record) if r in by_row.groups]
        rows = [[label, *map(METRICS["AP"].difference, gained)] for label, *gained in each]
        lines += ["", table_text(["row", "mean", "largest"], rows), ""]
    else:
        lines.append("The curves have too few points to say whether they are flat.")
    return Text("\n".join([*lines, *(_repeat(*one) for one in tables.seed_counts(record))]))


def _repeat(pair: Mapping[str, Any], verdict: str) -> str:
    ends = " to ".join(findings.signed(pair[end], "AP").removesuffix(" AP") for end in ("low", "high"))
    return (
        f"\nNoise floor: {pair['row']} is “{pair['than']}” with other seeds. They differ by "
        f"{findings.signed(pair['mean'], 'AP')}, 95 % interval {ends}. A claim that one is better would be "
        f'<b class="{verdict}">{verdict}</b>, {"as it should be" if verdict == "open" else "which is wrong"}.'
    )


def slices(record: Record) -> Piece:
    """AP by size of persons and by crowding."""
    means = {by: tables.slices_mean(record, by) for by in ("size", "crowding")}
    means = {by: frame for by, frame in means.items() if len(frame) and len(frame.columns) > 1}
    if not means:
        return left_out("AP by size and crowding", "the record does not hold it; write it anew where jobs and data are")
    persons = {by: _persons(record, by) for by in means}
    title = "; ".join(findings.slices_finding(frame, by) for by, frame in means.items())
    return _picture(figures.slices_figure(means, persons, tables.labels(record), title), title)


def _persons(record: Record, by: str) -> dict[str, int]:
    mine = record.slices[record.slices["by"] == by]
    return dict(zip(mine["slice"], mine["persons"], strict=True))


# --------------------------------------------------------------------------------------------------------- networks


def examples(record: Record) -> Piece:
    """Images over the range of quality."""

    stamp = networks_stamp(record.stem)

    def drawn(chosen: examples.Panel) -> PagePicture:
        shown = networks.find_examples(chosen)
        best, worst = (METRICS["mOKS"].scaled(sum(e.quality.values()) / len(e.quality)) for e in (shown[0], shown[-1]))
        title = (
            f"From the image that the rows do best to the one they do worst: mean OKS {best:.0f} to {worst:.0f} % "
            f"({_run(chosen)})"
        )
        return _picture(network_figures.examples_figure(shown, list(chosen.folders), title), title, stamp)

    return _of_networks(record, "examples", "Examples", drawn)


def heatmaps(record: Record) -> Piece:
    """One person's 1-D heatmaps."""

    stamp = networks_stamp(record.stem)

    def drawn(chosen: examples.Panel) -> Piece:
        person = networks.person(chosen)
        if person is None:
            return left_out("Heatmaps", "on the chosen images there is no person that every row finds")
        errors = {label: max(person.errors(label)) for label in person.rows}
        near, far = min(errors, key=errors.__getitem__), max(errors, key=errors.__getitem__)
        names = findings.listed([name.replace("_", " ") for name in person.names])
        title = (
            f"On the person where the rows differ most, {names} are "
            f"off by at most {errors[near]:.1f} px with {near}, {errors[far]:.1f} px with {far} ({_run(chosen)})"
        )
        return _picture(network_figures.heatmaps_figure(person, list(person.rows), title), title, stamp)

    return _of_networks(record, "heatmaps", "Heatmaps", drawn)


def _run(chosen: examples.Panel) -> str:
    return f"seed {chosen.seed}" + f", trunk {chosen.trunk}" * bool(chosen.trunk)


def _of_networks(record: Record, name: str, what: str, drawn: Callable[[examples.Panel], Piece]) -> Piece:
    """A picture of what networks see; where there are none the one drawn where they were, if nothing has changed."""
    try:
        chosen = networks.panel(record)
    except Refused as error:
        return left_out(what, str(error))
    if chosen is not None:
        return drawn(chosen)
    kept = RENDERED / f"{record.stem}_{name}.png"
    gone = "they need the networks of two rows, and the folders of their jobs are not at hand"
    if not kept.exists():
        return left_out(what, gone)
    png = kept.read_bytes()
    if stamp_of(png) != networks_stamp(record.stem):
        return left_out(what, f"{gone}; those kept are of another record, or drawn otherwise")
    return PagePicture(png, f"{what}, drawn where the networks were")


# ------------------------------------------------------------------------------------------------- persons, the end


def profile_head(name: str) -> Text:
    """The question of a study that trains nothing, and its verdicts."""
    profile = _profile(name)
    found = tables.profile_verdicts(profile)
    about = f"{_ended(profile.source)} Nothing is trained. Numbers from `{REPORT_DATA / name}*.csv`."
    said = findings.concluded(found, "one measurement, all rows in the same rounds")
    return Text("\n\n".join([f"# {profile.question}", said, about, _verdicts(found).text]))


def _profile(name: str) -> TimingStudy:
    found = find_study(name)
    if not isinstance(found, TimingStudy):
        raise Refused(f"study {name} trains networks: reports/ablation.ipynb shows it")
    return found


def persons(name: str) -> PagePicture:
    """Latency against the number of persons."""
    frame = tables.persons_frame(name)
    title = findings.persons_finding(frame)
    return _picture(figures.persons_figure(frame, title), title)


def growth(name: str) -> Text:
    """How latency grows with persons, by method."""
    lines = [
        [
            str(g["method"]),
            f"{g['first']:.1f} ({g['fewest']})",
            f"{g['last']:.1f} ({g['most']})",
            f"{g['ratio']:.2f}",
            f"{g['per person']:.2f}",
        ]
        for g in tables.growth_frame(tables.persons_frame(name)).to_dict("records")
    ]
    heads = ["method", "ms with the fewest persons", "ms with the most", "ratio", "ms per further person"]
    conditions = read_csv(f"{name}_cost")
    return Text("\n\n".join([table_text(heads, lines), *([_conditions(conditions)] if len(conditions) else [])]))


def again(record: Record) -> Text:
    """How to get this page once more."""
    what = " ".join([record.study.name, "--protocol", record.protocol.name, *_options(record)])
    return Text(
        f"Run again: `nox -s study -- {what}`, then `nox -s report -- {what}`. "
        f"Every number of this page: `{REPORT_DATA / record.stem}*.csv`."
    )


def _options(record: Record) -> list[str]:
    """What else the commands of this record are given."""
    asked = _seeds_asked(record)
    seeds = [f"--seeds {record.seeds}"] if record.seeds != asked else []
    data = ["--data FOLDER"] if record.run.fingerprint else []
    changes = [f"--set {quote(f'{path}={value}')}" for path, value in record.run.changes.items()]
    return seeds + data + changes
