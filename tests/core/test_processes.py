"""Processes: what a command imports before its workers' server does must be light."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from workbench.core.processes import INTERRUPTED, Share, interruptible, shares, was_interrupted

LIGHT = ("core.processes", "core.errors", "core.files", "core.skeletons", "training.record")
IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(f"workbench.{name}")
    print(name, *sorted({"torch", "numpy", "optuna", "mlflow"} & set(sys.modules)))
"""


def test_they_are_imported_without_what_takes_seconds() -> None:
    found = subprocess.run([sys.executable, "-c", IMPORT, *LIGHT], capture_output=True, text=True)
    assert (found.stdout.splitlines(), found.stderr) == (list(LIGHT), "")


_ENDS = """
import multiprocessing, os, sys, time
from workbench.core.processes import end_with_parent

def wait():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    multiprocessing.get_context("spawn").Process(target=wait).start()
    time.sleep(600)
"""


def test_a_process_ends_with_its_parent_even_if_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "ends.py").write_text(_ENDS)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "ends.py")], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    child.wait(30)
    parent.stdout.close()


_ASKED = """
import time
from workbench.core.processes import interruptible
with interruptible() as check:
    try:
        check()
        print("at work", flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        try:
            check()  # where Python has dropped the first
        except KeyboardInterrupt:
            print("closing", flush=True)
        time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_request_to_end_is_an_interrupt_and_the_second_ends_at_once(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _ASKED], stdout=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        for said in ("at work", "closing"):
            assert asked.stdout.readline() == f"{said}\n"
            asked.send_signal(number)
        assert asked.wait(30) == INTERRUPTED == 130


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruptible() as check:
        check()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_machine_is_shared_out() -> None:
    assert shares((), (), 2) == [Share(), Share()]
    assert shares((4, 5, 6), ("0", "1"), 2) == [Share((4, 6), "0"), Share((5,), "1")]
    assert shares((4,), ("0",), 2) == [Share((4,), "0")] * 2, "there are not enough"


_SHARE = """
import os
from workbench.core.processes import Share
mine = min(os.sched_getaffinity(0))
Share((mine,), "7").take()
print(sorted(os.sched_getaffinity(0)) == [mine], os.environ["CUDA_VISIBLE_DEVICES"])
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to a core")
def test_a_process_keeps_to_its_share() -> None:
    found = subprocess.run([sys.executable, "-c", _SHARE], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("True 7", "")


def test_an_interrupt_that_nobody_looked_at_is_found() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert was_interrupted(interrupted) and not was_interrupted(lambda: None)
