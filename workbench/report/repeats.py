"""Repeats: a study run again with other seeds (`--first-seed`). Does it come to the same verdicts?

Of a repeat the file of claims is enough, which has its first seed in its name:

    reports/data/STUDY_PROTOCOL_first_seed-N_DIGEST_claims.csv      written with `report ... --claims-only`

    python -m workbench.report.repeats      gathers them in reports/data/repeats.csv

That has one line per claim and record. The study's own record comes first, with the first seed 0. A repeat counts only
if none of its seeds is one of the study or of another repeat, and of a claim only if it judged what is asked today.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.core.files import write_whole
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import REPORT_DATA
from workbench.experiments.protocols import PROTOCOLS
from workbench.report.frames import Frame, write_csv
from workbench.report.record import read_csv
from workbench.report.verdict_frames import short_effect, verdicts_of
from workbench.study import Study, StudyProtocol, find_study, known_studies

REPEATS_CSV = REPORT_DATA / "repeats.csv"
_COLUMNS = ("study", "protocol", "claim", "first_seed", "verdict", "mean", "low", "high", "said")
_SAID = {
    True: "A repeat has other seeds on the same trunks: what chance the trunks add stands in the intervals.",
    False: "A repeat has other seeds, and so other weights, scenes and orders.",
}  # whether a protocol has trunks


def repeats_frame() -> Frame:
    """Every claim of every study that has been repeated, as its record and each repeat have judged it."""
    lines = [
        line
        for name in known_studies()
        if isinstance(study := find_study(name), Study)
        for protocol in PROTOCOLS.values()
        if protocol.trains
        for line in _of_study(study, protocol)
    ]
    return pd.DataFrame(lines, columns=list(_COLUMNS))


def _of_study(study: Study, protocol: StudyProtocol) -> Iterator[dict[str, Any]]:
    if repeats := first_seeds(study, protocol):
        for first in (0, *repeats):
            yield from _judged(study, protocol, first)


def first_seeds(study: Study, protocol: StudyProtocol) -> list[int]:
    """Those of the recorded repeats that share no seed with the study's record or with each other."""
    found: list[int] = []
    for first in sorted(_recorded(study, protocol)):
        if first >= _end(study, protocol, found[-1] if found else 0):
            found.append(first)
    return found


def _recorded(study: Study, protocol: StudyProtocol) -> set[int]:
    """The first seeds of all repeats with a file of claims; a run with other changes as well is no repeat."""
    begins = f"{study.name}_{protocol.name}_first_seed-"
    names = {path.name for path in REPORT_DATA.glob(f"{begins}*_claims.csv")}
    firsts = {int(found[0]) for name in names if (found := re.match(r"\d+", name.removeprefix(begins)))}
    return {first for first in firsts if f"{_stem(study, protocol, first)}_claims.csv" in names}


def _stem(study: Study, protocol: StudyProtocol, first: int) -> str:
    return StudyRun(study, protocol, Path("runs"), seeds=1, first_seed=first).stem


def _end(study: Study, protocol: StudyProtocol, first: int) -> int:
    """The seed after the last one of a record: of the runs that stand in it, else of the protocol."""
    runs, offsets = read_csv(_stem(study, protocol, first)), {row.label: row.seed_offset for row in study.rows}
    pairs = zip(runs["row"], runs["seed"], strict=True) if len(runs) else ()
    last = max((seed - offsets[row] for row, seed in pairs if row in offsets), default=-1)
    return max(int(last) + 1, first + study.seeds_under(protocol))


def _judged(study: Study, protocol: StudyProtocol, first: int) -> Iterator[dict[str, Any]]:
    """The claims of one record. What it judged otherwise, or not at all, is left out."""
    recorded = read_csv(f"{_stem(study, protocol, first)}_claims")
    numbers = recorded.set_index("claim").to_dict("index") if len(recorded) else {}
    lines = verdicts_of(study, recorded)
    kept = {line["claim"] for line in lines if "effect" in line}
    for line in lines:
        parts = [one["claim"] for one in lines if one.get("part_of") == line["claim"]]
        if line["claim"] in kept or (parts and kept.issuperset(parts)):
            ends = {end: numbers.get(line["claim"], {}).get(end, math.nan) for end in ("mean", "low", "high")}
            about = {"study": study.name, "protocol": protocol.name, "first_seed": first, "said": short_effect(line)}
            yield {**about, **ends, **{name: line[name] for name in ("claim", "verdict")}}


def repeats_alike(repeats: Frame, study: str, protocol: str, claim: str) -> str:
    """In how many repeats a claim has the verdict of the study, as "2 of 3"; "" without any."""
    mine = _of(repeats, study, protocol)
    verdicts = mine[mine["claim"] == claim].set_index("first_seed")["verdict"]
    if 0 not in verdicts.index or len(verdicts) < 2:
        return ""
    others = verdicts.drop(index=0)
    return f"{(others == verdicts[0]).sum()} of {len(others)}"


def repeats_table(repeats: Frame, study: str, protocol: str) -> str:
    """Markdown: a line per claim, a column per record with its verdict and its effect; "" without repeats."""
    mine = _of(repeats, study, protocol)
    if mine.empty:
        return ""
    firsts = sorted(set(mine["first_seed"]))
    shown = {(one["claim"], one["first_seed"]): f"*{one['verdict']}*, {one['said']}" for one in mine.to_dict("records")}
    head = ["claim", "same", *(f"seeds from {first}" for first in firsts)]
    lines = [head, ["---"] * len(head)]
    for claim in dict.fromkeys(mine["claim"]):
        same = repeats_alike(repeats, study, protocol, claim)
        lines.append([claim, same, *(shown.get((claim, first), "") for first in firsts)])
    table = "\n".join(f"|{'|'.join(cell.replace('|', chr(92) + '|') for cell in line)}|" for line in lines)
    return f"Repeats of `{protocol}`. {_SAID[bool(PROTOCOLS[protocol].trunks)]}\n\n{table}"


def _of(repeats: Frame, study: str, protocol: str) -> Frame:
    return repeats[(repeats["study"] == study) & (repeats["protocol"] == protocol)]


def write_repeats() -> None:
    """The file of all repeats; none where there are no repeats."""
    if (frame := repeats_frame()).empty:
        REPEATS_CSV.unlink(missing_ok=True)
        return
    with write_whole(REPEATS_CSV) as part:
        write_csv(frame.drop(columns="said"), part)


if __name__ == "__main__":
    sys.exit(write_repeats())
