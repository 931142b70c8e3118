"""A study with numbers that are made up: the folders of its jobs, and the costs of its rows."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.matched import records
from tests.small import SMALL, SMALL_PROTOCOL
from workbench.experiments import profiling
from workbench.experiments.plan import StudyRun
from workbench.experiments.profiling import Measurement, Reading
from workbench.experiments.protocols import NANO_RECIPE
from workbench.models.job import Protocol
from workbench.models.variant import Variant
from workbench.models.zoo import REGRESSION, nano
from workbench.report import page
from workbench.report.pieces import LeftOut, LivePicture, PagePicture, Text
from workbench.report.record import Record
from workbench.study import Better, Cited, Row, Study, StudyProtocol, TimedRow, TimingStudy
from workbench.training.record import write_result

ROOT = Path(__file__).parents[2]
STUDY = Study(
    name="padding",
    question="How much padding?",
    source="a test",
    base=nano(),
    rows=(
        Row("base", cited=Cited(67.7, "a paper")),
        Row("more", {"coords.padding": 1.5}),
        Row("A/A", seed_offset=100),
    ),
    claims=(Better("P1", "more is better", "more", "base"),),
)
SETTING = StudyProtocol("small", "three seeds", Protocol(size=(96, 96), epoch_images=100, eval_images=40), seeds=3)
FOUND = {"base": 20, "more": 26, "A/A": 21}  # of 40 images, those in which the person is found


TWO = Study("two", "Which?", "a test", Variant(), (Row("regression", REGRESSION), Row("bins")))
TINY = StudyProtocol(
    "tiny", "few steps", replace(SMALL_PROTOCOL, epochs=2, score_threshold=0.0), NANO_RECIPE, SMALL, seeds=1
)


def run_in(home: Path, **options: Any) -> StudyRun:
    return StudyRun(STUDY, SETTING, home, **options)


def with_study(record: Record, study: Study) -> Record:
    """The record, read by another version of its study."""
    return replace(record, run=replace(record.run, study=study))


def copied(home: Path, key: str, other: str) -> None:
    """Another job with the numbers of a complete one."""
    shutil.copytree(home / "jobs" / key, home / "jobs" / other)
    file = home / "jobs" / other / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"key": other}))


def complete(
    home: Path, study: Study, setting: StudyProtocol, found: Callable[[str], int], first_seed: int = 0
) -> None:
    """Folders of complete jobs with known numbers; the images are the embedded validation scenes."""
    for cell in study.planned_jobs(setting, first_seed=first_seed):
        folder = home / "jobs" / cell.job.key
        folder.mkdir(parents=True)
        ap, match = found(cell.row) / 40 + cell.seed / 1000, records(found(cell.row))
        replace(match, image_ids=match.image_ids + 10_000_000).save(folder / "records.npz")
        rates = "train_images_per_s,loss_mle"
        lines = ((2.0, ap / 4, 2), (3.0, ap / 2, 2), (4.0, ap, 1))
        text = "".join(f"{epoch},{score},50,{loss}\n" for epoch, score, loss in lines)
        (folder / "curve.csv").write_text(f"epoch,AP,{rates}\n{text}")
        tags = {"commit": "abc", "machine": "m", "threads": "1", "precision": "float32"}
        metrics = {"AP": ap, "mOKS": ap + 0.1, "NME": 0.2 - ap / 10, "params": 2e6, "gflops": ap}
        metrics |= {"latency_ms_p50": 8.0 + cell.seed, "latency_ratio": 1.0 + ap}
        write_result(folder, cell.job.key, metrics, tags)


def text(piece: Any) -> str:
    assert isinstance(piece, Text | LeftOut)
    return piece.text


def profiled(way: str, persons: int, ms: float) -> Reading:
    return Reading(f"{way}, {persons}", persons, way, 2_000_000, 1.5, (ms,) * 20)


PERSONS = [("kept", 0, 300.0), ("kept", 8, 310.0), ("kept", 16, 330.0)]
PERSONS += [("crops", 1, 20.0), ("crops", 8, 210.0), ("crops", 16, 430.0)]
CONDITIONS = {"size": "640 x 640", "rounds": "20", "threads": "1", "precision": "float32", "machine": "box"}
CONDITIONS |= {"others": "1.1", "commit": "abc"}


def write_persons(name: str, lines: Sequence[tuple[str, int, float]]) -> None:
    readings = tuple(profiled(*line) for line in lines)
    found = Measurement(readings, CONDITIONS, twin=readings[0].ms)
    profiling.write_costs(TimingStudy(name, "?", "a test", nano(), (TimedRow("all"),)), found, [])


FIGURES = (page.forest, page.quality, page.fronts, page.curves, page.loss_curves, page.precision, page.slices)


def still(piece: object) -> PagePicture:
    """The picture of a piece, be it alive or not."""
    picture = piece.picture if isinstance(piece, LivePicture) else piece
    assert isinstance(picture, PagePicture)
    return picture


def cells(table: str) -> dict[str, dict[str, str]]:
    """The cells of a Markdown table by row and column."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.split("\n\n")[0].splitlines()]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:]}
