"""Pictures of what the rows' networks see. They are drawn where the networks are, and kept elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from workbench.core.errors import Refused
from workbench.evaluation.metrics import METRICS
from workbench.report import examples as networks
from workbench.report import findings, network_figures
from workbench.report.freshness import networks_stamp, stamp_of
from workbench.report.pieces import RENDERED, PagePicture, Piece, left_out, picture
from workbench.report.record import Record


def examples(record: Record) -> Piece:
    """Images over the range of quality."""

    stamp = networks_stamp(record.stem)

    def drawn(chosen: networks.Panel) -> PagePicture:
        shown = networks.find_examples(chosen)
        best, worst = (METRICS["mOKS"].scaled(sum(e.quality.values()) / len(e.quality)) for e in (shown[0], shown[-1]))
        title = (
            f"From the image that the rows do best to the one they do worst: mean OKS {best:.0f} to {worst:.0f} % "
            f"({_run(chosen)})"
        )
        return picture(network_figures.examples_figure(shown, list(chosen.folders), title), title, stamp)

    return _of_networks(record, "examples", "Examples", drawn)


def heatmaps(record: Record) -> Piece:
    """One person's 1-D heatmaps."""

    stamp = networks_stamp(record.stem)

    def drawn(chosen: networks.Panel) -> Piece:
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
        return picture(network_figures.heatmaps_figure(person, list(person.rows), title), title, stamp)

    return _of_networks(record, "heatmaps", "Heatmaps", drawn)


def _run(chosen: networks.Panel) -> str:
    return f"seed {chosen.seed}" + f", trunk {chosen.trunk}" * bool(chosen.trunk)


def _of_networks(record: Record, name: str, what: str, drawn: Callable[[networks.Panel], Piece]) -> Piece:
    """A picture of what networks see; where there are none the one drawn where they were, if nothing has changed."""
    try:
        chosen = networks.panel(record)
    except Refused as error:
        return left_out(what, str(error))
    if chosen is not None:
        return drawn(chosen)
    kept = RENDERED / f"{record.stem}_{name}.png"
    png = kept.read_bytes() if kept.exists() else b""
    if not png or stamp_of(png) != networks_stamp(record.stem):
        gone = "they need the networks of two rows, and the folders of their jobs are not at hand"
        return left_out(what, f"{gone}, nor is a picture that was drawn of these runs as it would be drawn today")
    return PagePicture(png, f"{what}, drawn where the networks were")
