"""Spec: a frozen value that describes one part. Its class is its name, its fields are the knobs.

Equal specs have equal keys in any process: fields are fitted to their declared types, and the key is a digest of
the canonical JSON, which leaves out fields at their default. A new field whose default keeps the old behaviour
therefore keeps old keys; in return the default of an existing field never changes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

from workbench.core.errors import Refused
from workbench.core.fields import fit_fields

Plain = None | bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of every described part. Subclasses are final frozen dataclasses with keyword fields, each with a default.

    `removed` names fields that the class once had, with the default that each had: a file that holds that value is
    still read.

    Raises:
        Refused: a field's value does not have the declared type, or is not finite.
    """

    removed: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        fit_fields(self)
        self.check()

    def check(self) -> None:
        """Refuses values that no type can rule out; called when the spec is made."""

    @classmethod
    def opened(cls, name: str, value: Any) -> Any:
        """The value of field `name` as a spec that a path can lead into, where it is short for one."""
        return value

    def vary(self, changes: Mapping[str, Any]) -> Self:
        """A copy with other values at dotted paths, such as `{"neck.transformer_encoder_layers": 2}`.

        In a tuple of specs the class name or the index is the step (`losses.MLE.weights`, `phases.1.start`); None
        there removes the spec, a spec whose class is not there yet is appended. The result is checked as a whole, so
        the order of changes does not matter.

        Raises:
            KeyError: a path leads nowhere; the message says what exists.
        """
        if not changes:
            return self  # frozen, and checked when it was made
        loose = _thaw(self)
        for path, value in changes.items():
            loose = _replaced(loose, path.split("."), value, path)
        return _freeze(loose)

    @cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that identify the value, the same in any process."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_dict(self, *, defaults: bool = False) -> dict[str, Any]:
        """Plain data; fields at their default are left out unless `defaults`."""
        return {"type": type(self).__name__} | {
            f.name: _plain(getattr(self, f.name), defaults)
            for f in dataclasses.fields(self)
            if defaults or getattr(self, f.name) != _default(f)
        }

    def flat(self, prefix: str = "") -> Iterator[tuple[str, Plain]]:
        """Every knob as (dotted path, plain value), in declared order."""
        for f in dataclasses.fields(self):
            yield from _flattened(f"{prefix}{f.name}", getattr(self, f.name))


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _plain(value: Any, defaults: bool) -> Any:
    if isinstance(value, Spec):
        return value.to_dict(defaults=defaults)
    if isinstance(value, tuple):
        return [_plain(v, defaults) for v in value]
    return value


def _flattened(path: str, value: Any) -> Iterator[tuple[str, Plain]]:
    if isinstance(value, Spec):
        yield path, type(value).__name__
        yield from value.flat(f"{path}.")
    elif isinstance(value, tuple) and value and all(isinstance(v, Spec) for v in value):
        names = [type(v).__name__ for v in value]
        distinct = len(set(names)) == len(names)
        for i, v in enumerate(value):
            yield from _flattened(f"{path}.{names[i] if distinct else i}", v)
    elif isinstance(value, tuple):
        yield path, " ".join(map(str, value))
    else:
        yield path, value


@dataclass
class _Loose:
    """A spec taken apart, so that several changes can be made before it is checked.

    Its fields may hold specs that are whole: what no path leads into is neither made nor checked again.
    """

    cls: type[Spec]
    fields: dict[str, Any]


def _thaw(value: Any) -> Any:
    if isinstance(value, Spec):
        return _Loose(type(value), {f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    return tuple(map(_thaw, value)) if isinstance(value, tuple) else value


def _freeze(value: Any) -> Any:
    if isinstance(value, _Loose):
        return value.cls(**{name: _freeze(v) for name, v in value.fields.items()})
    return tuple(map(_freeze, value)) if isinstance(value, tuple) else value


def _replaced(loose: Any, steps: list[str], value: Any, path: str) -> Any:
    if not steps:
        return _thaw(value)
    if isinstance(loose, tuple):
        return _replaced_in_tuple(loose, steps, value, path)
    name = loose.cls.__name__ if isinstance(loose, _Loose) else type(loose).__name__
    fields = loose.fields if isinstance(loose, _Loose) else {}
    if steps[0] not in fields:
        raise KeyError(f"{path!r}: {name} has no {steps[0]!r}; it has {list(fields)}")
    inner = loose.cls.opened(steps[0], fields[steps[0]]) if len(steps) > 1 else fields[steps[0]]
    return _Loose(loose.cls, fields | {steps[0]: _replaced(_thaw(inner), steps[1:], value, path)})


def _replaced_in_tuple(items: tuple[Any, ...], steps: list[str], value: Any, path: str) -> tuple[Any, ...]:
    names = [i.cls.__name__ if isinstance(i, _Loose) else str(i) for i in items]
    found = int(steps[0]) if steps[0].isdigit() else names.index(steps[0]) if steps[0] in names else len(items)
    if found >= len(items):
        if len(steps) == 1 and type(value).__name__ == steps[0]:
            return (*items, _thaw(value))
        raise KeyError(f"{path!r}: no {steps[0]!r} here; there is {names}")
    new = _replaced(items[found], steps[1:], value, path)
    return items[:found] + (() if new is None else (new,)) + items[found + 1 :]


def from_dict(data: Mapping[str, Any], known: Mapping[str, type[Spec]]) -> Spec:
    """The spec that `to_dict` wrote. `known` maps class names to classes.

    Raises:
        Refused: no mapping, a class or a field that is not known here, or another value than the old default of a
            removed field.
    """
    if not isinstance(data, Mapping):
        raise Refused(f"{type(data).__name__} given; expected a mapping with the name of a spec as its type")
    name = str(data.get("type"))
    if name not in known:
        raise Refused(f"no spec is called {name!r}; known are {sorted(known)}")
    cls = known[name]
    fields = _without_removed(cls, {k: _revived(v, known) for k, v in data.items() if k != "type"})
    unknown = set(fields) - {f.name for f in dataclasses.fields(cls)}
    if unknown:
        raise Refused(f"{name} has no field {sorted(unknown)}; it has {[f.name for f in dataclasses.fields(cls)]}")
    return cls(**fields)


def _without_removed(cls: type[Spec], fields: Mapping[str, Any]) -> dict[str, Any]:
    for name, default in cls.removed.items():
        if name in fields and fields[name] != default:
            raise Refused(
                f"{cls.__name__}.{name}: {fields[name]!r} given, but the field was removed and only its old default, "
                f"{default!r}, can be read; an older version of this package knows it"
            )
    return {name: value for name, value in fields.items() if name not in cls.removed}


def _revived(value: Any, known: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, Mapping):
        return from_dict(value, known)
    if isinstance(value, list):
        return tuple(_revived(v, known) for v in value)
    return value
