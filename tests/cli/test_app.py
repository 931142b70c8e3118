"""The command line as a whole: exit codes, help, completion, and what it says to a mistake."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.core import TyperCommand

from tests.cli.commands import all_commands
from workbench.__main__ import main
from workbench.core.errors import Refused

COMMANDS = list(all_commands())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "Missing command; there are study, search, report, "),
        ("stud", "No such command 'stud'. Did you mean 'study'? there are study, search, report, "),
        ("--nope", "No such option: --nope"),
        ("study", "study: Missing argument 'NAME'; expected workbench study [OPTIONS] {NAME}"),
        ("study resume", "study resume: Missing argument 'NAME'; expected workbench study resume "),
        ("study again x", "study again x: expected NAME, or one of resume, retry, status, replay, audit and NAME"),
        (
            "study x --sedes 3",
            "study: No such option: --sedes (Possible options: --address, --seeds, --set); it has --protocol, ",
        ),
        ("study x --seeds", "'--seeds' requires an argument"),
        ("study x --seeds 0", "study: --seeds '0': expected a whole number from 1 to 10000"),
        ("study x --until never", "study: --until 'never': expected decided"),
        ("study x --set lr", "study: --set 'lr': expected PATH=VALUE, as in recipe.lr=0.002"),
        (
            "study status x --jobs 2",
            "study status: No such option: --jobs (Possible options: --rows); it has --protocol, ",
        ),
        ("components x", "components: Got unexpected extra argument(s) (x); expected workbench components [OPTIONS]"),
        ("latency", "latency: Missing argument 'NAME'; expected workbench latency [OPTIONS] {NAME}..."),
        ("sheet --size 100000", "sheet: --size '100000': expected a whole number from 32 to 2048"),
        ("deploy nano", "deploy: Missing option '-o' / '--out'; expected workbench deploy "),
    ],
)
def test_a_wrong_command_line_is_said_in_one_line(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("workbench: ")
    assert said in err


def test_what_is_refused_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> str:
        raise Refused("this is given, that is expected")

    monkeypatch.setattr("workbench.models.catalog.listing", refuse)
    assert main(["components"]) == 2
    assert capsys.readouterr().err == "workbench: this is given, that is expected\n"


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("workbench.models.catalog.listing", interrupt)
    assert main(["components"]) == 130


def test_an_error_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("workbench.models.catalog.listing", fail)
    with pytest.raises(ZeroDivisionError):
        main(["components"])


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error() -> None:
    script = (
        "import sys, types; from workbench.__main__ import main; "
        "sys.modules['workbench.models.catalog'] = types.SimpleNamespace(listing=lambda: 'backbone\\n' * 100_000); "
        "sys.exit(main(['components']))"
    )
    words = f'set -o pipefail; "{sys.executable}" -c "{script}" | head -1'
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert (done.returncode, done.stderr, done.stdout) == (141, "", "backbone\n")


@pytest.mark.parametrize("words", ["--help", "bench nothing"], ids=["help", "refusal"])
def test_where_nobody_reads_the_exit_code_says_so(words: str) -> None:
    """Standard output is a pipe whose reader is gone before anything is written."""
    script = (
        "import os, sys; from workbench.__main__ import main; read, write = os.pipe(); os.close(read); "
        "os.dup2(write, 1); sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", script, *words.split()], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (141 if words == "--help" else 2, False)


SAYS = (
    "import sys, types; from workbench.__main__ import main; "
    "sys.modules['workbench.models.catalog'] = types.SimpleNamespace(listing=lambda: 'a ± b \\u65e5 \\udc80'); "
    "sys.exit(main(['components']))"
)


@pytest.mark.parametrize(
    ("encoding", "said"), [("latin-1", "a ± b \\u65e5 \\udc80\n"), ("ascii", "a \\xb1 b \\u65e5 \\udc80\n")]
)
def test_what_an_encoding_can_not_show_is_shown_by_its_number(encoding: str, said: str) -> None:
    env = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", SAYS], capture_output=True, env=env)
    assert (done.returncode, done.stdout.decode(encoding), done.stderr) == (0, said, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("where", "said"), [(">&-", "standard output is closed"), ("> /dev/full", "standard output: No")]
)
def test_an_output_that_can_not_be_written_is_one_line(where: str, said: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = ["bash", "-c", f'"$0" -c "$1" {where}', sys.executable, SAYS]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, env=env)
    assert done.returncode == 1 and done.stderr.startswith(f"workbench: {said}") and done.stderr.count("\n") == 1


LIGHT = """
import sys
from pathlib import Path
from workbench.__main__ import main
for words in sys.argv[1:]:
    print(main(words.split()), *sorted({"torch", "numpy", "cv2"} & set(sys.modules)))
