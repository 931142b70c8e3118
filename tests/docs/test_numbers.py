"""Numbers in docs are the recorded ones; tables in docs list what the code has."""

import csv
import re
from pathlib import Path

from tests.docs.pages import ROOT
from workbench.core.augmentation import AUGMENTATIONS
from workbench.core.skeletons import SKELETONS
from workbench.experiments.protocols import PROTOCOLS
from workbench.inference.runtimes import RUNTIMES

DATA = ROOT / "reports/data"


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def recorded(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(text: str, begin: str) -> list[list[str]]:
    """The cells of a table whose first line begins so, without its head."""
    lines = text.partition(begin)[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def ratios(name: str, *columns: str, inverse: bool = False) -> set[str]:
    """Of `reports/data/bench_NAME.csv`, each as the page writes it."""
    found = [[float(line[column]) for column in columns] for line in recorded(f"bench_{name}") if line[columns[0]]]
    if inverse:
        found = [[1 / value, 1 / high, 1 / low] for value, low, high in found]
    return {"{:.2f} ({:.2f} to {:.2f})".format(*numbers) for numbers in found}


def test_the_speeds_are_the_recorded_ones() -> None:
    shown = [cells[2] for cells in table(page("deployment"), "| what | against | times as fast | aim |")]
    assert len(shown) == 10 and shown.pop() == recorded("bench_evaluate")[0]["ratio"]
    known = ratios("train", "x_plain", "x_plain_low", "x_plain_high") | ratios("deploy", "faster", "low", "high")
    assert set(shown) <= known | ratios("beside", "ratio", "low", "high", inverse=True)


def test_the_accuracy_of_deployed_forms_is_the_recorded_one() -> None:
    """A column for each network that was recorded, in that order."""
    lines = recorded("bench_deploy_accuracy")
    cost = {(line["form"], line["job"]): 100 * float(line["AP_cost"]) for line in lines}
    jobs = [*dict.fromkeys(line["job"] for line in lines)]
    rows = table(page("deployment"), "| form | DCC | regression |")
    assert len(rows) == 4
    for form, *shown in rows:
        known = (cost[form.lower().replace(",", ""), job] for job in jobs)
        assert shown == [f"{value + 0:.2f}".replace("-0.00", "0.00") for value in known]


def test_the_runtimes_are_those_that_there_are() -> None:
    rows = table(page("deployment"), "| runtime | what it is")
    shown = {name.strip("`"): (precisions, devices) for name, _, precisions, devices in rows}
    assert shown == {name: (", ".join(one.precisions), ", ".join(one.devices)) for name, one in RUNTIMES.items()}


def test_the_protocols_are_those_that_there_are() -> None:
    assert [row[0].strip("`") for row in table(page("protocols"), "| protocol | what it does")] == list(PROTOCOLS)


def test_every_record_that_is_named_is_there() -> None:
    named = {
        name for file in sorted((ROOT / "docs").glob("*.md")) for name in re.findall(r"\w+\.csv", file.read_text())
    }
    assert len(named) > 6
    assert {name for name in named if not (DATA / name).exists()} == {"curve.csv", "sizes.csv"} & named


def test_every_source_file_that_is_named_is_there() -> None:
    """Paths in backquotes; without a folder of their own they lie in `workbench`."""
    for file in sorted((ROOT / "docs").glob("*.md")):
        for name in re.findall(r"`([a-z_]+/[\w/]+\.py)`", file.read_text("utf-8")):
            assert any((root / name).exists() for root in (ROOT, ROOT / "workbench")), f"{Path(file).name}: {name}"


def test_the_augmentations_and_key_point_sets_are_those_that_there_are() -> None:
    assert [row[0].strip("`") for row in table(page("data"), "| name | what it does")] == list(AUGMENTATIONS)
    shown = {row[0].strip("`"): int(row[1]) for row in table(page("data"), "| name | key points")}
    assert shown == {name: len(skeleton) for name, skeleton in SKELETONS.items()}
