"""What a set of key points is: names, constants of OKS, mirror pairs and limbs. How names tell left from right.

Names are compared by their words: `left_eye`, `Left Eye`, `leftEye`, `L_Eye`, `LEye` and `eye_left` are one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, final

from workbench.core.errors import Refused
from workbench.core.spec import Spec

Side = Literal["left", "right"]
_OTHER: Final[dict[Side, Side]] = {"left": "right", "right": "left"}
_LETTERS: Final[dict[str, Side]] = {"l": "left", "r": "right"}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")


@final
@dataclass(frozen=True, kw_only=True)
class Skeleton(Spec):
    """K key points. One without a name of `workbench.core.skeletons` is part of the identity of a job, whole.

    Fields:
        keypoints: their names, in the order of the columns.
        sigmas: the constants of OKS, exp(-d^2 / (2 area (2 sigma)^2)).
        flip: index of the mirrored key point, its own where there is none.
        limbs: pairs of indices that a drawing joins.

    Raises:
        Refused: names missing or twice, another number of constants or pairs, a mirror that does not lead back.
    """

    name: str = ""
    keypoints: tuple[str, ...] = ()
    sigmas: tuple[float, ...] = ()
    flip: tuple[int, ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.keypoints)

    def check(self) -> None:
        check_names(self.keypoints)
        count = len(self.keypoints)
        for what, given in (("sigmas", self.sigmas), ("mirrored indices", self.flip)):
            if len(given) != count:
                raise Refused(f"key points {self.name!r}: {len(given)} {what} for {count} key points")
        if wrong := [sigma for sigma in self.sigmas if sigma <= 0]:
            raise Refused(f"key points {self.name!r}: sigma {wrong[0]}: must be above 0")
        for k, other in enumerate(self.flip):
            if not 0 <= other < count or self.flip[other] != k:
                raise Refused(f"key points {self.name!r}: the mirror of {self.keypoints[k]!r} does not lead back to it")
        if wrong := [limb for limb in self.limbs if not all(0 <= k < count for k in limb)]:
            raise Refused(f"key points {self.name!r}: limb {wrong[0]}: there are key points 0 to {count - 1}")

    def side(self, k: int) -> Side | None:
        """Of the key point `k`, by its name and its mirror pair; None for the middle and where nothing says it."""
        if self.flip[k] == k:
            return None
        mine, other = (readings(self.keypoints[i]) for i in (k, self.flip[k]))
        return next((one.side for one in mine if one.mirrored in other), None)


def check_names(names: Sequence[str]) -> None:
    """Refuses empty names, names with a comma, which separates them in exported files, and names that occur twice."""
    if wrong := [name for name in names if not name.strip() or "," in name]:
        raise Refused(f"key-point name {wrong[0]!r}: expected words without a comma")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise Refused(f"key-point name {twice[0]!r} stands {names.count(twice[0])} times; give each once")


class Reading(NamedTuple):
    """A way to read a name: its side and the words without it; `plain` where the side is a word of its own."""

    side: Side
    stem: tuple[str, ...]

    @property
    def mirrored(self) -> Reading:
        return Reading(_OTHER[self.side], self.stem)


def words_of(name: str) -> tuple[str, ...]:
    """The words and numbers of a name in lower case."""
    return tuple(word.lower() for word in _WORD.findall(name))


def readings(name: str) -> list[Reading]:
    """Every way to read a side out of a name, the surest first: `left`, `l` as a first or last word, `l` glued on."""
    return list(dict.fromkeys(_readings(words_of(name))))


def _readings(words: tuple[str, ...]) -> Iterator[Reading]:
    for i, word in enumerate(words):
        if word in ("left", "right"):
            yield Reading(word, words[:i] + words[i + 1 :])
    if len(words) > 1 and words[0] in _LETTERS:
        yield Reading(_LETTERS[words[0]], words[1:])
    if len(words) > 1 and words[-1] in _LETTERS:
        yield Reading(_LETTERS[words[-1]], words[:-1])
    for first in words[:1]:
        yield from (Reading(side, (rest, *words[1:])) for side, rest in _glued(first))


def _glued(word: str) -> Iterator[tuple[Side, str]]:
    """The sides that a word may begin with, and what follows: `leftknee`, `lknee`."""
    for side in _OTHER:
        if word.startswith(side) and word != side:
            yield side, word.removeprefix(side)
    if len(word) > 1 and word[0] in _LETTERS:
        yield _LETTERS[word[0]], word[1:]


def sides_of(names: Sequence[str]) -> list[Reading | None]:
    """How each name is read beside the others: with a side only where its mirror is there, too."""
    every = [readings(name) for name in names]
    there = {one for ways in every for one in ways}
    return [next((one for one in ways if one.mirrored in there), None) for ways in every]


def canonical(names: Sequence[str]) -> list[str]:
    """Names in one spelling: the side first, then the words in lower case, `left eye` for `L_Eye` beside `R_Eye`."""
    read = sides_of(names)
    return [
        " ".join(words_of(name) if one is None else (one.side, *one.stem))
        for name, one in zip(names, read, strict=True)
    ]


def mirror_of(names: Sequence[str]) -> tuple[int, ...]:
    """The index of each name's mirror, from what the names say: left and right, l and r.

    Raises:
        Refused: a left without its right, or the other way round, or two names that mean the same.
    """
    read = sides_of(names)
    for name, one in zip(names, read, strict=True):
        if one is None and {"left", "right"} & set(words_of(name)):
            raise Refused(f"key point {name!r} has no mirror among {', '.join(names)}; give the pairs")
    spelt = canonical(names)
    if twice := [word for word, count in Counter(spelt).items() if count > 1]:
        same = [name for name, word in zip(names, spelt, strict=True) if word == twice[0]]
        raise Refused(f"key points {' and '.join(map(repr, same))} mean the same; name them otherwise")
    places = {one: k for k, one in enumerate(read) if one is not None}
    return tuple(k if one is None else places.get(one.mirrored, k) for k, one in enumerate(read))
