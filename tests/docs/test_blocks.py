"""Every block of code in README and docs runs; every command in them is one that exists, with options that it takes."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import studies
from tests.docs.pages import DOCS, README, ROOT, Block, blocks, inline_code, prose
from workbench.__main__ import main
from workbench.components import necks
from workbench.core.errors import Refused
from workbench.experiments.noop_check import check_distinct
from workbench.experiments.protocols import PROTOCOLS
from workbench.inference.runtimes import RUNTIMES
from workbench.models import catalog
from workbench.models.named import blueprint
from workbench.models.network import Network
from workbench.models.published import published_state
from workbench.models.zoo import network_named, rtmo
from workbench.study import Study, find_study, known_studies
from workbench.testing import contracts_of

BLOCKS = [block for page in DOCS for block in blocks(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "sh"]
COMMANDS = {"workbench", "nox"}
SETUP = {"pip": 3}  # how many lines make an environment: they are not run
PLACEHOLDER = re.compile(r"[A-Z]+")


def example(mark: str, page: Path = README) -> str:
    """The page's block that holds `mark`."""
    (found,) = [block.text for block in blocks(page) if mark in block.text]
    return found


@pytest.fixture(autouse=True)
def _added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The component of the docs and the README's study, put into files where they say."""
    for package, name, text in (
        (necks, "lateral", example("class Lateral(Neck)", ROOT / "docs/plugins.md")),
        (studies, "encoder_depth", example("STUDY = Study(")),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.py").write_text(text, "utf-8")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])


# Python


def test_every_block_says_its_language() -> None:
    assert {block.language for block in BLOCKS} == {"python", "sh", "text", "yaml"}
    assert len(PYTHON) >= 4 and len(SHELL) >= 6
    for page in DOCS:
        assert "\n\n    " not in prose(page), f"{page.name}: fence its blocks of code"


def test_the_component_of_the_docs_is_found_and_fits_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    lateral = catalog.discover()["neck"]["Lateral"]
    assert main(["components"]) == 0
    assert "Lateral" in capsys.readouterr().out
    for contract in contracts_of(lateral()):
        contract(lateral())
    network = Network(network_named("nano").vary({"neck": lateral()})).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).boxes.isfinite().all()


@pytest.mark.slow
def test_the_readmes_study_is_found_and_planned(capsys: pytest.CaptureFixture[str]) -> None:
    study = find_study("encoder_depth")
    assert isinstance(study, Study) and "encoder_depth" in known_studies()
    check_distinct(study.planned_jobs(PROTOCOLS["smoke"]))
    assert main(["study", "status", "encoder_depth"]) == 1  # nothing is complete yet
    assert "0 of" in capsys.readouterr().out


RUNS = [  # what trains takes longest
    pytest.param(
        block,
        marks=pytest.mark.soak if "import train" in block.text else pytest.mark.slow,
        id=f"{block.page.name}:{block.text[:30].splitlines()[0]}",
    )
    for block in PYTHON
]


@pytest.mark.parametrize("block", RUNS)
def test_python_runs(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where its own paths are: a picture, and a released model's file with random weights that finds somebody."""
    monkeypatch.chdir(tmp_path)
    if ".pth" in block.text:
        cv2.imwrite("street.jpg", np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8))
        state = published_state(Network(rtmo("s"), seed=0))
        coarsest = max(name for name in state if re.search(r"out_cls\.\d\.bias", name))
        state[coarsest] = torch.zeros_like(state[coarsest])  # scores of about a half
        torch.save({"state_dict": state}, re.findall(r'"([^"]*\.pth)"', block.text)[0])
    Path("block.py").write_text(block.text, "utf-8")
    made = runpy.run_path("block.py")
    assert capsys.readouterr().out or "STUDY" in made or "Lateral" in made


