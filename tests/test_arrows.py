"""Who may import whom, and which file alone knows a foreign package.

A module may import from its own layer and from those above it in `LAYERS`; a component only what `COMPONENT` names
and its own slot's folder. Imports inside functions count.
"""

import ast
import graphlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    {"spec", "tensors", "errors", "skeletons", "ranks", "locks"},
    {"slots"},
    {"components"},
    {"variant"},
    {"model", "decode", "criterion", "data", "trunk"},
    {"optim", "train", "cost", "latency", "matching", "evaluate", "by_pycocotools"}
    | {"study", "presets", "catalog", "checkpoint"},
    {"track", "stats", "manipulate"},
    {"run"},
    {"judge", "looks", "show", "workers", "profiles"},
    {"order", "ledger", "crew"},
    {"search", "report", "rtmo", "trunk_training", "deploy"},
    {"trained", "captured"},
    {"export"},
    {"runtimes"},
    {"__main__"},
    {"studies", "reports", "benchmarks", "tests"},
]
COMPONENT = {"slots", "tensors", "errors", "skeletons", "spec", "components.blocks", "components.overlap"}
FOREIGN = {
    "optuna": "workbench.ledger",
    "mlflow": "workbench.track",
    "fvcore": "workbench.cost",
    "pycocotools": "workbench.by_pycocotools",
    "pandas": "workbench.report",
    "matplotlib": "workbench.report.draw",
    "nbformat": "workbench.report.notebooks",
    "nbclient": "workbench.report.notebooks",
    "nbconvert": "workbench.report.notebooks",
    "onnx": "workbench.export",
    "onnxruntime": "workbench.export",
    "onnxscript": "workbench.export",
    "timm": "workbench.components.backbones",
}


def imports(source: str) -> Iterator[str]:
    """The dotted name of everything that a source text imports: `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; name the module in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def layer(module: str) -> int:
    """The row of `LAYERS` in which a module of ours stands."""
    part = module.removeprefix("workbench.").split(".")[0]
    found = [i for i, row in enumerate(LAYERS) if part in row]
    assert found, f"{module} stands in no layer; add it to LAYERS and to the picture in the README"
    return found[0]


def ours(name: str) -> bool:
    return name.split(".")[0] in {"workbench", *LAYERS[-1]} and name != "workbench"


def faults(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    component = within(module, "workbench.components") and module.count(".") > 2
    open_to_it = [module.rsplit(".", 1)[0], *(f"workbench.{part}" for part in COMPONENT)]
    place, found = layer(module), []
    for name in imports(source):
        package = name.split(".")[0]
        if package in FOREIGN and not within(module, FOREIGN[package]) and not within(module, "reports"):
            found.append(f"{module} imports {name}; only {FOREIGN[package]} may")
        if ours(name) and layer(name) > place:
            found.append(f"{module} imports {name}, which stands after it")
        if ours(name) and component and not any(within(name, known) for known in open_to_it):
            found.append(f"{module} imports {name}; a component may import {sorted(open_to_it)}")
    return found


def modules() -> dict[str, str]:
    """Every module of ours but the tests, which may compare with any package: its name and its text."""
    files = [f for top in ("workbench", "studies", "reports", "benchmarks") for f in sorted((ROOT / top).rglob("*.py"))]
    names = [".".join(f.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for f in files]
    return {name: f.read_text("utf-8") for name, f in zip(names, files, strict=True) if name != "workbench"}


def test_nothing_imports_what_it_may_not() -> None:
    known = modules()
    assert len(known) > 10  # the search found the sources
    assert [fault for module, source in known.items() for fault in faults(module, source)] == []


def _nearest(name: str, known: Iterable[str]) -> str:
    """The module that an import means: a package stands before its modules and hands on what they hold."""
    return max((k for k in known if within(name, k)), key=len, default="")


def test_no_module_imports_itself_through_others() -> None:
    known = modules()
    edges = {m: {k for name in imports(s) if (k := _nearest(name, known)) not in ("", m)} for m, s in known.items()}
    graphlib.TopologicalSorter(edges).prepare()  # raises CycleError and names the cycle


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.components.necks.pafpn", "from workbench.components.heads.rtmo_head import RTMOHead"),
        ("workbench.components.necks.pafpn", "from workbench.train import train"),
        ("workbench.components.necks.pafpn", "def f():\n    import workbench.variant"),
        ("workbench.components.blocks", "from workbench import model"),
        ("workbench.components.heads.rtmo_head", "import timm"),
        ("workbench.model", "from workbench.train import State"),
        ("workbench.run", "from studies import ablate_dcc"),
        ("workbench.study", "import optuna.samplers as samplers"),
        ("studies.ablate_dcc", "from mlflow import MlflowClient"),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str) -> None:
    assert faults(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.components.backbones.stdc", "import timm\nfrom workbench.components.blocks import ConvBN"),
        ("workbench.components.coords.dcc", "from workbench.components.coords.regression import Regression"),
        ("workbench.ledger", "import optuna\nfrom workbench.run import run"),
        ("studies.ablate_dcc", "from workbench.study import Study"),
    ],
)
def test_a_lawful_import_passes(module: str, source: str) -> None:
    assert faults(module, source) == []


def test_a_module_without_a_layer_is_refused() -> None:
    with pytest.raises(AssertionError, match="stands in no layer"):
        faults("workbench.utils", "")
