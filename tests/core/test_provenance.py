"""Where a number comes from: this package's commit or version, whatever repository it happens to lie in."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from workbench.core import provenance
from workbench.core.provenance import DISTRIBUTION, commit, has_bf16, machine_name, result_tags, slow_bf16
from workbench.training.machine import machine_on

VERSION = metadata.version(DISTRIBUTION)
git_only = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Of a user, with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "theirs.py").write_text("")
    git(tmp_path, "add", "theirs.py")
    git(tmp_path, "commit", "-qm", "theirs")
    return tmp_path


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Puts a copy of the module into a folder and lets it say where it is."""

    def place(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        copy = folder / "provenance.py"
        shutil.copy(str(sys.modules[commit.__module__].__file__), copy)
        monkeypatch.setattr(provenance, "__file__", str(copy))
        return copy

    return place


@git_only
@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("place", [".venv/lib/python3.11/site-packages/workbench/core", "build/workbench", "."])
def test_the_commit_of_a_users_repository_is_not_ours(
    repository: Path, placed: Callable[[Path], Path], place: str, ignored: bool
) -> None:
    if ignored:
        (repository / ".gitignore").write_text(f"{place}/\n")
    placed(repository / place)
    assert commit() == VERSION != git(repository, "rev-parse", "--short=12", "HEAD")


@git_only
def test_in_a_checkout_it_is_the_commit_and_says_whether_files_differ(
    repository: Path, placed: Callable[[Path], Path]
) -> None:
    file = placed(repository / "workbench" / "core")
    (repository / "reports").mkdir()
    (repository / "reports" / "a.csv").write_text("1")
    git(repository, "add", ".")
    assert commit().endswith("+"), "known to the repository, but not in its last commit"
    git(repository, "commit", "-qm", "ours")
    head = git(repository, "rev-parse", "--short=12", "HEAD")
    assert commit() == head
    (repository / "reports" / "a.csv").write_text("2")
    assert commit() == head, "what a study writes does not count"
    file.write_text(file.read_text() + "\n")
    assert commit() == head + "+"


@git_only
def test_before_the_first_commit_there_is_none(tmp_path: Path, placed: Callable[[Path], Path]) -> None:
    git(tmp_path, "init", "-q")
    placed(tmp_path / "workbench")
    git(tmp_path, "add", ".")
    assert commit() == VERSION


def test_without_git_or_installation(
    tmp_path: Path, placed: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    placed(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert commit() == VERSION
    monkeypatch.setattr(provenance, "DISTRIBUTION", "a-package-that-nobody-installed")
    assert commit() == "unknown"


def test_a_result_says_where_it_comes_from() -> None:
    tags = result_tags(machine_name(), 2, "bf16", ranks=4)
    assert list(tags) == ["commit", "machine", "threads", "precision", "ranks", "torch", "finished"]
    assert (tags["threads"], tags["precision"], tags["ranks"]) == ("2", "bf16", "4")
    assert "cores, " + torch.backends.cpu.get_cpu_capability() in tags["machine"]
    assert (
        tags["machine"].endswith("bf16") == has_bf16()
        and tags["commit"] == commit()
        and tags["torch"] == torch.__version__
    )
    assert tags.keys() - result_tags("m", 1, "float32").keys() == {"ranks"}


@pytest.mark.parametrize("amx", [True, False])
@pytest.mark.parametrize("avx512", [True, False])
def test_only_a_unit_makes_bf16_the_default_and_who_asks_for_it_without_is_told(
    amx: bool, avx512: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = SimpleNamespace(_is_amx_tile_supported=lambda: amx, _is_avx512_bf16_supported=lambda: avx512)
    monkeypatch.setattr(torch, "cpu", units)
    unit = amx or avx512
    assert has_bf16() == machine_on("cpu").bf16 == machine_name().endswith(" and bf16") == unit
    assert bool(slow_bf16(["float32", "bf16"])) == (not unit)
    assert slow_bf16(["float32"]) == slow_bf16(["bf16"], "cuda") == ""
