"""Where a number comes from: the commit of the code and the machine that ran it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import torch


def commit() -> str:
    """The commit of this checkout, with "+" where files differ from it; "unknown" outside a repository.

    What a study or a report has written counts as no difference: the next one would be marked for it.
    """
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        dirty = _git("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)reports")
    except OSError:
        return "unknown"
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "") if head.returncode == 0 else "unknown"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)


def machine_name(device: str = "cpu") -> str:
    """The processor or the accelerator, as it calls itself."""
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    except OSError:
        names = set()
    return f"{', '.join(sorted(names)) or platform.processor() or platform.machine()}, {os.cpu_count()} cores"
