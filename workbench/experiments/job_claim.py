"""The claim on a job: what its folder says of the worker that trains it, and of how far that is.

HOME/jobs/KEY/
    owner                 who trains it, while it is trained
    progress.json         what the running job last said
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.core.files import write_whole
from workbench.training.record import Progress


class TakenOver(Exception):
    """The job is another worker's by now: this one was not heard for too long."""


@dataclass(frozen=True)
class JobClaim:
    """What the folder of a job says of the trial that trains it. It can be handed to another process."""

    folder: Path
    owner: str
    trial: int

    @property
    def text(self) -> str:
        return f"{self.owner} {self.trial}"

    def take(self) -> None:
        (self.folder / "owner").write_text(self.text, "utf-8")

    @property
    def held(self) -> bool:
        try:
            return (self.folder / "owner").read_text("utf-8") == self.text
        except OSError:
            return False

    def tell(self, progress: Progress) -> None:
        """Says how far the job is.

        Raises:
            TakenOver: another worker has claimed it, and goes on from the last checkpoint.
        """
        if not self.held:
            raise TakenOver
        with write_whole(self.folder / "progress.json", durable=False) as part:
            part.write_text(json.dumps(asdict(progress)), "utf-8")

    def release(self) -> None:
        for name in ("owner", "progress.json"):
            (self.folder / name).unlink(missing_ok=True)


def read_progress(folder: Path) -> Progress | None:
    """What a running job last said; None: nothing yet, or it has just ended."""
    try:
        return Progress(**json.loads((folder / "progress.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
