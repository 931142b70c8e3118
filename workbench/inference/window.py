"""A window that shows pictures while they are made; it needs a display and the tkinter that comes with most Pythons."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from workbench.core.errors import Refused

_SHARE = 0.85  # of the screen that a picture takes at most


class Window:
    """Shows one picture at a time. A key or a click goes on; Escape, q or closing it ends the showing.

    Raises:
        Refused: there is no display, or this Python has no tkinter.
    """

    def __init__(self, title: str = "workbench predict") -> None:
        try:
            import tkinter
        except ImportError as error:
            raise Refused("--show: this Python has no tkinter; install it (python3-tk), or leave --show out") from error
        try:
            self._root: Any = tkinter.Tk()
        except tkinter.TclError as error:
            raise Refused(f"--show: no display here ({error}); leave it out and look at the files") from error
        self._root.title(title)
        self._photo: Any = tkinter.PhotoImage
        self._label: Any = tkinter.Label(self._root)
        self._label.pack()
        self._held: Any = None  # tkinter keeps no hold of the picture that it shows
        self._go_on: Any = tkinter.BooleanVar(self._root)
        self.open = True
        self._root.bind("<Key>", self._pressed)
        self._root.bind("<Button>", lambda _: self._go_on.set(True))
        self._root.protocol("WM_DELETE_WINDOW", self._close)

    def show(self, image: NDArray[np.uint8], *, wait: bool) -> bool:
        """Shows (H, W, 3), BGR. Returns whether more is to be shown.

        Args:
            wait: for a key or a click.
        """
        if not self.open:
            return False
        self._held = self._photo(master=self._root, data=self._ppm(image), format="ppm")
        self._label.configure(image=self._held)
        self._root.update()
        if wait and self.open:
            self._root.wait_variable(self._go_on)
        return self.open

    def _ppm(self, image: NDArray[np.uint8]) -> bytes:
        """The image as large as the screen allows, in the format that tkinter reads by itself."""
        room = (self._root.winfo_screenheight() * _SHARE, self._root.winfo_screenwidth() * _SHARE)
        scale = min(1.0, *(most / side for most, side in zip(room, image.shape, strict=False)))
        fitted = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
        return f"P6 {fitted.shape[1]} {fitted.shape[0]} 255\n".encode() + fitted[..., ::-1].tobytes()

    def _pressed(self, event: Any) -> None:
        if event.keysym in ("Escape", "q"):
            self._close()
        else:
            self._go_on.set(True)

    def _close(self) -> None:
        self.open = False
        self._go_on.set(True)
        self._root.destroy()
