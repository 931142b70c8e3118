"""`workbench COMMAND`, the same as `python -m workbench COMMAND`."""

import os  # these two are loaded before any path is searched; nothing else is imported up here, not even __future__
import sys

STOPPED = "workbench: stopped"


def main(argv: list[str] | None = None) -> int:
    """Runs one command; `cli.app` says what the exit codes mean."""
    try:
        _search_current_folder_late(os.getcwd())
    except FileNotFoundError:
        print("workbench: the current folder was deleted; change to one that is there", file=sys.stderr)
        return 2
    with _EndAtOnce():  # until there is something to be closed
        from workbench.core.processes import INTERRUPTED, interruptible, was_interrupted

        with interruptible() as check:
            try:
                from workbench.cli.ranks import run_as_rank

                code = run_as_rank(argv)
            except BaseException:  # libraries make their own of an interrupt that comes while they are imported
                if not was_interrupted(check):
                    raise
                code = INTERRUPTED
            if code == INTERRUPTED and was_interrupted(check):  # else the command has said so itself
                print(STOPPED, file=sys.stderr)
    exec("")  # else Python ends by the signal in place of the code where the interrupt came in text that it ran
    return code


class _EndAtOnce:
    """Has an interrupt end this process with a line and nothing else; Python would show the import in which it came."""

    def __enter__(self) -> None:
        import signal

        self.before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in self.before:
                signal.signal(number, self.end)
        except ValueError:  # only the main thread is given signals
            self.before = {}

    def __exit__(self, *_: object) -> None:
        import signal

        for number, handler in self.before.items():
            signal.signal(number, handler)

    def end(self, *_: object) -> None:
        os.write(2, f"{STOPPED}\n".encode())
        os._exit(130)


def _search_current_folder_late(here: str) -> None:
    """Studies are found where the user stands, and a torch.py that stands there hides no installed package.

    `python -m` puts that folder first. Here it comes behind what is installed, ahead of a source tree that is installed
    as editable: that has studies, too. The processes that this one starts do not search it at all, unless they are told
    to: a worker, a notebook's kernel, MLflow's server.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    if sys.path[0] in ("", here):
        del sys.path[0]
    if here not in sys.path:
        installed = [i for i, folder in enumerate(sys.path) if folder.endswith(("site-packages", "dist-packages"))]
        sys.path.insert(max(installed, default=len(sys.path)) + 1, here)


if __name__ == "__main__":
    sys.exit(main())
