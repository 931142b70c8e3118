"""Which components exist: for listings, for reading specs back, and for the contract tests. Nothing is registered.

A component is a concrete spec of a slot in a module under `workbench/components`, one that an installed package names
in its entry-point group `workbench.components` (the spec itself, or a module that holds some), or one in a file of
one's own: in `components/` of the current folder, where `studies/` lies beside it.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from workbench import components
from workbench.core import augmentation
from workbench.core.augmentation import Augmentation, AugmentationStep
from workbench.core.errors import Refused
from workbench.core.keypoints import Skeleton
from workbench.core.own_files import COMPONENTS, STUDIES, own_modules
from workbench.core.spec import Spec
from workbench.models.job import Job, Protocol, Recipe, Start
from workbench.models.variant import Phase, Variant
from workbench.slots import Assigner, Backbone, Coords, Head, Loss, Neck, Segment

GROUP = "workbench.components"
SLOTS: dict[str, type[Spec]] = {  # by the field of `Variant` that they fill
    "backbone": Backbone,
    "neck": Neck,
    "head": Head,
    "coords": Coords,
    "assigner": Assigner,
    "losses": Loss,
}
KINDS: dict[str, type[Spec]] = SLOTS | {"schedule": Segment, "augment": AugmentationStep}
OTHERS: tuple[type[Spec], ...] = (Variant, Skeleton, Phase, Recipe, Protocol, Job, Start, Augmentation)


def discover() -> dict[str, dict[str, type[Spec]]]:
    """Kind (a slot, "schedule" or "augment") -> class name -> spec, names in alphabetical order.

    Raises:
        Refused: two components of one name, or an entry point or a file of one's own that cannot be used.
    """
    found: dict[str, dict[str, type[Spec]]] = {kind: {} for kind in KINDS}
    for cls in (*_own(), *_installed(), *_here()):
        kind = next(name for name, base in KINDS.items() if issubclass(cls, base))
        other = next((named[cls.__name__] for named in found.values() if cls.__name__ in named), cls)
        if other is not cls:
            raise Refused(f"two components are called {cls.__name__}: {_where(other)} and {_where(cls)}; rename one")
        found[kind][cls.__name__] = cls
    return {kind: dict(sorted(named.items())) for kind, named in found.items()}


def spec_types() -> dict[str, type[Spec]]:
    """Every spec by its class name, as `spec.from_dict` wants them."""
    return {cls.__name__: cls for cls in OTHERS} | {n: cls for named in discover().values() for n, cls in named.items()}


def filled(sets: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of a job with components by their names, as a command line gives them: `{"variant.neck": "PAFPN"}`.

    Raises:
        Refused: a slot is to be filled with something that is not known.
    """
    return {path: _component(path, value) for path, value in sets.items()}


def _component(path: str, value: Any) -> Any:
    head, slot, *deeper = [*path.split("."), ""]
    if head != "variant" or slot not in SLOTS or not isinstance(value, str) or len(deeper) != 1 + (slot == "losses"):
        return value
    if value not in (known := discover()[slot]):
        raise Refused(f"--set {path}={value}: no component of that name; for {slot} there are {list(known)}")
    return known[value]()


def listing() -> str:
    """Every component with what it is and its knobs, as text."""
    lines = []
    for kind, named in discover().items():
        lines.append(kind)
        for name, cls in named.items():
            lines.append(f"  {name}: {_about(cls)}")
            lines += [f"      {path} = {value!r}" for path, value in cls().flat()]
    return "\n".join(lines)


def _about(cls: type[Spec]) -> str:
    """The first sentence of the component's file; its own where the file holds several."""
    module = sys.modules[cls.__module__]
    alone = len(list(_components(module))) == 1
    first = ((inspect.getdoc(module) if alone else "") or inspect.getdoc(cls) or "").partition("\n\n")[0]
    return " ".join(first.split()).partition(". ")[0].removesuffix(".")


def _own() -> Iterator[type[Spec]]:
    for module in pkgutil.walk_packages(components.__path__, f"{components.__name__}."):
        yield from _components(importlib.import_module(module.name))
    yield from _components(augmentation)


def _installed() -> Iterator[type[Spec]]:
    for point in entry_points(group=GROUP):
        thing = _loaded(point)
        specs = list(_components(thing)) if isinstance(thing, ModuleType) else [thing] if _fits(thing) else []
        if not specs:
            raise Refused(
                f"entry point {point.name} = {point.value}: no component; expected a spec of a slot, or a module"
            )
        yield from specs


def _here() -> Iterator[type[Spec]]:
    """Those of the current folder, if it is one of studies: other folders of that name are none of ours."""
    if not Path(STUDIES).is_dir():
        return
    for name in own_modules(COMPONENTS):
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever a file that is being written raises
            raise Refused(f"{name.replace('.', '/')}.py cannot be imported: {error!r}; correct it") from error
        yield from _components(module)


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:  # whatever the foreign package raises when it is imported
        raise Refused(
            f"entry point {point.name} = {point.value} cannot be loaded: {error!r}; repair or remove it"
        ) from error


def _components(module: ModuleType) -> Iterator[type[Spec]]:
    """The components that the module itself defines."""
    for thing in vars(module).values():
        if _fits(thing) and thing.__module__ == module.__name__:
            yield thing


def _fits(thing: object) -> TypeGuard[type[Spec]]:
    kinds = tuple(KINDS.values())
    return isinstance(thing, type) and not inspect.isabstract(thing) and issubclass(thing, kinds) and thing not in kinds


def _where(cls: type[Spec]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
