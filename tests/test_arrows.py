"""Which package may import which, and which file alone knows a foreign package.

`ARROWS` names for each package what it stands on; it may import that and whatever that stands on in turn. A component
may import only what `COMPONENT` names and its own slot's folder. Imports inside functions count.
"""

import ast
import graphlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARROWS: Mapping[str, set[str]] = {
    "core": set(),
    "tensors": {"core"},
    "slots": {"core", "tensors"},
    "components": {"slots"},
    "models": {"components"},
    "data": {"core", "tensors"},
    "evaluation": {"core", "tensors"},
    "testing": {"models"},
    "rtmo": {"inference"},
    "inference": {"models", "data"},
    "row": {"models"},
    "space": {"row", "evaluation"},
    "study": {"space"},
    "training": {"evaluation", "inference"},
    "experiments": {"study", "training"},
    "presets": {"experiments"},
    "report": {"experiments"},
    "cli": {"report"},
    "__main__": {"cli"},
    "studies": {"presets"},
    "outside": {"__main__", "presets"},  # reports, benchmarks and tests
}
OUTSIDE = {"reports", "benchmarks", "tests"}
LEVELS = 12  # of packages, at most
COMPONENT = {"slots", "tensors", "core.errors", "core.skeletons", "core.spec", "core.weights"}
COMPONENT |= {"components.batch_norm", "components.blocks", "components.similarity"}
STUDY = {"study", "space", "presets", "slots", "components"}
FOREIGN: Mapping[str, str | tuple[str, ...]] = {
    "optuna": (
        "workbench.experiments.stores",
        "workbench.experiments.job_queue",
        "workbench.experiments.heartbeat",
        "workbench.experiments.job_worker",
        "workbench.experiments.trial_table",
        "workbench.experiments.search.optuna_study",
    ),
    "psycopg": "workbench.experiments.stores",
    "fsspec": "workbench.experiments.object_store",
    "optuna_dashboard": "workbench.experiments.search.dashboard",
    "pytest": "workbench.testing",
    "mlflow": ("workbench.experiments.tracking", "workbench.experiments.registry"),
    "fvcore": "workbench.inference.cost",
    "pycocotools": ("workbench.evaluation.reference", "workbench.data.datasets.masks"),
    "pandas": "workbench.report",
    "matplotlib": "workbench.report.drawing",
    "nbformat": "workbench.report.render",
    "nbclient": "workbench.report.render",
    "nbconvert": "workbench.report.render",
    "onnx": "workbench.inference.onnx_export",
    "onnxruntime": "workbench.inference.onnx_export",
    "onnxscript": "workbench.inference.onnx_export",
    "openvino": "workbench.inference.openvino_session",
    "ray": ("workbench.experiments.engines.ray_cluster", "workbench.experiments.engines.ray_engine"),
    "supervision": "workbench.data.inferred",
    "timm": "workbench.components.backbones",
    "typer": "workbench.cli",
}
BESIDE = {
    "benchmarks._searchers": {"optuna"},  # what a comparison compares with
    "benchmarks._postgres": {"psycopg"},  # which makes the databases that a store can be
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


def knowing(top: str) -> tuple[str, ...]:
    """The modules that alone may import a foreign package."""
    known = FOREIGN[top]
    return (known,) if isinstance(known, str) else known


def package(module: str) -> str:
    """The key of `ARROWS` that a module of ours belongs to."""
    part = module.removeprefix("workbench.").split(".")[0]
    part = "outside" if part in OUTSIDE else part
    assert part in ARROWS, f"{module} is in no package; add it to ARROWS and to docs/architecture.md"
    return part


@cache
def below(name: str) -> frozenset[str]:
    """All that a package stands on, and itself."""
    return frozenset({name}).union(*(below(other) for other in ARROWS[name]))


def ours(name: str) -> bool:
    return name.split(".")[0] in {"workbench", "studies", *OUTSIDE} and name != "workbench"


def faults(module: str, source: str) -> list[str]:
    """What a module imports and may not."""
    place, found = package(module), []
    narrow: set[str] = set()
    if within(module, "workbench.components") and module.count(".") > 2:
        narrow = {module.rsplit(".", 1)[0], *(f"workbench.{part}" for part in COMPONENT)}
    elif within(module, "studies"):
        narrow = {"studies", *(f"workbench.{part}" for part in STUDY)}
    for name in imports(source):
        top = name.split(".")[0]
        free = within(module, "reports") or top in BESIDE.get(module, ())
        if top in FOREIGN and not any(within(module, one) for one in knowing(top)) and not free:
            found.append(f"{module} imports {name}; only {' and '.join(knowing(top))} may")
        if ours(name) and place != "outside" and package(name) not in below(place):
            found.append(f"{module} imports {name}; {place} stands on {sorted(below(place) - {place})}")
        if ours(name) and narrow and not any(within(name, known) for known in narrow):
            found.append(f"{module} imports {name}; it may import {sorted(narrow)}")
    return found


@cache
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


@cache
def edges() -> dict[str, set[str]]:
    """Which modules each module of ours imports."""
    known = modules()
    return {m: {k for name in imports(s) if (k := _nearest(name, known)) not in ("", m)} for m, s in known.items()}


def levels(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """The floor of each node: one above the highest that it stands on.

    Raises:
        graphlib.CycleError: there is a circle; it is named.
    """
    found: dict[str, int] = {}
    for node in graphlib.TopologicalSorter(arrows).static_order():
        found[node] = 1 + max((found[other] for other in arrows.get(node, ())), default=0)
    return found


def test_no_module_imports_itself_through_others() -> None:
    levels(edges())


def test_packages_stand_on_few_levels() -> None:
    arrows: dict[str, set[str]] = {}
    for module, others in edges().items():
        place = package(module)
        arrows.setdefault(place, set()).update({package(other) for other in others} - {place})
    arrows.pop("outside", None)
    assert max(levels(arrows).values()) <= LEVELS


def test_packages_say_what_they_are_and_no_more() -> None:
    for file in (ROOT / "workbench").rglob("__init__.py"):
        body = ast.parse(file.read_text("utf-8")).body
        assert len(body) <= 1, f"{file} holds more than its sentence"
        if file.parent.parent == ROOT / "workbench":
            assert body and isinstance(body[0], ast.Expr), f"{file} does not say what the package is"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.components.necks.pafpn", "from workbench.components.heads.rtmo_head import RTMOHead"),
        ("workbench.components.necks.pafpn", "from workbench.training.loop import train"),
        ("workbench.components.necks.pafpn", "def f():\n    import workbench.models.variant"),
        ("workbench.components.blocks", "from workbench.models import network"),
        ("workbench.components.heads.rtmo_head", "import timm"),
        ("workbench.models.network", "from workbench.training.loop import TrainingState"),
        ("workbench.evaluation.coco_ap", "from workbench.models.network import Network"),
        ("workbench.data.loader", "from workbench.models.job import Job"),
        ("workbench.training.run", "from studies import ablate_dcc"),
        ("workbench.study", "import optuna.samplers as samplers"),
        ("workbench.experiments.search.rounds", "import optuna"),
        ("studies.ablate_dcc", "from mlflow import MlflowClient"),
        ("studies.ablate_dcc", "from workbench.experiments.runner import run_study"),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str) -> None:
    assert faults(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("workbench.components.backbones.stdc", "import timm\nfrom workbench.components.blocks import ConvUnit"),
        ("workbench.components.coords.dcc", "from workbench.components.coords.regression import Regression"),
        ("workbench.experiments.job_queue", "import optuna\nfrom workbench.training.run import run"),
        ("workbench.experiments.search.optuna_study", "import optuna"),
        ("studies.ablate_dcc", "from workbench.study import Study"),
    ],
)
def test_a_lawful_import_passes(module: str, source: str) -> None:
    assert faults(module, source) == []


