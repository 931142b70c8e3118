"""`workbench COMMAND`, the same as `python -m workbench COMMAND`."""

from __future__ import annotations

import os  # these are loaded before any path is searched
import sys
from collections.abc import Callable


def main(argv: list[str] | None = None) -> int:
    """Runs one command; `cli.app` says what the exit codes mean."""
    _search_current_folder_late()
    from workbench.core.processes import INTERRUPTED, interruptible

    with interruptible() as check:
        try:
            from workbench.cli.app import run_command_line

            code = run_command_line(argv)
        except BaseException:  # libraries make errors of their own of an interrupt that comes while they are imported
            if not _asked(check):
                raise
            code = INTERRUPTED
        if code == INTERRUPTED and _asked(check):  # else the command has said so itself
            print("workbench: stopped", file=sys.stderr)
    return code


def _asked(check: Callable[[], None]) -> bool:
    """Whether the command was interrupted where nothing but this looked."""
    try:
        check()
    except KeyboardInterrupt:
        return True
    return False


def _search_current_folder_late() -> None:
    """Studies are found where the user stands, and a torch.py that stands there hides no installed package.

    `python -m` puts that folder first. It stays there where it is the folder that this package was imported from. Else
    it comes behind what is installed, ahead of a source tree that is installed as editable: that has studies, too.
    """
    here = os.getcwd()
    if here == os.path.dirname(os.path.dirname(os.path.abspath(__file__))):
        return
    if sys.path[0] in ("", here):
        del sys.path[0]
    if here not in sys.path:
        installed = [i for i, folder in enumerate(sys.path) if folder.endswith(("site-packages", "dist-packages"))]
        sys.path.insert(max(installed, default=len(sys.path)) + 1, here)


if __name__ == "__main__":
    sys.exit(main())
