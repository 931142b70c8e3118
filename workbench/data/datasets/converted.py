"""Foreign annotations as files in COCO's form, made once and kept by a digest of what they are made of.

HOME/data/converted/KIND-DIGEST.json
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workbench.core.files import write_whole
from workbench.data.datasets.annotations import Annotated

CocoContent = dict[str, Any]


class Converted(Annotated):
    """A layout that is put into COCO's form once, with a part to train on and one to be judged on."""

    evaluation = "coco"

    @classmethod
    def splits(cls, folder: Path) -> tuple[str, str]:
        """train and val."""
        return "train", "val"


def converted(kind: str, sources: Iterable[Path], make: Callable[[], CocoContent], more: str = "") -> Path:
    """The file that `make` gives the content of; it is not asked again while the sources stay as they are.

    Args:
        kind: the layout, and the version of what is made of it.
        sources: files and folders; a digest of their names, sizes and times is part of the file's name.
        more: what else decides the content.

    Raises:
        Refused: as `make`.
    """
    digest = hashlib.sha256(more.encode())
    for source in sources:
        try:
            found = source.stat()
        except OSError:
            continue
        digest.update(f"{source.absolute()}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    folder = _folder()
    file = folder / f"{kind}-{digest.hexdigest()[:16]}.json"
    if not file.is_file():
        text = json.dumps(make())
        with write_whole(file) as part:
            part.write_text(text, "utf-8")
    return file


def _folder() -> Path:
    """In the home of the runs; where that can not be written to, among the temporary files."""
    home = Path(os.environ.get("WORKBENCH_HOME", "runs"))
    for place in (home, Path(tempfile.gettempdir()) / "workbench"):
        folder = place / "data" / "converted"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise OSError(f"no folder can be written to: neither {home} nor {tempfile.gettempdir()}")
