"""How one trained network can be run without training it anew: input size, bins, precision and runtime.

    combined_settings(load_trained("runs/jobs/KEY"), Asked(sizes=(64, 96), runtimes=("torch",)))

What does not go is refused here, before any work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from workbench.components.coords.dcc import DCC
from workbench.core.errors import Refused
from workbench.data.loader import STRIDE
from workbench.inference.load import Trained
from workbench.inference.runtimes import RUNTIMES, check_installed, runtime_installed
from workbench.models.job import MOST_SIDE
from workbench.models.network import Network
from workbench.slots import Coords
from workbench.training.machine import this_machine

AROUND = (0.65, 0.8, 1.0, 1.25)  # of the own side, where no sizes are asked for
AS_TRAINED = ("eager", "float32")  # runtime and precision of the network's own setting
_PLACES = ("x_bins", "y_bins")  # what alone depends on the number of bins in a stage that encodes them
Bins = tuple[int, int]  # on x and y


@dataclass(frozen=True)
class Setting:
    """One way to run the network. `size` (height, width); `bins` is None where the coordinate stage has none."""

    size: tuple[int, int]
    bins: Bins | None
    runtime: str
    precision: str

    @property
    def pixels(self) -> str:
        """The size as people write it."""
        height, width = self.size
        return f"{width} px" if height == width else f"{width}x{height} px"

    @property
    def grid(self) -> str:
        """The bins as they are asked for; "" where there are none."""
        return "" if self.bins is None else "x".join(map(str, self.bins))

    @property
    def form(self) -> str:
        """What runs it, and in what."""
        return f"{self.runtime} {self.precision}"

    def __str__(self) -> str:
        return ", ".join(part for part in (self.pixels, self.grid and f"{self.grid} bins", self.form) if part)


@dataclass(frozen=True)
class Asked:
    """What to combine. Where one is left empty: sizes around the network's own, its own bins, all that is here."""

    sizes: tuple[int, ...] = ()  # sides of square inputs
    bins: tuple[Bins, ...] = ()
    runtimes: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()


def combined_settings(trained: Trained, asked: Asked) -> list[Setting]:
    """The network's own setting, as it was trained, and then all combinations that its runtimes can do.

    Raises:
        Refused: a side that is no multiple of 32, bins that the network can not change, a runtime or a precision that
            is not here, or the same asked for twice.
    """
    for values in (asked.sizes, asked.bins, asked.runtimes, asked.precisions):
        _refuse_twice(values)
    own = own_setting(trained)
    sizes = _sizes(asked.sizes, trained.size)
    bins = _bins(asked.bins, trained.network.variant.coords, own.bins)
    forms = _forms(asked.runtimes, asked.precisions)
    every = [Setting(size, grid, *form) for size, grid, form in product(sizes, bins, forms)]
    return list(dict.fromkeys([own, *every]))


def own_setting(trained: Trained) -> Setting:
    """That in which the network was trained."""
    coords = trained.network.variant.coords
    return Setting(trained.size, coords.num_bins if isinstance(coords, DCC) else None, *AS_TRAINED)


def _refuse_twice(values: Sequence[object]) -> None:
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise Refused(f"search sizes: {twice[0]} stands there twice; name each once")


def _sizes(asked: Sequence[int], own: tuple[int, int]) -> list[tuple[int, int]]:
    if large := [side for side in asked if side > MOST_SIDE]:
        raise Refused(f"--sizes {large[0]}: at most {MOST_SIDE}")
    if wrong := [side for side in asked if side < STRIDE or side % STRIDE]:
        below = max(wrong[0] // STRIDE, 1) * STRIDE
        raise Refused(f"--sizes {wrong[0]}: expected multiples of {STRIDE}, as {below} or {below + STRIDE}")
    if asked:
        return [(side, side) for side in asked]
    if own[0] != own[1]:
        return [own]
    near = {max(round(own[0] * share / STRIDE), 1) * STRIDE for share in AROUND}
    return [(side, side) for side in sorted(near)]


# Bins


def _bins(asked: Sequence[Bins], coords: Coords, own: Bins | None) -> list[Bins | None]:
    for grid in asked:
        if grid != own:
            check_bins(coords, grid)
    return list(asked) or [own]


def check_bins(coords: Coords, grid: Bins) -> None:
    """Refuses bins that a trained coordinate stage can not take.

    Raises:
        Refused: it has no bins, its weights belong to its bins, or there are too few of them.
    """
    said = f"--bins {'x'.join(map(str, grid))}"
    if not isinstance(coords, DCC):
        raise Refused(
            f"{said}: the coordinate stage is {type(coords).__name__}, whose bins are no setting; leave it out"
        )
    if not coords.dynamic_encoding:
        own = "x".join(map(str, coords.num_bins))
        raise Refused(
            f"{said}: this network has learnt a vector for each of its {own} bins; only sine encodings take any number "
            "without new training"
        )
    if min(grid) < 2:
        raise Refused(f"{said}: an axis needs at least 2 bins")


def with_bins(network: Network, grid: Bins | None) -> Network:
    """The trained network, in eval mode, with another number of bins; itself where that is its own number."""
    coords = network.variant.coords
    if grid is None or (isinstance(coords, DCC) and coords.num_bins == grid):
        return network
    check_bins(coords, grid)
    changed = Network(network.variant.vary({"coords.num_bins": grid}), seed=0)
    places = {name: value for name, value in changed.state_dict().items() if name.split(".")[-1] in _PLACES}
    changed.load_state_dict({**network.state_dict(), **places})
    return changed.eval()


# Runtimes and precisions


def _forms(runtimes: Sequence[str], precisions: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of runtime and precision; each that is asked for stands in one at least."""
    here = [name for name, runtime in RUNTIMES.items() if "cpu" in runtime.devices]
    for name in runtimes:
        if name not in here:
            raise Refused(f"--runtimes {name}: expected what runs on the CPU: {', '.join(here)}")
        check_installed(name, "--runtimes")
    chosen = list(runtimes) or ["torch", *(["onnx"] if runtime_installed("onnx") else [])]
    possible = [(name, precision) for name in chosen for precision in RUNTIMES[name].precisions]
    known = {precision for _, precision in possible}
    if unknown := [precision for precision in precisions if precision not in known]:
        has = "; ".join(f"{name} has {', '.join(RUNTIMES[name].precisions)}" for name in chosen)
        raise Refused(f"--precisions {unknown[0]}: no runtime that is asked for has it: {has}")
    wanted = precisions or _quick_here()
    found = [(name, precision) for name, precision in possible if precision in wanted]
    if idle := [name for name in chosen if name not in {form[0] for form in found}]:
        raise Refused(
            f"--runtimes {idle[0]}: it has {', '.join(RUNTIMES[idle[0]].precisions)}; add one to --precisions"
        )
    return found


def _quick_here() -> Iterable[str]:
    """Precisions that save time on this machine: a CPU without the unit for bf16 takes longer with it."""
    return ("float32", "int8", *(["bf16"] if this_machine().bf16 else []))
