"""Which networks of timm can be the backbone? Each name of `timm.list_models()`, built without memory and measured.

Run:   workbench bench timm [--only PART]          (an hour of one core; writes reports/data/timm_models.csv)

One line per name: whether it fits, strides and channels of its three maps, or why `TimmBackbone` refuses it. It goes on
where it was stopped; the list of another version of timm is begun anew. A name gets `SECONDS` and `MEMORY` at most.
"""

from __future__ import annotations

import argparse
import csv
import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from workbench.components.backbones.timm_backbone import read_taps, timm_names
from workbench.core.errors import Refused

OUT = Path("reports/data/timm_models.csv")
COLUMNS: tuple[str, ...] = ("name", "verdict", "strides", "channels", "reason", "timm")
FITS, REFUSED, UNKNOWN = "fits", "refused", "took too long"
SECONDS, MEMORY = 120, 12 << 30  # the processor's seconds of one name; bytes of the process


def main(options: Sequence[str] = ()) -> int:
    """Measures what is not in the list yet. Gives 1 where a name took too long."""
    parser = argparse.ArgumentParser(prog="workbench bench timm")
    parser.add_argument("--only", default="", metavar="PART", help="names that begin so")
    args = parser.parse_args(options)
    names = [name for name in timm_names() if name.startswith(args.only)]
    lines = {line["name"]: line for line in listed(OUT) if line["timm"] == version("timm")}
    with OUT.open("a" if lines else "w", newline="", encoding="utf-8") as file, _guarded():
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not lines:
            writer.writeheader()
        for name in names:
            if name not in lines:
                lines[name] = measured(name)
                writer.writerow(lines[name])
                file.flush()
                print(*list(lines[name].values())[:5], flush=True)
    counts = {verdict: sum(lines[name]["verdict"] == verdict for name in names) for verdict in (FITS, REFUSED, UNKNOWN)}
    print(OUT, *(f"{verdict}: {count}" for verdict, count in counts.items()), sep="; ")
    return int(counts[UNKNOWN] > 0)


def listed(path: Path) -> list[dict[str, str]]:
    """The lines of the list; none where there is no list."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def measured(name: str) -> dict[str, str]:
    """The line of a name."""
    line = dict.fromkeys(COLUMNS, "") | {"name": name, "timm": version("timm")}
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        _, levels = read_taps(name)
    except Refused as error:
        reason, _, _ = str(error).removeprefix(f"TimmBackbone.name: {name!r} ").partition("; ")  # what to do
        return line | {"verdict": REFUSED, "reason": " ".join(reason.split())}
    except _TooLong:
        return line | {"verdict": UNKNOWN}
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    strides, channels = (" ".join(str(getattr(level, what)) for level in levels) for what in ("stride", "channels"))
    return line | {"verdict": FITS, "strides": strides, "channels": channels}


class _TooLong(BaseException):
    """Not an `Exception`: what a network raises is caught on the way."""


def _stop(*_: object) -> None:
    raise _TooLong


@contextmanager
def _guarded() -> Iterator[None]:
    """A limit of memory for this process, and a signal for the end of a name's time."""
    limits, before = resource.getrlimit(resource.RLIMIT_DATA), signal.signal(signal.SIGVTALRM, _stop)
    most = MEMORY if limits[1] == resource.RLIM_INFINITY else min(MEMORY, limits[1])
    resource.setrlimit(resource.RLIMIT_DATA, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, limits)
        signal.signal(signal.SIGVTALRM, before)
