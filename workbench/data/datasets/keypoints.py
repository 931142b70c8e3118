"""Which key points a data set has: a published set, or its own. Decided by their names, never by their number.

Names that are those of a published set, in any order and spelling, are that set. Others are a set of their own: names
and limbs from the file's categories, mirror pairs from the words for left and right, constants of OKS from the side
file, from persons that were annotated more than once, or the same for all: the mean of COCO's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton, mirror_of
from workbench.core.skeletons import COCO, columns_of, skeleton_named, skeleton_of
from workbench.data.datasets.categories import Category, FileVersion, category_records, file_version, with_keypoints
from workbench.data.datasets.classes import category_key
from workbench.data.datasets.parsing import parsed
from workbench.data.datasets.repeats import Persons, estimated_sigmas, repeated
from workbench.data.datasets.side_file import SIDE_FILE, SideFile, read_side_file

UNIFORM = round(sum(COCO.sigmas) / len(COCO), 3)  # 0.067
_SHOWN = 6  # names that a line shows

Columns = tuple[int, ...]  # where each key point of the set stands in the file


@dataclass(frozen=True)
class DataKeypoints:
    """The key points of a data set.

    Fields:
        said: one line that says which they are and what is not from the file.
        unnamed: columns of categories that name none; None where nothing says which those are.
    """

    skeleton: Skeleton
    said: str
    unnamed: Columns | None = None

    def columns(self, records: Sequence[Any], file: str) -> dict[str, Columns]:
        """The columns of each category of a file, by its id as text, in the order of the set.

        Raises:
            Refused: a category names other key points.
        """
        named = {category_key(one.id): _columns(one, self.skeleton, file) for one in with_keypoints(records, file)}
        if self.unnamed is None:
            return named
        every = {category_key(record.get("id")) for record in records if isinstance(record, Mapping)}
        return {**dict.fromkeys(every, self.unnamed), **named}


def keypoints_of(files: Sequence[Path], folder: Path) -> DataKeypoints:
    """The key points of a data set, from its annotation files and the side file of its folder.

    Files that can not be read are passed over; what else is wrong with them is not for this to find.

    Raises:
        Refused: no file names its key points, two of them or two categories name others, or the side file is wrong.
    """
    return _decided(tuple(file_version(file) for file in files), file_version(folder / SIDE_FILE))


@lru_cache(maxsize=16)
def _decided(files: tuple[FileVersion, ...], side: FileVersion) -> DataKeypoints:
    """Of files as they are now: the same ones are looked at once in a process."""
    paths = [file for file, _, _ in files]
    records = {file: found for file in paths if (found := category_records(file)) is not None}
    if not records:
        raise Refused(f"annotation file {paths[0]} can not be read, or holds no categories")
    given = read_side_file(side[0].parent)
    named = [(file.name, one) for file, found in records.items() for one in with_keypoints(found, file.name)]
    if not named and given.names is None and given.set is None:
        raise Refused(
            f"{next(iter(records)).name}: no category names its key points, so nothing says which they are; add their "
            f'names to it, or {given.file} with {{"set": "coco"}} or {{"names": [...]}}'
        )
    names = named[0][1].keypoints if named else given.names or skeleton_named(str(given.set)).keypoints
    published = _published(names, given)
    if published is not None:
        found, said = published
    else:
        found, said = _own(names, [one for _, one in named], given, paths)
    others = [_columns(one, found, file) != tuple(range(len(found))) for file, one in named]
    if any(others):
        said += f"; the columns of {sum(others)} of {len(others)} categories are put in its order"
    return DataKeypoints(found, said, _of_unnamed(given, found))


def _published(names: tuple[str, ...], given: SideFile) -> tuple[Skeleton, str] | None:
    """The published set of these names, and what of it the side file changes."""
    base = skeleton_named(given.set) if given.set else skeleton_of(names)
    if base is None:
        return None
    columns_of(names, base)  # refuses a set that is said to be another
    sigmas, flip, limbs = given.sigmas_of(base.keypoints), given.flip_of(base.keypoints), given.limbs_of(base.keypoints)
    changed = replace(base, sigmas=sigmas or base.sigmas, flip=flip or base.flip, limbs=limbs or base.limbs)
    if changed == base:
        return base, f"key points: {base.name} ({len(base)}), by their names"
    changed = replace(changed, name=f"{base.name} of {SIDE_FILE}")
    parts = [part for part in ("sigmas", "pairs", "limbs") if getattr(given, part) is not None]
    return changed, f"key points: {base.name} ({len(base)}), by their names; {', '.join(parts)} of {SIDE_FILE}"


def _own(
    names: tuple[str, ...], named: Sequence[Category], given: SideFile, files: Sequence[Path]
) -> tuple[Skeleton, str]:
    """A set that no published one is."""
    name = named[0].name if named else "own"
    flip = given.flip_of(names)
    pairs = f"pairs of {SIDE_FILE}" if flip is not None else "mirror pairs from left and right in their names"
    if flip is None and named and named[0].flip is not None:
        flip, pairs = named[0].flip, "mirror pairs of flip_idx"
    if flip is None:
        try:
            flip = mirror_of(names)
        except Refused as error:
            raise Refused(
                f'{error} in {given.file}: {{"pairs": [["left_x", "right_x"], ...]}}, or [] for none'
            ) from None
    sigmas, source = _sigmas(names, flip, given, files)
    limbs = given.limbs_of(names)
    if limbs is None:
        limbs = named[0].limbs if named else ()
    found = Skeleton(name=name, keypoints=names, sigmas=sigmas, flip=flip, limbs=limbs)
    shown = ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
    count = sum(k < other for k, other in enumerate(flip))
    said = f"key points: {len(names)} of {name!r} ({shown}); {count} {pairs}; {source}"
    if given.limbs is None and named and named[0].left_out:
        said += f"; {named[0].left_out} limbs of other key points left out"
    return found, said


def _sigmas(
    names: tuple[str, ...], flip: tuple[int, ...], given: SideFile, files: Sequence[Path]
) -> tuple[tuple[float, ...], str]:
    """The constants and where they are from."""
    if (sigmas := given.sigmas_of(names)) is not None:
        return sigmas, f"sigmas of {SIDE_FILE}"
    groups = [group for file in files for group in _repeated(file, len(names))]
    if (sigmas := estimated_sigmas(groups, flip)) is not None:
        return sigmas, f"sigmas estimated from {len(groups)} persons annotated more than once"
    return (UNIFORM,) * len(names), f"sigmas {UNIFORM} for all, the mean of COCO's ({SIDE_FILE} can give others)"


def _repeated(file: Path, count: int) -> list[Persons]:
    """Persons of a file that were annotated more than once; one that can not be read is refused by its reader."""
    try:
        return parsed(file, lambda people: repeated(people, count)).persons
    except Refused:
        return []


def _columns(one: Category, skeleton: Skeleton, file: str) -> Columns:
    """
    Raises:
        Refused: other names.
    """
    try:
        return columns_of(one.keypoints, skeleton)
    except Refused as error:
        raise Refused(f"{file}: category {one.id} {one.name!r} has {error}; all need the same names") from None


def _of_unnamed(given: SideFile, skeleton: Skeleton) -> Columns | None:
    if given.names is not None:
        return columns_of(given.names, skeleton)
    return tuple(range(len(skeleton))) if given.set else None
