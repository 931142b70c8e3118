"""Where a number comes from: the commit of the code and the machine that ran it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

DISTRIBUTION = "rtmo-workbench"


def commit() -> str:
    """The commit of this package in a checkout, with "+" where files differ from it; elsewhere its installed version.

    A repository counts only where it holds this very file: an environment inside a user's repository is not part of
    that. What a study or a report has written counts as no difference, or every second run would be marked for it.
    "unknown" for a copy that is neither in a repository nor installed.
    """
    try:
        if _git("ls-files", "--error-unmatch", Path(__file__).name).returncode == 0:
            head = _git("rev-parse", "--short=12", "HEAD")
            differs = _git("status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)reports").stdout.strip()
            if head.returncode == 0:  # 1 before the first commit
                return head.stdout.strip() + ("+" if differs else "")
    except OSError:
        pass  # there is no git
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True)


def machine_name(device: str = "cpu") -> str:
    """The processor, as it calls itself, with its vector units, or the accelerator.

    Two processors of one name may have other units, and differ by half in time for it.
    """
    if device != "cpu":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    except OSError:
        names = set()
    units = torch.backends.cpu.get_cpu_capability() + " and bf16" * has_bf16()
    return f"{', '.join(sorted(names)) or platform.processor() or platform.machine()}, {os.cpu_count()} cores, {units}"


def has_bf16() -> bool:
    """Whether this CPU multiplies bf16; one that does not takes several times as long with it as with float32."""
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def slow_bf16(precisions: Iterable[str], device: str = "cpu") -> str:
    """What is to be said of bf16 that was asked for; "" where it is fast, or was not asked for."""
    if "bf16" not in precisions or device != "cpu" or has_bf16():
        return ""
    return "bf16: this processor has no unit for it, so it takes several times as long as float32"


def result_tags(machine: str, threads: int, precision: str, ranks: int = 0) -> dict[str, str]:
    """What is written beside every number: the code, the machine, how it was used, and when it was finished.

    Args:
        machine: as `machine_name` gives it; threads: of one process; precision: "float32" or "bf16".
        ranks: processes that shared the work; 0 leaves that out, where there is nothing to share.
    """
    return {
        "commit": commit(),
        "machine": machine,
        "threads": str(threads),
        "precision": precision,
        **({"ranks": str(ranks)} if ranks else {}),
        "torch": torch.__version__,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
