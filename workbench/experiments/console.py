"""What a study says on the terminal: the display while it runs, the table, the verdicts."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from workbench.core.errors import printable
from workbench.evaluation.metrics import METRICS, Metric, Place, metrics_at
from workbench.evaluation.verdicts import Verdict
from workbench.experiments.claims import ClaimResult, Statement, p_text, statements
from workbench.experiments.pairing import Results, block_differences, pairing_of
from workbench.experiments.plan import StudyRun
from workbench.experiments.queue_entry import JobState, QueueEntry
from workbench.experiments.screen import console, say
from workbench.experiments.sequential import Replay, SequentialState
from workbench.experiments.time_left import Left, TimeLeft
from workbench.study import Better, Contrast, PlannedJob
from workbench.training.record import FLAT, PARTS, Progress, last_gain

PLAIN_EVERY = 15.0  # seconds between two lines where no display can be drawn
NO_NUMBER = "-"  # in place of one that is not defined, such as a mean over persons of whom none was matched
_UNLIKE = {
    "commit": "the code that trained them",
    "precision": "precision",
    "ranks": "processes of a job",
    "torch": "the version of torch",
    "machine": "machine",
}


class Display:
    """A live table of the running jobs; plain lines where the output is no terminal."""

    def __init__(self, title: str, one_round: bool = False) -> None:
        """`one_round`: others may follow, which the time that is left does not know of."""
        self._title, self._console = title, console()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        self._of = " of this round" * one_round
        self._time = TimeLeft()
        self._last = -math.inf

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        self._console.print(Text(printable(text)))

    def update(
        self, planned: Sequence[PlannedJob], entries: Mapping[str, QueueEntry], running: Mapping[str, Progress | None]
    ) -> None:
        """Shows where the study stands. `running` has what each running job last said, by key."""
        states = Counter(entry.state for entry in entries.values())
        until = {one.job.key: one.until for one in planned}
        done = sum(entry.reached(until[key]) for key, entry in entries.items())
        done += sum(p.fraction for p in running.values() if p)
        left = self._time.look(planned, entries, running, time.monotonic())
        named = {one.job.key: one for one in reversed(planned)}
        if self._console.is_terminal:
            bar = ProgressBar(total=len(entries), completed=done, width=40)
            self._live.update(Group(self._head(states, left), bar, _running(named, running)))
        elif time.monotonic() - self._last > PLAIN_EVERY:
            self._last = time.monotonic()
            self.say(f"{self._head(states, left)}")
            for key, progress in running.items():
                self.say(f"  {named[key].title}: {progress_text(progress)}")

    def _head(self, states: Counter[JobState], left: Left | None) -> Text:
        parts = ", ".join(f"{count} {state}" for state, count in states.items())
        said = "" if left is None else f", {'more than ' * left.more}{_clock(left.seconds)} left{self._of}"
        return Text(f"{self._title}: {parts}{said}")


def _running(named: Mapping[str, PlannedJob], running: Mapping[str, Progress | None]) -> Table:
    table = Table("row", "seed", "trunk", "epoch", "images/s", "AP", "losses", "left", box=None, header_style="dim")
    for key, progress in running.items():
        one = named[key]
        if progress is None:
            table.add_row(one.row, str(one.seed), one.trunk, "starting")
        else:
            table.add_row(
                *(one.row, str(one.seed), one.trunk, f"{progress.epoch}/{progress.epochs}"),
                *(f"{progress.images_per_s:.0f}", METRICS["AP"].text(progress.metrics.get("AP", math.nan))),
                *(_losses(progress.terms), _clock(progress.seconds_left)),
            )
    return table


def progress_text(progress: Progress | None) -> str:
    """How far a job has come, in a line."""
    if progress is None:
        return "starting"
    speed = f"epoch {progress.epoch}/{progress.epochs}, {progress.images_per_s:.0f} images/s"
    return f"{speed}, {_losses(progress.terms)}, {_clock(progress.seconds_left)} left"


def _losses(terms: Mapping[str, float]) -> str:
    return " ".join(f"{name.removeprefix('loss_')} {value:.3g}" for name, value in terms.items())


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def print_table(run: StudyRun, results: Results) -> None:
    """Means over seeds (and trunks), the difference to the first row with its spread, and AP per trunk."""
    if not results:
        return
    trunks = [trunk for trunk in run.protocol.trunks if trunk]
    spread = "AP - first, ± sd over " + ("trunks" if trunks else "seeds")
    cited, shown = any(row.cited for row in run.study.rows), metrics_at(Place.TERMINAL)
    per_trunk, published = (f"AP {trunk}" for trunk in trunks), ["published"] if cited else []
    heads = ["row", "n", *(metric.column for metric in shown), spread, *per_trunk, *published]
    title = f"{run.study.name}, {run.protocol.name}"
    out = Table(*heads, title=title, header_style="dim", title_justify="left")
    first = run.study.rows[0].label
    for row in run.study.rows:
        mine = {(one.seed, one.trunk): result.metrics for one, result in results if one.row == row.label}
        than_first = block_differences(pairing_of(Contrast((row.label,), (first,)), results).pairs, "AP")
        out.add_row(
            Text(row.label),
            str(len(mine)),
            *(_value(metric, [m.get(metric.name) for m in mine.values()]) for metric in shown),
            "" if row.label == first else _difference(than_first),
            *(METRICS["AP"].text(_mean(m.get("AP") for (_, t), m in mine.items() if t == trunk)) for trunk in trunks),
            *([f"{row.cited.value:g} ({row.cited.source})" if row.cited else ""] if cited else []),
        )
    console().print(out)


def _difference(values: Sequence[float]) -> str:
    if not values:
        return ""
    known = [value for value in values if math.isfinite(value)]
    mean = statistics.fmean(known) if known else math.nan
    spread = f" ± {METRICS['AP'].text(statistics.stdev(known))}" if len(known) > 1 else " (one)" * len(known)
    return f"{difference_text('AP', mean)}{spread}"


def difference_text(metric: str, value: float, more: int = 0) -> str:
    """A difference as its metric shows it, with `more` digits; "-" where there is none: a run has matched nobody."""
    return METRICS[metric].difference(value, more) if math.isfinite(value) else NO_NUMBER


def _value(metric: Metric, values: Sequence[float | None]) -> str:
    """The mean of what is known; nothing where it was not measured, "-" where it is no number in any run."""
    measured = any(value is not None for value in values)
    return metric.text(_mean(values)) or NO_NUMBER * measured


def _mean(values: Iterable[float | None]) -> float:
    """Of the values that there are; nan where there is none."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.fmean(known) if known else math.nan


