"""What a search says on the terminal: where candidates stand, and its front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from workbench.experiments.queue_entry import QueueEntry
from workbench.experiments.screen import console, say
from workbench.experiments.search.front import FrontPoint
from workbench.experiments.search.knowledge import Knowledge
from workbench.experiments.search.log import Proposal
from workbench.experiments.search.standing import counts, standing
from workbench.experiments.states import STATE_COLOURS

SHOWN = 12  # candidates off the front that are shown, best first


def print_states(known: Knowledge, entries: Mapping[str, QueueEntry]) -> None:
    """A line per candidate that was looked at: its number, what it is, what became of it."""
    table = Table("candidate", "", "state", "seeds", "GFLOPs", header_style="dim")
    states: list[str] = []
    for one in known.log.proposals:
        states.append(standing(one, known, entries).state)
        cost = f"{one.costs['gflops']:.2f}" if "gflops" in one.costs else ""
        table.add_row(
            f"#{one.number:03d}", Text(_text(one, known)), _coloured(states[-1]), str(_seeds(one, known)), cost
        )
    screen = console()
    screen.print(table)
    for one in known.trainings:
        entry = entries.get(one.key)
        if one.result is None and entry is not None and entry.note:
            screen.print(Text(f"#{one.order.number:03d}, seed {one.order.seed} ({one.key}): {entry.note}"))
    parts = ", ".join(f"{count} {state}" for state, count in counts(states).items())
    say(f"{len(states)} proposed: {parts}" if states else "no candidate was proposed yet")
    say(f"{known.trained_minutes:.0f} of {known.run.budget:g} minutes of training on one core")


def _seeds(proposal: Proposal, known: Knowledge) -> int:
    return len(known.values.get(proposal.number, {}))


def _text(proposal: Proposal, known: Knowledge) -> str:
    """The candidate in words, also where the space has no such option any more."""
    place = known.places.get(proposal.number)
    if place is None:
        return ", ".join(label for _, label in proposal.pairs) + " (no more in the space)"
    return known.run.search.space.candidates[place].text


def _coloured(state: str) -> Text:
    return Text(state, next((colour for one, colour in STATE_COLOURS.items() if one == state), "dim"))


def print_search(known: Knowledge, points: Sequence[FrontPoint]) -> None:
    """The front, cheapest first, and the best of the others; estimates, not the best of many lucky numbers."""
    search = known.run.search
    by_number = {one.number: one for one in known.log.proposals}
    title = f"{search.name}, {known.run.protocol.name}: {search.up} in points, costs of the published size"
    table = Table(
        *("candidate", "", search.down, "estimate", "95 %", "measured", "seeds", "chance"),
        title=title, title_justify="left", header_style="dim",
    )  # fmt: skip
    on = sorted((p for p in points if p.on_front), key=lambda p: p.cost)
    off = sorted((p for p in points if not p.on_front), key=lambda p: -p.score.mean)
    for point in [*on, *off[:SHOWN]]:
        seeds = known.values[point.which]
        table.add_row(
            f"#{point.which:03d}",
            Text(_text(by_number[point.which], known), "bold" if point.on_front else "dim"),
            f"{point.cost:.2f}",
            f"{point.score.mean:.1f}",
            f"{point.score.low:.1f} to {point.score.high:.1f}",
            f"{sum(seeds.values()) / len(seeds):.1f}",
            str(len(seeds)),
            f"{point.chance:.2f}",
        )
    console().print(table)
    if len(off) > SHOWN:
        say(f"and {len(off) - SHOWN} more that lie below the front")
    looked, minutes = len(known.log.proposals), known.trained_minutes
    say(f"{looked} candidate{'s' * (looked != 1)} looked at, {minutes:.0f} minutes of training on one core")
