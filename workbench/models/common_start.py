"""One network that all rows of a study begin with: their coordinate stages learn beside each other on it, detached.

Rows that begin with it have the same trunk, the same towers and equally warmed-up stages, so that what they end with
differs by their own finish alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from workbench.components.coords.online_probes import OnlineProbes
from workbench.components.losses.online_probe_loss import OnlineProbeLoss
from workbench.core.errors import Refused
from workbench.models.variant import Variant
from workbench.slots import Coords, Loss

_SHARED = ("backbone", "neck", "head", "num_classes", "num_keypoints", "keypoint_set")
Probe = tuple[Coords, tuple[Loss, ...]]


def common_start(teacher: Variant, rows: Sequence[Variant]) -> Variant:
    """The teacher with the stages of all rows beside its own, each taught by its row's losses of coordinates.

    A row that leaves these losses out, without others in their place, has the stage of the first row that has some.

    Args:
        teacher: what its own stage and losses teach the network.
        rows: their stages and losses.

    Raises:
        Refused: a row changes more of the network than its coordinate stage.
    """
    for row in rows:
        if odd := [slot for slot in _SHARED if getattr(row, slot) != getattr(teacher, slot)]:
            raise Refused(f"a row changes {', '.join(odd)}")
    probes = _probes(rows)
    taught = [(i, loss) for i, (_, losses) in enumerate(probes) for loss in losses]
    loss = OnlineProbeLoss(
        weights=(1.0,) * len(teacher.phases), probes=tuple(i for i, _ in taught), losses=tuple(one for _, one in taught)
    )
    coords = OnlineProbes(own=teacher.coords, probes=tuple(coords for coords, _ in probes))
    return teacher.vary({"coords": coords, "losses.OnlineProbeLoss": loss})


def places_of(rows: Sequence[Variant]) -> list[str]:
    """Where the stage of each row is in the network of `common_start`, as the names of its parameters begin."""
    mine = [_probe(row, rows) for row in rows]
    number = {probe: i for i, probe in enumerate(dict.fromkeys(probe for probe in mine if probe is not None))}
    return ["" if probe is None else f"coords.probes.{number[probe]}" for probe in mine]


def _probes(rows: Sequence[Variant]) -> list[Probe]:
    return list(dict.fromkeys(probe for row in rows if (probe := _probe(row, rows)) is not None))


def _probe(row: Variant, rows: Sequence[Variant]) -> Probe | None:
    """A row's stage and what teaches it; None for one that offers nothing a loss could teach."""
    if not row.coords.offers:
        return None
    stage, losses = _without_reach(row.coords), _of_coordinates(row)
    alike = (other for other in rows if other.coords.offers and _without_reach(other.coords) == stage)
    return stage, losses or next(filter(None, map(_of_coordinates, alike)), ())


def _of_coordinates(row: Variant) -> tuple[Loss, ...]:
    """The losses that teach the stage, as they weigh in the first phase."""
    taught = (loss for loss in row.losses if loss.needs and loss.weights[0])
    return tuple(loss.vary({"weights": loss.weights[:1] * len(loss.weights)}) for loss in taught)


def _without_reach(coords: Coords) -> Coords:
    """The stage with what says where its gradient goes as it is by default: beside the network it goes nowhere."""
    plain = type(coords)()
    return coords.vary({name: getattr(plain, name) for name in coords.without_effect_on_frozen_trunk})