def print_next(*lines: tuple[str, str]) -> None:
    """Commands with what they do, each on one line however narrow the screen: they are there to be copied."""
    width = max(len(command) for _, command in lines)
    for i, (what, command) in enumerate(lines):
        print(f"{'' if i else 'next:':6}{command:{width}}  # {what}")


def print_noise_floor(differences: Sequence[float]) -> None:
    """What an A/A row says."""
    if differences:
        each = ", ".join(difference_text("AP", value) for value in differences)
        console().print(f"noise floor: the same row with other seeds differs by {each} AP")


def print_warnings(results: Results) -> None:
    """What a reader of the table must know: images that could not be read, curves that still rise."""
    lost = max((result.metrics.get("unreadable_images", 0) for _, result in results), default=0)
    if lost:
        console().print(f"{lost:.0f} images could not be read and are missing in what was trained and judged")
    print_unlike([result.tags for _, result in results])
    gains = [gain for _, result in results if (gain := last_gain(result.curve)) is not None]
    rising = sum(abs(gain) >= FLAT for gain in gains)
    if rising:
        console().print(
            f"{rising} of {len(gains)} curves still move by {METRICS['AP'].text(FLAT)} AP or more in the last quarter, "
            f"at most {METRICS['AP'].difference(max(gains, key=abs))}: longer runs may order these rows otherwise"
        )


def print_unlike(tags: Sequence[Mapping[str, str]]) -> None:
    """What the runs were trained with, where it is not the same for all: the key of a job knows none of it."""
    for name, what in _UNLIKE.items():
        counts = Counter(one.get(name, "") for one in tags)
        if len(counts) > 1:
            each = ", ".join(f"{value or 'unknown'} ({count})" for value, count in counts.most_common())
            say(f"runs differ in {what}: {each}")
    if cut := sum(one.get(PARTS, "1") != "1" for one in tags):
        say(f"{cut} runs did not fit into memory: each batch was trained in parts, and batch norm saw one at a time")


VERDICT_COLOURS = {Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.OPEN: "yellow"}


