"""Processes: what a command imports before its workers' server does must be light."""

import subprocess
import sys

import pytest

IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(sorted({"torch", "numpy", "optuna", "mlflow"} & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["core.processes", "core.errors", "core.files", "core.skeletons", "training.record"])
def test_it_is_imported_without_what_takes_seconds(module: str) -> None:
    command = [sys.executable, "-c", IMPORT, f"workbench.{module}"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("[]", "")