def test_a_module_of_no_package_is_refused() -> None:
    with pytest.raises(AssertionError, match="is in no package"):
        faults("workbench.utils", "")


def private(source: str) -> Iterator[str]:
    """Private names of our modules that a source text uses: imported, as an attribute, or patched by name."""
    tree, modules = ast.parse(source), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and within(node.module, "workbench"):
            modules |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if re.match("_[a-zA-Z]", alias.name))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from re.findall("^_[a-zA-Z].*", node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setattr":
            words = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield from (word for word in words if re.search(r"(^|\.)_[a-zA-Z]", word))


def test_tests_use_public_names() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 50  # the search found the tests
    assert {str(f.relative_to(ROOT)): found for f in files if (found := [*private(f.read_text("utf-8"))])} == {}


@pytest.mark.parametrize(
    "source",
    [
        "from workbench.inference import timing\ntiming._bind({})",
        "from workbench.inference.timing import _bind",
        "def test(monkeypatch): monkeypatch.setattr('workbench.inference.timing._bind', None)",
        "from workbench.inference import timing\ndef test(patch): patch.setattr(timing, '_bind', None)",
    ],
)
def test_a_private_name_is_found(source: str) -> None:
    assert [name.rsplit(".", 1)[-1] for name in private(source)] == ["_bind"]