def print_verdicts(judged: Sequence[ClaimResult]) -> None:
    """One line per claim, a dim one of its end points beside AP, and what these say."""
    screen = console()
    for whole in _statements(judged):
        screen.print(Text.assemble(f"{whole.id} ", _verdict(whole.verdict), f": {whole.text}: {whole.reason}"))
    for result in judged:
        claim = result.claim
        screen.print(Text.assemble(f"{claim.id} ", _verdict(result.verdict), f": {claim.text}: {result.reason}"))
        if result.beside:
            screen.print(Text(f"  beside AP: {'; '.join(map(beside_text, result.beside))}", "dim"))
    for metric in dict.fromkeys(_metric(one) for result in judged for one in result.beside):
        screen.print(Text(f"{metric}: a row that is better in it {METRICS[metric].says}", "dim"))


def _statements(judged: Sequence[ClaimResult]) -> list[Statement]:
    made = [(one.claim, str(one.verdict)) for one in judged if isinstance(one.claim, Better)]
    return statements([claim for claim, _ in made], [verdict for _, verdict in made])


def _metric(one: ClaimResult) -> str:
    return one.claim.metric


def beside_text(one: ClaimResult) -> str:
    """An end point in a few words: its verdict, the difference with its interval, the corrected p."""
    metric, found = METRICS[_metric(one)], one.interval
    if found is None:
        return f"{metric.name} {one.verdict}, not measured"
    if not math.isfinite(found.mean):
        return f"{metric.name} {one.verdict}, no person matched"
    mean, low, high = (metric.difference(value, more=1) for value in (found.mean, found.low, found.high))
    p = "" if one.adjusted is None else f", corrected p {p_text(one.adjusted)}"
    return f"{metric.name} {one.verdict}, {mean} ({low} to {high}){p}"


def _verdict(verdict: Verdict) -> Text:
    return Text(verdict, VERDICT_COLOURS[verdict])


def summary_text(run: StudyRun, results: Results, judged: Sequence[ClaimResult]) -> str:
    """Question, means per row and verdicts in Markdown: what the record says of a study under a protocol."""
    names = [metric.name for metric in metrics_at(Place.MLFLOW)]
    lines = [["row", "n", *names], ["---"] * (2 + len(names))]
    for row in run.study.rows:
        mine = [result.metrics for one, result in results if one.row == row.label]
        means = [_mean(metrics.get(name) for metrics in mine) for name in names]
        lines.append([row.label, str(len(mine)), *("" if math.isnan(mean) else f"{mean:.4g}" for mean in means)])
    claims = [f"- {whole.id} **{whole.verdict}**: {whole.text}: {whole.reason}" for whole in _statements(judged)]
    for one in judged:
        beside = f"; beside AP: {'; '.join(map(beside_text, one.beside))}" if one.beside else ""
        claims.append(f"- {one.claim.id} **{one.verdict}**: {one.claim.text}: {one.reason}{beside}")
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([run.study.question, f"`{run.protocol.name}`: {run.protocol.about}.", table, "\n".join(claims)])


def print_looks(found: SequentialState) -> None:
    """How far a study until decided has come."""
    say(f"until decided: looks taken {found.looks}, jobs {found.jobs} of at most {found.budget}; {found.ends}")


def print_replay(found: Replay) -> None:
    """A finished study beside the same one until decided."""
    runs = Counter(one.row for one in found.shorter.planned)
    out = Table("claim", "all seeds, one look", "until decided", "runs of its rows", header_style="dim")
    for whole, shorter in zip(found.claims, found.shorter.claims, strict=True):
        claim = whole.claim
        used = " and ".join(str(runs[row]) for row in claim.rows)
        out.add_row(Text(f"{claim.id} {claim.text}"), _verdict(whole.verdict), _verdict(shorter.verdict), used)
    console().print(out)
    pairs = [(a.verdict, b.verdict) for a, b in zip(found.claims, found.shorter.claims, strict=True)]
    same = sum(a is b for a, b in pairs)
    turned = sum(a is not b and "open" not in (a, b) for a, b in pairs)
    saved = found.jobs - found.shorter.jobs
    say(
        f"until decided: {found.shorter.jobs} of {found.jobs} jobs, {saved} saved ({100 * saved / found.jobs:.0f} %); "
        f"{same} of {len(pairs)} verdicts the same, {turned} the opposite; {found.shorter.ends}"
    )
