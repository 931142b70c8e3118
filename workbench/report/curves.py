"""What a record says of training: AP and losses over epochs, how flat curves end, and what other seeds alone change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from workbench.evaluation.intervals import Interval
from workbench.evaluation.verdicts import block_verdict, interval_verdict
from workbench.report.frames import Frame
from workbench.report.record import Record
from workbench.report.rows import repeated
from workbench.report.verdict_frames import forest_frame
from workbench.training.record import FLAT, last_gain


def has_curves(record: Record) -> bool:
    """Whether any run was evaluated more than once: a single reading is no curve."""
    return bool((record.curves.groupby(["row", "trunk", "seed"]).size() > 1).any())


def bands_frame(record: Record) -> Frame:
    """AP by row, trunk and epoch: mean, lowest and highest of the seeds; `images` seen, in thousands, where known."""
    grouped = record.curves.groupby(["trunk", "row", "epoch"], sort=False)["AP"]
    bands = grouped.agg(["mean", "min", "max", "count"]).reset_index()
    bands["images"] = bands["epoch"] * record.jobs[0].job.protocol.epoch_images / 1000
    return bands


def losses_frame(record: Record) -> Frame:
    """Training losses by term, row and epoch: the mean over runs; empty where none is recorded."""
    terms = [name for name in record.curves if name.startswith("loss_")]
    if not terms:
        return pd.DataFrame(columns=["term", "row", "epoch", "value"])
    means = record.curves.groupby(["row", "epoch"], sort=False)[terms].mean().reset_index()
    long = means.melt(id_vars=["row", "epoch"], var_name="term", value_name="value").dropna(subset=["value"])
    return long.assign(term=long["term"].str.removeprefix("loss_"))


def gains_frame(record: Record) -> Frame:
    """AP gained over the last quarter of training, by run: how far from flat each curve ends."""
    lines = [
        {"row": row, "trunk": trunk, "seed": seed, "gain": last_gain(run.to_dict("records"))}
        for (row, trunk, seed), run in record.curves.groupby(["row", "trunk", "seed"], sort=False)
    ]
    return pd.DataFrame(lines, columns=["row", "trunk", "seed", "gain"]).dropna(subset=["gain"])


def flat(gains: Frame) -> int:
    """How many curves end flat."""
    return int((gains["gain"].abs() < FLAT).sum())


def seed_counts(record: Record) -> list[tuple[Mapping[str, Any], str]]:
    """Each row that repeats another with other seeds (A/A): its difference, and the verdict of a claim of it.

    The claim is that it is better. Any other verdict than open is wrong: one time in twenty without Holm's correction.
    """
    pairs = forest_frame(record)
    found = []
    for label in repeated(record) if len(pairs) else ():
        mine = pairs[(pairs["row"] == label) & (pairs["claim"] == "") & (pairs["metric"] == "AP")]
        trunks = {line["trunk"]: _interval(line) for line in mine[mine["trunk"] != ""].to_dict("records")}
        for whole in mine[mine["trunk"] == ""].to_dict("records"):
            over = _interval(whole)
            decided = block_verdict(trunks, over) if trunks else interval_verdict(over)
            found.append((whole, str(decided.verdict)))
    return found


def _interval(line: Mapping[str, Any]) -> Interval:
    """As recorded. Of its differences the count alone is known, which is what a verdict asks for."""
    mean, count = line["mean"], int(line["count"])
    return Interval(mean=mean, low=line["low"], high=line["high"], differences=(mean,) * count)
