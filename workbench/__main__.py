"""The command line: `workbench COMMAND`, the same as `python -m workbench COMMAND`.

Each command imports what it needs when it is called, so that help and errors come at once.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused

if TYPE_CHECKING:
    from workbench.study import StudyProtocol, TimingStudy

PROTOCOLS = "smoke, probe, short, laptop, proxy, paper or cost (default: the study's own)"


def _home() -> Path:
    """Where runs are recorded."""
    folder = Path(os.environ.get("WORKBENCH_HOME", "runs"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"WORKBENCH_HOME {folder}: {error.strerror}; name a folder that can be written to") from None
    return folder.resolve()


def _study(args: argparse.Namespace) -> int:
    from workbench.core import processes

    if args.words[0] not in ("status", "replay"):
        processes.prepare()  # imports while we do
    from workbench import study
    from workbench.experiments import profiling, protocols, runner
    from workbench.experiments.plan import StudyRun, UntilDecided
    from workbench.study import TimingStudy
    from workbench.training.machine import this_machine

    *verb, name = args.words
    if verb not in ([], ["status"], ["resume"], ["retry"], ["replay"]):
        raise Refused(f"study {' '.join(args.words)}: expected NAME, or one of status, resume, retry, replay and NAME")
    if args.budget is not None and args.until is None:
        raise Refused(f"--budget {args.budget}: it limits the jobs of --until decided; add that")
    if args.until is not None and verb == ["replay"]:
        raise Refused("study replay: it shows what --until decided would have saved; leave that out")
    asked = study.find_study(name)
    protocol = protocols.protocol_named(args.protocol or asked.default)
    if isinstance(asked, TimingStudy) or not protocol.trains:
        return _profile(asked if isinstance(asked, TimingStudy) else asked.profile(), protocol, verb, args)
    until = None if args.until is None else UntilDecided(args.budget)
    run = StudyRun(asked, protocol, _home(), data=args.data, changes=dict(args.set), seeds=args.seeds, until=until)
    if verb == ["replay"]:
        return runner.replay(run)
    if verb == ["status"]:
        return runner.status(run)
    if verb == ["retry"]:
        print(f"{runner.retry(run)} jobs are tried again")
    code = runner.run_study(run, jobs=args.jobs, machine=this_machine())
    if code == 0 and asked.costs and not args.set:  # when no job runs any more
        timed = protocol if protocol.name == "smoke" else protocols.protocol_named("cost")
        profiling.run_timing(profiling.TimingRun(asked.profile(), timed, run.home))
    return code


def _profile(asked: TimingStudy, protocol: StudyProtocol, verb: list[str], args: argparse.Namespace) -> int:
    from workbench.experiments import profiling

    if args.data or args.set or args.seeds or args.until or verb == ["replay"]:
        raise Refused(
            f"{asked.name}, {protocol.name}: nothing is trained; leave out --data, --set, --seeds and --until"
        )
    run = profiling.TimingRun(asked, protocol, _home())
    if verb == ["status"]:
        return profiling.print_measured(run)
    return profiling.run_timing(run, again=verb == ["retry"])


def _report(args: argparse.Namespace) -> int:
    from workbench import study
    from workbench.experiments import protocols
    from workbench.experiments.plan import StudyRun
    from workbench.report.render import write_profile, write_report

    asked = study.find_study(args.name)
    protocol = protocols.protocol_named(args.protocol or asked.default)
    if isinstance(asked, study.TimingStudy):
        paths = write_profile(asked)
    elif not protocol.trains:
        raise Refused(
            f"report {args.name}, {protocol.name}: costs have no page of their own, they stand in those of "
            f"protocols that train; use --protocol {asked.default}"
        )
    else:
        run = StudyRun(asked, protocol, _home(), data=args.data, changes=dict(args.set), seeds=args.seeds)
        paths = write_report(run)
    for path in paths:
        print(path)
    return 0


def _bench(args: argparse.Namespace) -> int:
    known = sorted(f.stem for f in Path("benchmarks").glob("[!_]*.py"))
    if args.what not in known:
        raise Refused(f"bench {args.what}: no such file in ./benchmarks; it has {known}")
    return importlib.import_module(f"benchmarks.{args.what}").main(args.options)


def _components(_: argparse.Namespace) -> int:
    from workbench.models import catalog

    print(catalog.listing())
    return 0


def _cost(args: argparse.Namespace) -> int:
    from workbench.inference import cost

    print(cost.describe(args.name))
    return 0


def _latency(args: argparse.Namespace) -> int:
    from workbench.inference import runtimes
    from workbench.inference.latency import TimingTask
    from workbench.inference.timing import Patience

    task = TimingTask((args.size, args.size), args.persons, args.threads, args.device)
    found = runtimes.compare(
        args.names,
        task,
        Patience(seconds=args.seconds),
        runtimes=args.runtime,
        precisions=args.precision,
        reference=args.reference,
        anyway=args.anyway,
    )
    print(runtimes.latency_table(found, task))
    return 0


def _deploy(args: argparse.Namespace) -> int:
    import torch

    from workbench.inference import load
    from workbench.inference.deployed import Selection

    torch.set_num_threads(1)
    selection = Selection(
        score_threshold=args.score_threshold, nms_threshold=args.nms_threshold, max_persons=args.max_persons
    )
    try:
        from workbench.inference import onnx_export
    except ImportError as error:
        raise Refused(f"deploy: {error.name} is missing; install rtmo-workbench[onnx]") from error
    source = load.load_untrained(args.source) if args.random_weights else load.load_trained(args.source)
    print(onnx_export.deploy(source, args.out, args.precision, selection, args.calibrate))
    return 0


def _trunk(args: argparse.Namespace) -> int:
    from workbench.experiments.trunks import train_trunks
    from workbench.training.machine import this_machine

    return train_trunks(args.names, _home(), this_machine())


def _sheet(args: argparse.Namespace) -> int:
    import cv2

    from workbench.data.draw import contact_sheet
    from workbench.data.synthetic.dataset import SyntheticScenes

    scenes = SyntheticScenes(level=args.level, size=args.size, seed=args.seed, count=args.count)
    sheet = contact_sheet([scenes[i] for i in range(args.count)], columns=args.columns)
    path = args.out or _home() / f"sheet_{args.level}.png"
    if not (cv2.haveImageWriter(str(path)) and cv2.imwrite(str(path), sheet)):
        raise Refused(f"--out {path}: cannot write there; expected a file ending in .png or .jpg in an existing folder")
    print(path)
    return 0


def _ui(args: argparse.Namespace) -> int:
    from workbench.experiments import tracking

    return tracking.ui(_home(), args.port)


def _assignment(text: str) -> tuple[str, Any]:
    """`a.b=0.1` as path and value; a value that is no Python literal is a word."""
    path, equals, value = text.partition("=")
    if not (path and equals):
        raise argparse.ArgumentTypeError(f"{text!r}: expected path=value, as in recipe.lr=0.002")
    try:
        return path, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return path, value


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of at least 1")
    return int(text)


def _words(text: str) -> list[str]:
    return text.split(",")


def parser() -> argparse.ArgumentParser:
    """Every command and its options; `call` is the function that a command runs."""
    top = argparse.ArgumentParser(prog="workbench", description="RTMO as a workbench: ablate, search, compare.")
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    study = commands.add_parser("study", help="run a study, or: study status|resume|retry|replay NAME")
    study.add_argument("words", nargs="+", metavar="NAME", help="a file in studies/, without .py")
    study.add_argument("--protocol", help=PROTOCOLS)
    study.add_argument("--data", type=Path, help="folder in COCO or CrowdPose layout (default: the embedded scenes)")
    study.add_argument("--seeds", type=_count, help="seeds per row (default: the protocol's)")
    study.add_argument("--jobs", type=_count, help="jobs at a time (default: by the machine's cores)")
    study.add_argument("--until", choices=("decided",), help="then add seeds only to rows with an open claim")
    study.add_argument(
        "--budget", type=_count, metavar="JOBS", help="of --until: at most (default: twice the first round)"
    )
    study.add_argument("--set", type=_assignment, action="append", default=[], metavar="PATH=VALUE")
    study.set_defaults(call=_study)

    report = commands.add_parser("report", help="write a study's report from its recorded numbers")
    report.add_argument("name", metavar="NAME")
    report.add_argument("--protocol", help=PROTOCOLS)
    report.add_argument("--seeds", type=_count, help="seeds per row (default: the protocol's)")
    report.add_argument("--data", type=Path, help="the folder that the study was given")
    report.add_argument("--set", type=_assignment, action="append", default=[], metavar="PATH=VALUE")
    report.set_defaults(call=_report)

    bench = commands.add_parser("bench", help="measure a part alone: a file in benchmarks/, without .py")
    bench.add_argument("what", metavar="WHAT")
    bench.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="its own; see: bench WHAT --help")
    bench.set_defaults(call=_bench)

    commands.add_parser("components", help="list what can fill each slot").set_defaults(call=_components)

    cost = commands.add_parser("cost", help="parameters and multiply-adds of a network, by part")
    cost.add_argument("name", metavar="NAME", help="a preset as rtmo-s, or BACKBONE-rtmo as stdc1-rtmo")
    cost.set_defaults(call=_cost)

    latency = commands.add_parser("latency", help="time networks side by side, one image at a time")
    latency.add_argument("names", nargs="+", metavar="NAME", help="a preset as rtmo-s, or BACKBONE-rtmo as stdc1-rtmo")
    latency.add_argument(
        "--runtime", type=_words, default=["torch"], help="eager, torch, cudagraph, onnx, or several with commas"
    )
    latency.add_argument(
        "--precision", type=_words, default=["float32"], help="float32, bf16, fp16, int8, or several, as above"
    )
    latency.add_argument("--size", type=_count, default=640, help="pixels of a side")
    latency.add_argument("--persons", type=_whole, default=10, help="how many are found in the image")
    latency.add_argument("--threads", type=_count, default=2)
    latency.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    latency.add_argument("--reference", default="rtmo-s", metavar="NAME", help="ratios are to it, eager in float32")
    latency.add_argument("--seconds", type=_count, default=60, help="at most, if the ratios are not known before")
    latency.add_argument("--anyway", action="store_true", help="measure on a busy machine, too")
    latency.set_defaults(call=_latency)

    deploy = commands.add_parser("deploy", help="write a trained network as an ONNX file, and compare the two")
    deploy.add_argument("source", metavar="NAME", help="a released model, a checkpoint file, or the folder of a job")
    deploy.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.onnx")
    deploy.add_argument("--precision", choices=("float32", "fp16", "int8"), default="float32")
    deploy.add_argument("--calibrate", type=Path, metavar="FOLDER", help="images like those to come: int8 needs them")
    deploy.add_argument("--score-threshold", type=float, default=0.1, help="persons score above it (0.1)")
    deploy.add_argument("--nms-threshold", type=float, default=0.65, help="IoU above which the better box stays (0.65)")
    deploy.add_argument("--max-persons", type=_count, default=100, help="per image, the best ones (100)")
    deploy.add_argument("--random-weights", action="store_true", help="no weights: to try sizes and times")
    deploy.set_defaults(call=_deploy)

    trunk = commands.add_parser("trunk", help="train the frozen trunks of the probe protocol")
    trunk.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    trunk.set_defaults(call=_trunk)

    sheet = commands.add_parser("sheet", help="draw samples of the embedded data with their key points")
    sheet.add_argument("--level", choices=("easy", "hard"), default="easy")
    sheet.add_argument("--size", type=_count, default=160, help="pixels of a side")
    sheet.add_argument("--count", type=_count, default=40)
    sheet.add_argument("--columns", type=_count, default=8)
    sheet.add_argument("--seed", type=int, default=0)
    sheet.add_argument("--out", type=Path, help="picture to write (default: in the folder of the runs)")
    sheet.set_defaults(call=_sheet)

    ui = commands.add_parser("ui", help="show the recorded runs in a browser, on this machine only")
    ui.add_argument("--port", type=_count, default=5000)
    ui.set_defaults(call=_ui)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 something is missing at the end, 2 refused, 130 interrupted, 141 nobody reads what is printed.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # studies are found from where one stands, also by the console script
    args = parser().parse_args(argv)
    try:
        done = args.call(args)
        sys.stdout.flush()
        return done
    except Refused as error:
        print(f"workbench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


if __name__ == "__main__":
    sys.exit(main())