"""


def test_help_and_mistakes_come_without_torch(tmp_path: Path) -> None:
    refused = [
        *("stud", "bench nothing", "study nobody", "study status nobody", "report nobody"),
        *("study x --seeds 0", "study ablate_dcc --protocol smoek", "study ablate_dcc --set a=1 --set a=2"),
        *("train rtmo-x -o x", "train nano", "train nobody:row -o x", "train --resume x --seed 3", "init tests"),
        *("gallery nobody", "gallery ablate_dcc", "register nobody", "register ablate_dcc --protocol smoke"),
        *("cost rtmo-x", "latency rtmo-x", "latency nano --runtime tvm", "trunk jiont", "deploy rtmo-x -o x.onnx"),
        *(
            "cost ablate_nothing:x",
            "deploy nano -o x.onnx",
            "weights show none.pth",
            "weights convert none.pth -o a.pth",
        ),
    ]
    helps = ["--help", *(" ".join([*words, "--help"]) for words, _ in COMMANDS)]
    env = {**os.environ, "WORKBENCH_HOME": str(tmp_path)}  # where nothing is complete
    done = subprocess.run([sys.executable, "-c", LIGHT, *refused, *helps], env=env, capture_output=True, text=True)
    codes = [line for line in done.stdout.splitlines() if re.match(r"\d( |$)", line)]
    assert codes == ["2"] * len(refused) + ["0"] * len(helps), done.stderr


@pytest.mark.parametrize(("words", "command"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_every_command_has_help_with_an_example_that_it_accepts(
    words: tuple[str, ...], command: TyperCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Usage: workbench {' '.join(words)} [OPTIONS]" in text
    assert not re.search(r"\{[a-z_]+\}", text), "a list is not filled in"
    (example,) = re.findall(r"Example: workbench (.*)", text)
    given = shlex.split(example)
    assert tuple(given[: len(words)]) == words
    command.make_context(words[-1], given[len(words) :])  # refuses what it does not take


def test_every_command_and_option_is_described() -> None:
    for words, command in COMMANDS:
        assert command.help, words
        for parameter in command.params:
            assert getattr(parameter, "help", ""), f"{' '.join(words)}: {parameter.name}"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("workbench la", ["latency"]),
        ("workbench study ablate_l", ["ablate_levels", "ablate_loss"]),
        ("workbench study re", ["resume", "retry", "replay"]),
        ("workbench study status profile", ["profile_persons"]),
        ("workbench study x --pro", ["--protocol"]),
        ("workbench study x y --pro", ["--protocol"]),
        ("workbench study x --protocol s", ["smoke", "short"]),
        ("workbench study x --until d", ["decided"]),
        ("workbench report profile", ["profile_persons"]),
        ("workbench cost na", ["nano"]),
        ("workbench train nano --protocol s", ["smoke", "short"]),
        ("workbench latency nano --runtime eager,to", ["eager,torch"]),
        ("workbench bench deploy_", ["deploy_accuracy", "deploy_gpu"]),
        ("workbench trunk j", ["joint", "joint-2", "joint-3", "joint-4"]),
        ("workbench sheet --level h", ["hard"]),
        ("workbench deploy rtmo-t", ["rtmo-t"]),
    ],
)
def test_names_complete_in_the_shell(
    words: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_WORKBENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert main([]) == 0
    assert capsys.readouterr().out.split() == offered


def test_the_shell_is_told_how_to_complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_WORKBENCH_COMPLETE", "source_bash")
    assert main([]) == 0
    assert "complete -o default -F _workbench_completion workbench" in capsys.readouterr().out
