"""A window: what it does with keys, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workbench.core.errors import Refused
from workbench.inference.window import Window

IMAGE = np.full((300, 4000, 3), (10, 20, 30), np.uint8)


class FakeRoot:
    """What a window asks of tkinter; while it waits, the next key is pressed."""

    def __init__(self) -> None:
        self.bound: dict[str, Callable[[Any], None]] = {}
        self.keys: list[str] = []
        self.shown: list[bytes] = []
        self.destroyed = False

    def title(self, _: str) -> None: ...

    def update(self) -> None: ...

    def bind(self, name: str, call: Callable[[Any], None]) -> None:
        self.bound[name] = call

    def protocol(self, name: str, call: Callable[[], None]) -> None:
        self.bound[name] = lambda _: call()

    def winfo_screenwidth(self) -> int:
        return 1000

    def winfo_screenheight(self) -> int:
        return 1000

    def wait_variable(self, _: Any) -> None:
        self.bound["<Key>"](SimpleNamespace(keysym=self.keys.pop(0)))

    def destroy(self) -> None:
        self.destroyed = True


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> FakeRoot:
    found = FakeRoot()
    label = SimpleNamespace(pack=lambda: None, configure=lambda image: found.shown.append(image.data))
    fake = SimpleNamespace(
        Tk=lambda: found,
        TclError=RuntimeError,
        Label=lambda _: label,
        BooleanVar=lambda _: SimpleNamespace(set=lambda _: None),
        PhotoImage=SimpleNamespace,
    )
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    return found


def test_keys_go_on_until_one_ends_it(root: FakeRoot) -> None:
    window = Window()
    root.keys = ["space", "q"]
    assert window.show(IMAGE, wait=True) and window.show(IMAGE, wait=False)
    assert root.shown[0].startswith(b"P6 850 64 255\n"), "it fits the screen"
    assert len(root.shown[0]) == 14 + 850 * 64 * 3 and root.shown[0].endswith(bytes([30, 20, 10]))
    assert not window.show(IMAGE, wait=True) and root.destroyed
    assert not window.show(IMAGE, wait=True) and len(root.shown) == 3


def test_closing_ends_it(root: FakeRoot) -> None:
    window = Window()
    assert window.show(IMAGE[:, :200], wait=False) and root.shown[0].startswith(b"P6 200 300 255\n")
    root.bound["WM_DELETE_WINDOW"](None)
    assert not window.show(IMAGE, wait=False)


def test_without_a_display_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no display name and no $DISPLAY environment variable")

    monkeypatch.setitem(sys.modules, "tkinter", SimpleNamespace(Tk=fail, TclError=RuntimeError))
    with pytest.raises(Refused, match=r"--show: no display here \(no display name.*leave it out"):
        Window()
    monkeypatch.setitem(sys.modules, "tkinter", None)
    with pytest.raises(Refused, match="--show: this Python has no tkinter; install it"):
        Window()
