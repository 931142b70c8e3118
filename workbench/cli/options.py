"""What several commands share: their options, how a value is read, and the lists of names in help texts."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperArgument, TyperCommand, TyperOption

from workbench.cli import names
from workbench.core.errors import Refused
from workbench.core.home import runs_folder as runs_folder
from workbench.experiments.object_store import EXPECTED_FILES, FILES_VARIABLE, check_files
from workbench.experiments.stores import EXPECTED_STORE, STORE_VARIABLE, check_address

# Lists of names


def files_in(folder: str) -> list[str]:
    """The names of the Python files in a folder of the current one, without `.py` and without private ones."""
    return sorted(file.stem for file in Path(folder).glob("[!_]*.py"))


LISTS: Mapping[str, Callable[[], Iterable[str]]] = {
    "studies": lambda: files_in("studies"),
    "benchmarks": lambda: files_in("benchmarks"),
    "protocols": lambda: names.PROTOCOLS,
    "whole": lambda: names.FROM_SCRATCH,
    "networks": lambda: names.NETWORKS,
    "released": lambda: names.RELEASED,
    "any_network": lambda: (*names.NETWORKS, *(name for name in names.RELEASED if name not in names.NETWORKS)),
    "trunks": lambda: names.TRUNKS,
    "runtimes": lambda: names.RUNTIMES,
    "devices": lambda: names.DEVICES,
    "precisions": lambda: names.PRECISIONS,
    "file_precisions": lambda: names.FILE_PRECISIONS,
    "samplers": lambda: names.SAMPLERS,
    "levels": lambda: names.LEVELS,
    "parts": lambda: ("train", "val"),
    "layouts": lambda: ("coco", "yolo"),
    "weight_names": lambda: ("workbench", "mmpose", "focoos"),
    "until": lambda: ("decided",),
    "leftover": lambda: ("ignore",),
    "engines": lambda: ("local", "ray"),
}


def with_lists(text: str) -> str:
    """A help text with the names of a list in place of "{list}"."""
    return re.sub(r"\{(\w+)\}", lambda found: ", ".join(LISTS[found[1]]()), text)


class Command(TyperCommand):
    """A command whose help texts may hold "{list}", the name of one of `LISTS`: it is made when the help is shown."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        texts = [(one, one.help or "") for one in self.params if isinstance(one, TyperArgument | TyperOption)]
        for parameter, text in texts:
            parameter.help = with_lists(text)
        super().format_help(ctx, formatter)
        for parameter, text in texts:  # another time the lists may be others
            parameter.help = text


def completing(name: str) -> Callable[[str], list[str]]:
    """For `autocompletion`: the names of a list, also behind a comma."""

    def complete(incomplete: str) -> list[str]:
        before, comma, _ = incomplete.rpartition(",")
        return [before + comma + word for word in LISTS[name]()]

    return complete


# Values

LONGEST = 12  # digits of a number on the command line: nothing that is counted here has more
FEW_THREADS = 8  # that any machine can take, however few its cores; a hundred thousand end the process
MOST_SEEDS = 10_000  # a row's: to plan a million jobs takes minutes, and no study has ever asked for a hundred


def whole_number(least: int, most: int | None = None) -> Callable[[Any], int]:
    """Reads a whole number, `least` or more, and `most` or less where that is given."""
    limits = f"of {least} or more" if most is None else f"from {least} to {most}"

    def read(given: Any) -> int:
        text = str(given)
        if (
            not (text.isascii() and text.isdecimal())
            or len(text) > LONGEST
            or int(text) < least
            or (most is not None and int(text) > most)
        ):
            raise typer.BadParameter(f"{text!r}: expected a whole number {limits}")
        return int(text)

    return read


def any_number(given: Any) -> float:
    """Reads a number."""
    try:
        return float(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r}: expected a number, as in 0.5") from None


def one_of(name: str) -> Callable[[Any], str]:
    """Reads a word of a list."""

    def read(given: Any) -> str:
        if given not in (known := list(LISTS[name]())):
            raise typer.BadParameter(f"{given!r}: expected {' or '.join(known)}")
        return given

    return read


