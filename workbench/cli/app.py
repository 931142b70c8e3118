"""All commands as one command line, and what it answers with: an exit code and, to a mistake, one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from io import TextIOWrapper

import typer
from typer.core import TyperGroup, TyperOption
from typer.main import get_command

from workbench.cli.costs import cost_commands
from workbench.cli.data import data_commands, data_verbs
from workbench.cli.deploy import deploy_commands
from workbench.cli.doctor import doctor_commands
from workbench.cli.evaluate import evaluate_commands
from workbench.cli.gallery import gallery_commands
from workbench.cli.pages import page_commands
from workbench.cli.predict import predict_commands
from workbench.cli.project import project_commands
from workbench.cli.register import register_commands
from workbench.cli.runs import past_commands
from workbench.cli.search import search_verbs
from workbench.cli.studies import study_verbs
from workbench.cli.train import run_commands
from workbench.cli.trunk import trunk_commands
from workbench.cli.weights import weight_verbs
from workbench.cli.worker import worker_commands
from workbench.core.errors import Refused
from workbench.core.faults import machine_fault
from workbench.core.torchrun import launched

PROGRAM = "workbench"
MISSING, WRONG, INTERRUPTED, UNREAD = 1, 2, 130, 141  # exit codes; 0 is done
STDOUT = 1  # its file descriptor
SHARED = "train"  # the command whose work several processes share
_made = cache(get_command)  # once: it reads the signature of every command

commands = typer.Typer(
    help="RTMO as a workbench: ablate, search, compare. Every command has a --help of its own.",
    epilog="Example: workbench study ablate_dcc --protocol smoke",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
commands.add_typer(study_verbs, name="study")
commands.add_typer(search_verbs, name="search")
for group in (
    page_commands,
    trunk_commands,
    worker_commands,
    gallery_commands,
    register_commands,
    run_commands,
    past_commands,
    predict_commands,
    evaluate_commands,
    cost_commands,
    deploy_commands,
    data_commands,
    project_commands,
    doctor_commands,
):
    commands.add_typer(group)
commands.add_typer(data_verbs, name="data")
commands.add_typer(weight_verbs, name="weights")


def run_command_line(words: Sequence[str] | None) -> int:
    """Runs the command that the words ask for, those of the process where None.

    Returns:
        0 done, 1 something is missing at the end, 2 refused or a wrong command line, 130 interrupted, 141 nobody reads
        what is printed.
    """
    if sys.stdout is None:  # closed before the start
        return _say("standard output is closed; open it, as with > FILE", MISSING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what its encoding has no character for is shown by its number
            with suppress(OSError):  # it has become another file since Python opened it
                stream.reconfigure(errors="backslashreplace")
    try:
        _check_launch(sys.argv[1:] if words is None else words)
        done = _made(commands).main(words, prog_name=PROGRAM, standalone_mode=False)
        return _flushed(done)
    except Refused as error:
        return _say(str(error))
    except typer.TyperException as error:
        return _say(explain(error))
    except BrokenPipeError:
        return _unread()
    except SystemExit as end:  # of the shell's completion, of a benchmark's own options, or where nobody reads
        if isinstance(end.__context__, BrokenPipeError):
            return _unread()
        if isinstance(end.code, str):
            raise
        return end.code or 0
    except Exception as error:
        if (said := machine_fault(error)) is None:
            raise
        return _say(said)


def _check_launch(words: Sequence[str]) -> None:
    if launched() is not None and list(words[:1]) != [SHARED]:
        raise Refused(
            f"torchrun shares one `{PROGRAM} {SHARED}` among processes; start `{' '.join([PROGRAM, *words[:1]])}` "
            "without it"
        )


def _say(mistake: str, code: int = WRONG) -> int:
    print(f"{PROGRAM}: {mistake}", file=sys.stderr)
    return code


def _flushed(done: int) -> int:
    """The exit code, once all that was printed has arrived."""
    try:
        sys.stdout.flush()
        return done
    except BrokenPipeError:
        raise
    except OSError as error:
        _unread()
        return _say(f"standard output: {error.strerror}", MISSING)


def _unread() -> int:
    """The reader, such as `head`, has seen enough: what is still in the buffer goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return UNREAD


def explain(error: typer.TyperException) -> str:
    """One line on a wrong command line: where, what was given, what was expected."""
    ctx = getattr(error, "ctx", None)
    if ctx is None:
        return error.format_message()
    where = ctx.command_path.removeprefix(PROGRAM).strip()
    command, said = ctx.command, error.format_message().rstrip(".")
    said += "" if said.endswith("?") else ";"
    if isinstance(error, typer.BadParameter) and isinstance(error.param, TyperOption) and error.message:
        said = f"{error.param.opts[-1]} {error.message}"
    elif hasattr(error, "possibilities"):
        said += f" it has {', '.join(p.opts[-1] for p in command.params if isinstance(p, TyperOption))}"
    elif isinstance(command, TyperGroup):
        said += f" there are {', '.join(command.commands)}"
    else:
        said += f" expected {' '.join(command.get_usage(ctx).split()).removeprefix('Usage: ')}"
    return " ".join(f"{where}: {said}".removeprefix(": ").split())
