"""`keypoints.json` in a data folder: what annotation files can not say of their key points, or do not.

    {"sigmas": {"head": 0.05, "tail": 0.08, ...}, "pairs": [["left_paw", "right_paw"]], "limbs": [["head", "tail"]]}

Every part may be missing. `sigmas` may also be one number for all, or a list in the order of the names. `names` are
those of the columns, where no category names them; `set` is the name of a published set that they are. `orientation`
says of images with the tag of a camera that was turned whether they are annotated as "stored" or "upright".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.keypoints import check_names

SIDE_FILE = "keypoints.json"
_PARTS = ("set", "names", "sigmas", "pairs", "limbs", "orientation")
_ORIENTATIONS = (None, "stored", "upright")


@dataclass(frozen=True)
class SideFile:
    """What the file says; None where it says nothing."""

    file: Path
    set: str | None = None
    names: tuple[str, ...] | None = None
    sigmas: Any = None
    pairs: Any = None
    limbs: Any = None
    orientation: str | None = None

    def sigmas_of(self, names: Sequence[str]) -> tuple[float, ...] | None:
        """The constants in the order of the names.

        Raises:
            Refused: another count, no numbers above 0, or a name that is not there.
        """
        if self.sigmas is None:
            return None
        values: list[Any]
        if isinstance(self.sigmas, dict):
            given: dict[str, Any] = self.sigmas
            self._known(given, names, "sigmas")
            if missing := [name for name in names if name not in given]:
                raise Refused(f"{self.file}: sigmas without {', '.join(missing)}; give one for each key point")
            values = [given[name] for name in names]
        else:
            values = self.sigmas if isinstance(self.sigmas, list) else [self.sigmas] * len(names)
        if len(values) != len(names):
            raise Refused(f"{self.file}: {len(values)} sigmas for {len(names)} key points ({', '.join(names)})")
        if wrong := [value for value in values if type(value) not in (int, float) or not 0 < value < 1]:
            raise Refused(f"{self.file}: sigma {wrong[0]!r}: expected a number above 0 and below 1")
        return tuple(float(value) for value in values)

    def flip_of(self, names: Sequence[str]) -> tuple[int, ...] | None:
        """The index of each name's mirror.

        Raises:
            Refused: pairs that are none, of a name that is not there, or of one twice.
        """
        if self.pairs is None:
            return None
        flip = list(range(len(names)))
        for a, b in self._indices(self.pairs, names, "pairs"):
            if a == b or flip[a] != a or flip[b] != b:
                raise Refused(f"{self.file}: pairs have {names[a]!r} with {names[b]!r}; give each key point once")
            flip[a], flip[b] = b, a
        return tuple(flip)

    def limbs_of(self, names: Sequence[str]) -> tuple[tuple[int, int], ...] | None:
        """Pairs of indices.

        Raises:
            Refused: limbs that are no pairs, or of a name that is not there.
        """
        return None if self.limbs is None else tuple(self._indices(self.limbs, names, "limbs"))

    def _indices(self, pairs: Any, names: Sequence[str], what: str) -> list[tuple[int, int]]:
        if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise Refused(f"{self.file}: {what} {str(pairs)[:60]}; expected a list of two names each")
        for pair in pairs:
            self._known(pair, names, what)
        return [(names.index(a), names.index(b)) for a, b in pairs]

    def _known(self, given: Any, names: Sequence[str], what: str) -> None:
        if unknown := [name for name in given if name not in names]:
            raise Refused(f"{self.file}: {what} speak of {unknown[0]!r}; there are {', '.join(names)}")


def read_side_file(folder: Path) -> SideFile:
    """The side file of a data folder; one that says nothing where there is none.

    Raises:
        Refused: it can not be read, or has other parts than it may have.
    """
    file = folder / SIDE_FILE
    if not file.exists():
        return SideFile(file)
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{file} can not be read: {error}") from None
    if not isinstance(found, dict) or set(found) - set(_PARTS):
        more = sorted(set(found) - set(_PARTS)) if isinstance(found, dict) else type(found).__name__
        raise Refused(f"{file} has {more}; expected an object with some of {', '.join(_PARTS)}")
    names = found.get("names")
    if names is not None:
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Refused(f"{file}: names {str(names)[:60]}; expected a list of words")
        try:
            check_names(names)
        except Refused as error:
            raise Refused(f"{file}: {error}") from None
        found["names"] = tuple(names)
    if found.get("set") is not None and not isinstance(found["set"], str):
        raise Refused(f"{file}: set {found['set']!r}; expected the name of a key-point set")
    if found.get("orientation") not in _ORIENTATIONS:
        raise Refused(f"{file}: orientation {found['orientation']!r}; expected 'stored' or 'upright'")
    return SideFile(file, **found)
