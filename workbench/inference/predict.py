"""Persons in pictures and videos of one's own: what is drawn on them, and all of them in COCO's results form."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused
from workbench.core.files import write_whole
from workbench.data.datasets.images import Unreadable
from workbench.data.find import BATCH, SeenPicture, found_in
from workbench.data.inferred import inferred_from
from workbench.data.overlay import DRAWN_ABOVE, draw_found
from workbench.data.picture import pixels_of
from workbench.inference.finder import PersonFinder
from workbench.inference.frames import FrameReader, FrameWriter
from workbench.inference.sources import InputSource, image_numbers

RESULTS = "predictions.json"
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]
_Pixels = NDArray[np.uint8]
WriteRows = Callable[[Sequence[dict[str, Any]]], None]


class Screen(Protocol):
    """Where pictures are shown while they are made."""

    def show(self, image: _Pixels, *, wait: bool) -> bool:
        """Whether more is to be shown."""
        ...


@dataclass(frozen=True)
class PredictOptions:
    """How it is done.

    Fields:
        batch: pictures that go through the network together; a camera's go alone.
        draw_threshold: persons and key points below this confidence are not drawn.
        frames: of each video or camera, at most; 0: all.
    """

    batch: int = BATCH
    draw_threshold: float = DRAWN_ABOVE
    frames: int = 0


@dataclass
class PredictedSource:
    """What became of one input.

    Fields:
        image_id: of the picture or of the first frame; frames: how many, 1 of a picture.
        persons: found in all of them.
        size: height and width.
        drawn: the file with the drawing.
    """

    name: str
    kind: str
    image_id: int
    size: tuple[int, int]
    drawn: str
    frames: int = 0
    persons: int = 0


@dataclass
class Predicted:
    """What was done: a record per input, and why others could not be read, by their names."""

    network: str
    folder: Path
    sources: list[PredictedSource] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def results(self) -> Path:
        """The file of all persons in COCO's results form."""
        return self.folder / RESULTS

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON."""
        sources = [
            {
                "name": one.name,
                "kind": one.kind,
                "image_id": one.image_id,
                "frames": one.frames,
                "persons": one.persons,
                "height": one.size[0],
                "width": one.size[1],
                "drawn": one.drawn,
            }
            for one in self.sources
        ]
        return {
            "network": self.network,
            "folder": str(self.folder),
            "predictions": str(self.results),
            "seconds": round(self.seconds, 3),
            "sources": sources,
            "unreadable": [{"name": name, "reason": reason} for name, reason in self.unreadable.items()],
        }

    def lines(self) -> Iterator[str]:
        """The same in words."""
        pictures = sum(one.kind in ("picture", "stdin") for one in self.sources)
        frames = sum(one.frames for one in self.sources) - pictures
        persons = _counted(sum(one.persons for one in self.sources), "person")
        seen = [_counted(count, what) for count, what in ((pictures, "picture"), (frames, "frame")) if count]
        if not seen:
            yield f"{self.network}: nothing could be read"
            return
        yield f"{self.network}: {persons} in {' and '.join(seen)}, {self.seconds:.1f} s"
        yield f"drawn in {self.folder}, listed in {self.results}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)


def predict(
    finder: PersonFinder,
    sources: Sequence[InputSource],
    out: Path,
    options: PredictOptions = PredictOptions(),
    *,
    tick: Callable[[str], None] = lambda _: None,
    screen: Screen | None = None,
) -> Predicted:
    """Draws the persons of each input in a folder, and lists them in its `predictions.json`.

    A row there has the image's id and its `file_name`, of a video also the `frame`, from 0. What can not be read is
    left out and told in the result. A camera ends with Ctrl+C.

    Args:
        tick: is called with the name of an input after each picture and frame.
        screen: shows each drawing.

    Raises:
        Refused: the folder can not be written to, or the network gives numbers that are not finite.
    """
    _make(out)
    start, done = time.monotonic(), Predicted(finder.source, out)
    run = _Run(finder, out, options, done, tick, screen)
    with rows_written(done.results) as write:
        run.pictures([one for one in sources if not one.moves], write)
        for one in sources:
            if one.moves:
                run.video(one, write)
    done.seconds = time.monotonic() - start
    return done


@dataclass
class _Run:
    finder: PersonFinder
    out: Path
    options: PredictOptions
    done: Predicted
    tick: Callable[[str], None]
    screen: Screen | None
    next_id: int = 1

    def pictures(self, sources: Sequence[InputSource], write: WriteRows) -> None:
        """All pictures, in batches over their order."""
        numbers = image_numbers(sources)
        self.next_id = max(numbers.values(), default=0) + 1
        reads = [partial(_read, one) for one in sources]
        seen = found_in(reads, self.finder.find, self.finder.size, self.options.batch)
        for source, one in zip(sources, seen, strict=True):
            if isinstance(one, Unreadable):
                self.done.unreadable[source.name] = one.reason
            else:
                record = self._record(source, numbers[source.name], one)
                write(self._rows(one, record.image_id, source.name))
                self._count(record, one)
                drawn = self._drawn(one)
                _write_picture(self.out / source.place, drawn)
                self._show(drawn, wait=True)
            self.tick(source.name)

    def video(self, source: InputSource, write: WriteRows) -> None:
        """One video or camera, frame by frame."""
        camera = source.kind == "camera"
        try:
            reader = FrameReader(source.name, camera=camera)
        except Unreadable as error:
            self.done.unreadable[source.name] = error.reason
            self.tick(source.name)
            return
        frames = islice(reader, self.options.frames or None)
        batch = 1 if camera else self.options.batch
        seen = found_in(map(_given, frames), self.finder.find, self.finder.size, batch)
        interrupts = [KeyboardInterrupt] * camera  # which is how a camera ends
        with FrameWriter(self.out / source.place, reader.rate) as writer, suppress(*interrupts):
            self._frames(source, seen, writer, write)

    def _frames(
        self, source: InputSource, seen: Iterable[SeenPicture | Unreadable], writer: FrameWriter, write: WriteRows
    ) -> None:
        record: PredictedSource | None = None
        for one in seen:
            assert isinstance(one, SeenPicture)  # a frame is read before
            if record is None:
                record = self._record(source, self.next_id, one)
            write([row | {"frame": record.frames} for row in self._rows(one, self.next_id, source.name)])
            self.next_id += 1
            self._count(record, one)
            drawn = self._drawn(one)
            writer.add(drawn)
            self.tick(source.name)
            if not self._show(drawn, wait=False) and source.kind == "camera":
                return

    def _record(self, source: InputSource, image_id: int, seen: SeenPicture) -> PredictedSource:
        size = (seen.image.shape[0], seen.image.shape[1])
        record = PredictedSource(source.name, source.kind, image_id, size, str(self.out / source.place))
        self.done.sources.append(record)
        return record

    def _count(self, record: PredictedSource, seen: SeenPicture) -> None:
        record.frames += 1
        record.persons += len(seen.found)

    def _rows(self, seen: SeenPicture, image_id: int, name: str) -> list[dict[str, Any]]:
        found, size = seen.found, (seen.image.shape[0], seen.image.shape[1])
        parts = (found.boxes, found.scores, found.keypoints, found.keypoint_scores)
        if not all(np.isfinite(part).all() for part in parts):
            raise Refused(f"{self.finder.source}: it gives numbers that are not finite; train it again")
        rows = inferred_from(found, self.finder.skeleton, size, self.finder.classes).to_coco(image_id)
        return [row | {"file_name": Path(name).name} for row in rows]

    def _drawn(self, seen: SeenPicture) -> _Pixels:
        return draw_found(seen.image, seen.found, self.finder.skeleton, self.options.draw_threshold)

    def _show(self, drawn: _Pixels, *, wait: bool) -> bool:
        if self.screen is not None and not self.screen.show(drawn, wait=wait):
            self.screen = None
            return False
        return True


def _read(source: InputSource) -> _Pixels:
    if source.kind == "stdin":
        return pixels_of(sys.stdin.buffer.read(), "standard input")
    return pixels_of(source.name)


def _given(frame: _Pixels) -> Callable[[], _Pixels]:
    return lambda: frame


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"-o {folder}: {error.strerror}; name a folder that can be written to") from None


def _write_picture(path: Path, drawn: _Pixels) -> None:
    coded, data = cv2.imencode(path.suffix.lower(), drawn, _QUALITY if path.suffix.lower() in (".jpg", ".jpeg") else [])
    if not coded:
        raise Refused(f"{path}: OpenCV can not write this format")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path, durable=False) as part:
            part.write_bytes(data.tobytes())
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}; pictures can not be written there, name another folder") from None


@contextmanager
def rows_written(path: Path) -> Iterator[WriteRows]:
    """Writes rows as one JSON list, each when it comes: those of a long video are more than memory holds."""
    with write_whole(path) as part, part.open("w", encoding="utf-8") as file:
        begun = False

        def write(rows: Sequence[dict[str, Any]]) -> None:
            nonlocal begun
            for row in rows:
                file.write((",\n" if begun else "[\n") + json.dumps(row, allow_nan=False))
                begun = True

        yield write
        file.write("\n]\n" if begun else "[]\n")