def words_of(name: str) -> Callable[[Any], str]:
    """Reads words of a list with commas between them."""

    def read(given: Any) -> str:
        known = list(LISTS[name]())
        for word in str(given).split(","):
            if word not in known:
                raise typer.BadParameter(f"{word!r}: expected {', '.join(known)}, or several of them with commas")
        return given

    return read


class Change(NamedTuple):
    """One `--set`: a dotted path of a job and its new value."""

    path: str
    value: Any


def change(text: str) -> Change:
    """`a.b=0.1` as path and value; a value that is no Python literal is a word."""
    path, equals, value = text.partition("=")
    if not (path and equals):
        raise typer.BadParameter(f"{text!r}: expected PATH=VALUE, as in recipe.lr=0.002")
    try:
        return Change(path, ast.literal_eval(value))
    except (ValueError, SyntaxError):
        return Change(path, value)


def changes_of(sets: Sequence[Change] | None) -> dict[str, Any]:
    """All `--set` of a command line, by their paths.

    Raises:
        Refused: a path is set twice.
    """
    paths = [path for path, _ in sets or ()]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise Refused(f"--set {twice[0]}: it is set {paths.count(twice[0])} times; set it once")
    return dict(sets or ())


# Options


COUNT = whole_number(1)
THREAD_COUNT = whole_number(1, max(os.cpu_count() or 1, FEW_THREADS))
TrunkFile = Annotated[
    str | None,
    typer.Option(
        "--trunk",
        metavar="FILE",
        help="With --protocol probe and --data: on the features of these weights, of a job's folder or of a released "
        "model",
    ),
]
StudyName = Annotated[
    str, typer.Argument(metavar="NAME", help="A file in studies/, without .py", autocompletion=completing("studies"))
]
ProtocolName = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        parser=one_of("protocols"),
        help="One of {protocols} (default: the study's own)",
        autocompletion=completing("protocols"),
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="FOLDER", help="A data set, see docs/data.md (default: the scenes that are drawn here)"
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        "--seeds", metavar="N", parser=whole_number(1, MOST_SEEDS), help="Seeds per row (default: the protocol's)"
    ),
]
FirstSeed = Annotated[
    int,
    typer.Option("--first-seed", metavar="N", parser=whole_number(0), help="Of each row: others repeat the study anew"),
]
Sets = Annotated[
    list[Change] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        parser=change,
        help="Change every job, as in recipe.lr=0.002; may be given several times",
    ),
]


StoreAddress = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help=f"The database that machines share, as {EXPECTED_STORE} (default: {STORE_VARIABLE}, or else a file in the "
        "folder of runs)",
    ),
]


def use_store(address: str | None) -> None:
    """Makes the store of this command and of the processes that it starts the one that was given.

    Raises:
        Refused: it can not be used.
    """
    _use(STORE_VARIABLE, address, check_address)


FilesAddress = Annotated[
    str | None,
    typer.Option(
        "--files",
        metavar="URL",
        help=f"Where machines that share no folder of runs find the files of jobs, as {EXPECTED_FILES} (default: "
        f"{FILES_VARIABLE}, or else the folder of runs)",
    ),
]


def use_files(address: str | None) -> None:
    """Makes the common files of this command and of the processes that it starts the ones that were given.

    Raises:
        Refused: they can not be used.
    """
    _use(FILES_VARIABLE, address, check_files)


def _use(variable: str, address: str | None, check: Callable[[str], None]) -> None:
    if address is not None:
        os.environ[variable] = address
    if given := os.environ.get(variable, "").strip():
        check(given)


def use_shared(store: str | None, files: str | None) -> None:
    """Both: `use_store` and `use_files`."""
    use_store(store)
    use_files(files)


def refuse_options_but(ctx: typer.Context, used: Collection[str], why: str) -> None:
    """For what is known only after the command line is read, such as the kind of a study.

    Args:
        used: names of parameters that the command goes on to use.

    Raises:
        Refused: another option was typed; the command would ignore it.
    """
    options = [parameter for parameter in ctx.command.params if isinstance(parameter, TyperOption)]
    typed = [o for o in options if (source := ctx.get_parameter_source(o.name)) and source.name == "COMMANDLINE"]
    if ignored := [o.opts[-1] for o in typed if o.name not in used]:
        raise Refused(f"{why}; leave out {', '.join(ignored)}")