# Commands


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line, of one that torchrun starts without how. What stands in brackets may be left
    out, and is."""
    for part in re.sub(r"\[[^\]]*\]", "", line).split("&&"):
        if words := shlex.split(part, comments=True):
            yield words[words.index("-m") + 1 :] if words[0] == "torchrun" else words


IN_BLOCKS = [line for block in SHELL for line in block.text.replace("\\\n", "").splitlines() if line.strip()]
LINES = list(IN_BLOCKS)
LINES += [code for page in DOCS for code in inline_code(page) if code.split()[0] in COMMANDS and " " in code]


@pytest.mark.parametrize("line", sorted(set(LINES)))
def test_a_command_exists_and_takes_its_options(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(line):
        assert faults(words, lambda: capsys.readouterr().out) == []


def test_few_lines_are_not_looked_at() -> None:
    names = [words[0] for line in IN_BLOCKS for words in commands(line)]
    assert {name: names.count(name) for name in names if name not in COMMANDS} == SETUP


@pytest.mark.parametrize(
    "line",
    [
        "nox -s paint",
        "nox -s study -- no_such_study",
        "nox -s study -- ablate_dcc --protocol slow",
        "workbench study ablate_dcc --sed 3",
        "workbench latency rtmo-s --runtime torch,tvm",
        "workbench cost rtmo-q",
        "workbench bench nothing",
        "workbench paint",
    ],
)
def test_a_wrong_command_is_found(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(line.split(), lambda: capsys.readouterr().out)


def faults(words: list[str], said: Callable[[], str]) -> list[str]:
    """What is wrong with a command, told by its own help. `said` gives what was printed."""
    if words[0] == "workbench":
        return list(_workbench(words[1:], said))
    if words[0] == "nox":
        _, flag, session, *rest = words
        if flag != "-s" or session not in _sessions():
            return [f"nox has no session {session}"]
        rest = rest[1:] if rest[:1] == ["--"] else rest
        ours = session in ("study", "report", "ui", "dashboard", "bench")
        return list(_workbench([session, *rest], said)) if ours else []
    return [] if words[0] in SETUP else [f"{words[0]} is none of {COMMANDS}"]


def _sessions() -> set[str]:
    functions = [
        node for node in ast.parse((ROOT / "noxfile.py").read_text()).body if isinstance(node, ast.FunctionDef)
    ]
    return {f.name for f in functions if any("session" in ast.unparse(d) for d in f.decorator_list)}


def _workbench(words: list[str], said: Callable[[], str]) -> Iterator[str]:
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    names, options = [name for name in words[:first] if not PLACEHOLDER.fullmatch(name)], words[first:]
    if (help_text := _help(names, said)) is None:
        yield f"workbench {' '.join(names)}: refused"
        return
    for option in options:
        if option.startswith("-") and not re.search(rf"{re.escape(option)}\b", help_text):
            yield f"workbench {names[0]} has no {option}"
    yield from _unknown_values(names, options)


def _help(names: list[str], said: Callable[[], str]) -> str | None:
    """What a command says of itself, asked with the names that a line gives it; None: it does not exist."""
    try:
        code = main([*names, "--help"])
    except SystemExit as end:
        code = end.code
    text = said()
    return text if code in (0, None) else None


def _unknown_values(names: list[str], options: list[str]) -> Iterator[str]:
    """Names that mean nothing. Words in capitals stand for a name."""
    command, *given = names
    known = {"study": [*known_studies(), "status", "resume", "retry", "replay", "audit"], "report": known_studies()}
    values = dict(pairwise(options))
    if command in known:
        yield from (f"no study {name}" for name in given if name not in known[command])
    if command in ("cost", "latency"):
        yield from (f"no network {name}" for name in given if not _network(name))
    if (protocol := values.get("--protocol", "P")) not in PROTOCOLS and not PLACEHOLDER.fullmatch(protocol):
        yield f"no protocol {protocol}"
    yield from (f"no runtime {name}" for name in values.get("--runtime", "torch").split(",") if name not in RUNTIMES)


def _network(name: str) -> bool:
    """Files and folders of an example need not be there."""
    try:
        return "/" in name or name.endswith((".pth", ".onnx")) or bool(blueprint(name))
    except Refused:
        return False
