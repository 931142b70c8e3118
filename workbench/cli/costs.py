"""`workbench components`, `cost`, `latency` and `bench`: what there is to choose from, and what it costs."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from workbench.cli.names import check_network
from workbench.cli.options import COUNT, THREAD_COUNT, Command, completing, files_in, one_of, whole_number, words_of
from workbench.cli.printed import remark
from workbench.core.errors import Refused

cost_commands = typer.Typer()
_NETWORK = "{any_network}; BACKBONE-rtmo, as in resnet50-rtmo; STUDY:ROW; a file of weights; the folder of a job"


@cost_commands.command("components", cls=Command, epilog="Example: workbench components")
def components_command() -> int:
    """List what can fill each slot of a network. Every knob is shown with its default."""
    from workbench.models import catalog

    print(catalog.listing())
    return 0


@cost_commands.command("cost", cls=Command, epilog="Example: workbench cost rtmo-s")
def cost_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=_NETWORK, autocompletion=completing("any_network"))],
) -> int:
    """Count parameters and multiply-adds of a network, by part, at the size that it is made for."""
    check_network(name, "has no parts to count")
    print(network_cost(name))
    return 0


def network_cost(name: str) -> str:
    """Parameters and multiply-adds of a named network at the size that it is made for.

    Raises:
        Refused: no such network.
    """
    from workbench.inference import cost
    from workbench.models.named import blueprint

    plan = blueprint(name)
    variant, size = plan.variant, plan.size
    counts, published = cost.parameters(variant), cost.flops(variant, size, form="published", counter="torch")
    deployed = cost.flops(variant, size, counter="torch")
    lines = [f"{plan.source} at {size[0]} x {size[1]}, {cost.PERSONS} persons found", ""]
    lines += [f"{'':10}{'parameters':>14}{'multiply-adds, millions':>36}", f"{'':24}{'published':>18}{'deployed':>18}"]
    for part in (*cost.NETWORK_PARTS, "total"):
        both = (getattr(f, part) / 1e6 for f in (published, deployed))
        lines.append(f"{part:10}{counts[part]:>14,}" + "".join(f"{millions:>18,.1f}" for millions in both))
    return "\n".join([*lines, "", f"Inference does without {counts['train_only']:,} of the parameters."])


NetworkNames = Annotated[
    list[str], typer.Argument(metavar="NAME", help=_NETWORK, autocompletion=completing("any_network"))
]
Reference = Annotated[
    str,
    typer.Option(
        "--reference",
        metavar="NAME",
        help="The network that ratios are to, eager in float32",
        autocompletion=completing("any_network"),
    ),
]
Runtimes = Annotated[
    str,
    typer.Option(
        "--runtime",
        metavar="NAME,...",
        parser=words_of("runtimes"),
        help="{runtimes}, or several with commas",
        autocompletion=completing("runtimes"),
    ),
]
Precisions = Annotated[
    str,
    typer.Option(
        "--precision",
        metavar="NAME,...",
        parser=words_of("precisions"),
        help="{precisions}, or several with commas",
        autocompletion=completing("precisions"),
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        parser=one_of("devices"),
        help="One of {devices}",
        autocompletion=completing("devices"),
    ),
]


@cost_commands.command("latency", cls=Command, epilog="Example: workbench latency rtmo-s stdc1-rtmo --threads 1")
def latency_command(
    names: NetworkNames,
    runtime: Runtimes = "torch",
    precision: Precisions = "float32",
    size: Annotated[int, typer.Option("--size", metavar="N", parser=COUNT, help="Pixels of a side")] = 640,
    persons: Annotated[
        int, typer.Option("--persons", metavar="N", parser=whole_number(0), help="How many are found in the image")
    ] = 10,
    threads: Annotated[int, typer.Option("--threads", metavar="N", parser=THREAD_COUNT, help="Of the CPU")] = 2,
    device: Device = "cpu",
    reference: Reference = "rtmo-s",
    seconds: Annotated[
        int,
        typer.Option("--seconds", metavar="N", parser=COUNT, help="At most, if the ratios are not known before"),
    ] = 60,
    anyway: Annotated[bool, typer.Option("--anyway", help="Measure on a busy machine, too")] = False,
) -> int:
    """Time networks side by side. One image at a time, with random weights. An ONNX file runs as it is."""
    for name in names:
        check_network(name)
    check_network(reference, "is no reference: it is one runtime and one precision")
    from workbench.core.provenance import slow_bf16
    from workbench.inference import runtimes
    from workbench.inference.latency import TimingTask
    from workbench.inference.timing import Patience

    if said := slow_bf16(precision.split(","), device):
        remark(said)
    task = TimingTask((size, size), persons, threads, device)
    found = runtimes.compare(
        names,
        task,
        Patience(seconds=seconds),
        runtimes=runtime.split(","),
        precisions=precision.split(","),
        reference=reference,
        anyway=anyway,
    )
    print(runtimes.latency_table(found, task))
    return 0


@cost_commands.command(
    "bench",
    cls=Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example: workbench bench data",
)
def bench_command(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A file in benchmarks/, without .py: {benchmarks}",
            autocompletion=completing("benchmarks"),
        ),
    ],
    options: Annotated[
        list[str] | None, typer.Argument(metavar="OPTIONS", help="Its own options; see workbench bench WHAT --help")
    ] = None,
) -> int:
    """Measure a part of the workbench alone."""
    if what not in (known := files_in("benchmarks")):
        raise Refused(f"bench {what}: no such file in ./benchmarks; it has {known}")
    return importlib.import_module(f"benchmarks.{what}").main(options or [])
