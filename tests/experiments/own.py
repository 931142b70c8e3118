"""The smallest run of one's own, for tests of what is done with it."""

from pathlib import Path
from typing import Any

from tests.small import small_job
from workbench.experiments.own_job import OwnJob
from workbench.experiments.own_run import Begun, begin


def small_run(folder: Path, seed: int = 0, **protocol: Any) -> Begun:
    return begin(OwnJob("nano", "smoke", small_job(**protocol).vary({"seed": seed})), folder)
