"""What workers share is imported, and no search for garbage goes through it."""

import subprocess
import sys

import pytest

LOOKS = """
import gc, sys
from workbench.core import preloaded
print(gc.isenabled(), gc.get_freeze_count() > 100_000, set(preloaded.IMPORTED_FIRST[:4]) <= set(sys.modules))
preloaded.IMPORTED_FIRST.append("absent")
preloaded.load()
"""


@pytest.mark.slow
def test_all_is_imported_and_frozen_and_what_is_not_installed_passed_over() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["True"] * 3), done.stderr
    assert done.stderr == "", "libraries that count what is left in the end find nothing"
