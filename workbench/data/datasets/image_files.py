"""A look at the image files of a set before anything starts: whether they are there, whole, and of the annotated size.

Links are followed, wherever they lead to: images often lie on another disk. Those that lead out of the data set are
told of, since who made it decides by them what is read.

A camera that is held upright mostly stores its image lying on its side, with a tag that says so. Annotations may be of
either; where the annotated size does not tell which, the other images of the set do, or `keypoints.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from workbench.data.datasets.findings import Findings
from workbench.data.datasets.images import ImageHeader, image_header
from workbench.data.datasets.pictures import ImageEntry, leaves
from workbench.data.datasets.side_file import SIDE_FILE, read_side_file


def look_at_images(pictures: Sequence[ImageEntry], folder: Path, root: Path, findings: Findings) -> bool:
    """Finds fault with files; those that lie elsewhere than their name says are found, and their entry is changed.

    Args:
        folder: of the images; root: of the data set.

    Returns:
        whether images that fit their annotated size either way are turned as their tag says.
    """
    seen: dict[str, list[str]] = {"upright": [], "stored": [], "either": []}
    other: Mapping[str, str] | None = None
    taken = {picture.file for picture in pictures}
    outside = _Outside(folder, root)
    for picture in pictures:
        if leaves(picture.file):
            continue
        header = image_header(folder / picture.file)
        if header == "missing":
            other = _by_name(folder) if other is None else other
            header = _elsewhere(picture, folder, other, taken, findings)
        if isinstance(header, str):
            if header == "missing":
                findings.add(f"images missing from {folder}", picture.file)
            else:
                findings.add("broken images", f"{picture.file} ({header})")
            continue
        if outside(picture.file):
            findings.note(f"images behind links that lead out of {root}, which are followed", picture.file)
        if (way := _way(header, picture, findings)) is not None:
            seen[way].append(picture.file)
    return _decided(seen, root, findings)


class _Outside:
    """Whether a file of the image folder lies outside of the data set, because of a link on its way."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root.resolve()
        self.asked = folder.absolute().is_relative_to(root.absolute())  # else its own place is no secret
        self.parents: dict[Path, bool] = {}

    def __call__(self, file: str) -> bool:
        path = self.folder / file
        if path.parent not in self.parents:
            self.parents[path.parent] = self._left(path.parent)
        return self.asked and (self.parents[path.parent] or (path.is_symlink() and self._left(path)))

    def _left(self, path: Path) -> bool:
        return not path.resolve().is_relative_to(self.root)


def _by_name(folder: Path) -> dict[str, str]:
    """Files by their name in small letters, "" for a name that stands for several."""
    found: dict[str, str] = {}
    for file in folder.rglob("*"):
        if file.is_file():
            name = file.name.lower()
            found[name] = "" if name in found else file.relative_to(folder).as_posix()
    return found


def _elsewhere(
    picture: ImageEntry, folder: Path, by_name: Mapping[str, str], taken: set[str], findings: Findings
) -> ImageHeader | str:
    """The file of that name in other letters or another folder, where there is but one, and it is no other's."""
    found = by_name.get(PurePosixPath(picture.file).name.lower(), "")
    if not found or found in taken:
        return "missing"
    taken.add(found)
    findings.note("images found under another folder or spelling than file_name says", picture.file)
    picture.file = found
    return image_header(folder / found)


def _way(header: ImageHeader, picture: ImageEntry, findings: Findings) -> str | None:
    """Of which image a tagged file's annotations are; None for one without a tag, or of neither size."""
    wanted, stored = (picture.width, picture.height), (header.width, header.height)
    if wanted not in (stored, header.upright):
        sizes = f"{header.width}x{header.height} pixels, annotated for {picture.width}x{picture.height}"
        findings.add("images of another size than annotated", f"{picture.file} ({sizes})")
        return None
    if header.orientation == 1:
        return None
    if stored == header.upright:
        return "either"
    return "stored" if wanted == stored else "upright"


def _decided(seen: Mapping[str, list[str]], root: Path, findings: Findings) -> bool:
    if seen["upright"]:
        findings.note("images turned as their orientation tag says, since they are annotated so", *seen["upright"])
    if seen["stored"]:
        findings.note("images with an orientation tag, annotated as they are stored", *seen["stored"])
    if not seen["either"]:
        return False
    said = read_side_file(root).orientation
    if said is None and bool(seen["upright"]) != bool(seen["stored"]):
        said = "upright" if seen["upright"] else "stored"
    if said is None:
        findings.add(
            "images with an orientation tag, of a size that does not tell whether they are annotated as stored or "
            f'turned (say {{"orientation": "stored"}} or "upright" in {root / SIDE_FILE}, or save them anew without '
            "the tag)",
            *seen["either"],
        )
        return False
    findings.note(f"images with an orientation tag, taken as annotated {said}", *seen["either"])
    return said == "upright"
