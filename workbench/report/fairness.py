"""What else differs between the rows of a study, as its audit has found it: for the page, beside the verdicts.

An audit speaks of jobs. One of other jobs than the study would run now says nothing, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from workbench.report.frames import Frame
from workbench.report.record import Record
from workbench.study import Better


def audit_frame(record: Record) -> Frame:
    """The lines of the audit, empty cells as ""; empty where there is none of the jobs that the study would run."""
    frame = record.audit.fillna("")
    if frame.empty:
        return frame
    planned = {one.job.key for one in record.jobs}
    return frame if set(frame.loc[frame["kind"] == "job", "value"]) <= planned else frame.iloc[:0]


def claim_flags(record: Record) -> dict[str, list[str]]:
    """By claim what is flagged, between its rows, two by two, and of each alone: what that means for it, and why."""
    lines = _lines(audit_frame(record), "flag")
    found: dict[str, list[str]] = {}
    for claim in record.study.claims:
        pair = [line for line in lines if (line["row"], line["than"]) in claim.pairs]
        alone = [line for line in lines if not line["than"] and line["row"] in claim.rows]
        if pair or alone:
            found[claim.id] = [*map(_of_two, pair), *_of_each(alone, claim)]
    return found


def _of_two(line: Mapping[str, str]) -> str:
    return f"The effect may come from what trains the {line['name']}, not from what the claim names: {line['value']}."


def _of_each(lines: Sequence[Mapping[str, str]], claim: Better) -> Iterator[str]:
    """What holds rows back makes the effect look smaller or larger, by the side on which they stand."""
    rows = {line["row"] for line in lines}
    sides = {"smaller": claim.contrast.ahead, "larger": claim.contrast.behind}
    looks = " or ".join(word for word, side in sides.items() if rows & set(side))
    if lines:
        why = "; ".join(f"in {line['row']!r} the {line['value']}" for line in lines)
        yield f"The effect may look {looks} than it is, because {why}."


def compared_rows(record: Record) -> list[list[str]]:
    """One line per compared pair: the row, the other one, what differs besides what the row names, what is flagged.

    A flag says what it means for AP, and why.
    """
    frame = audit_frame(record)
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for line in _lines(frame, "differs"):
        said = f"{_path(line['name'])}: {line['value']} against {line['other']}"
        found.setdefault((line["row"], line["than"]), {}).setdefault("differs", []).append(said)
    for line in _lines(frame, "flag"):
        means = f"AP may differ by what trains the {line['name']}: " if line["than"] else "AP may be low because the "
        found.setdefault((line["row"], line["than"]), {}).setdefault("flag", []).append(means + line["value"])
    return [[*pair, *("; ".join(said.get(kind, ())) for kind in ("differs", "flag"))] for pair, said in found.items()]


def _path(name: str) -> str:
    return f"`{name}`" if "." in name else name


def facts(record: Record) -> tuple[dict[str, str], list[str], list[list[str]]]:
    """What all rows have in common, by name; the names of what they have not; and its values, one line per row."""
    frame = audit_frame(record)
    rows = list(dict.fromkeys(frame["row"])) if len(frame) else []
    values = {(line["row"], line["name"]): line["value"] for line in _lines(frame, "fact")}
    for line in _lines(frame, "switch"):
        key = (line["row"], f"from {line['moment']}")
        said = f"{line['name']}: {line['value']}"
        values[key] = f"{values[key]}; {said}" if key in values else said
    names = list(dict.fromkeys(name for _, name in values))
    same = {name: values[rows[0], name] for name in names if len({values.get((row, name)) for row in rows}) == 1}
    apart = [name for name in names if name not in same]
    return same, apart, [[row, *(values.get((row, name), "") for name in apart)] for row in rows]


def _lines(frame: Frame, kind: str) -> list[dict[str, str]]:
    return frame[frame["kind"] == kind].to_dict("records") if len(frame) else []
