"""The committed records and pages, which several tests look at: not those that somebody has made beside them."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.report.made_up import ROOT
from workbench.report.verdict_table import RecordedClaim, recorded_claims


@cache
def committed_claims() -> list[RecordedClaim]:
    """Read once per process, because it takes seconds; in the order of the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return recorded_claims()


@cache
def committed(folder: str) -> list[Path]:
    """The files of a folder that git knows, in order; all of them where there is no git, as in an archive."""
    words = ["git", "-C", str(ROOT), "ls-files", "-z", folder]
    try:
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        told = [str(path.relative_to(ROOT)) for path in (ROOT / folder).iterdir()]
    return sorted(path for name in told if (path := ROOT / name).is_file() and path.parent == ROOT / folder)
