"""Fields of frozen dataclasses: values as their declared types. Python itself checks none."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from workbench.core.errors import Refused

_SHOWN = 80  # characters of a value in a message


@cache
def hints(cls: type) -> dict[str, Any]:
    """Of each field its declared type."""
    return typing.get_type_hints(cls)


def fit_fields(value: Any, name: str = "") -> None:
    """Gives the fields of a frozen dataclass their declared types; call it in `__post_init__`.

    Args:
        name: what messages call it; its class where "".

    Raises:
        Refused: a field has another type, or is not finite.
    """
    for field in dataclasses.fields(value):
        where = f"{name or type(value).__name__}.{field.name}"
        object.__setattr__(value, field.name, fit(getattr(value, field.name), hints(type(value))[field.name], where))


def fit(value: Any, hint: Any, where: str) -> Any:
    """`value` as the declared type: 64 becomes 64.0 for a float, a list a tuple; anything else is refused.

    Of a function only is seen to it that it is one, of a mapping that its keys fit.

    Raises:
        Refused: it names `where`, what was given and what was expected.
    """
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_union(value, args, where)
    if _is(value, hint):
        return value
    if origin is tuple and isinstance(value, list | tuple):
        inner = args[:1] * len(value) if args[1:] == (...,) else args
        if len(inner) == len(value):
            return tuple(fit(v, h, f"{where}[{i}]") for i, (v, h) in enumerate(zip(value, inner, strict=True)))
    elif origin is Mapping and isinstance(value, Mapping):
        for key in value:
            fit(key, args[0], f"{where}, a key")
        return value
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:
            raise Refused(f"{where}: {_shown(value)} is no finite number")
        return float(value) + 0.0  # -0.0 becomes 0.0: equal values have equal keys
    comma = "; with one in it, it needs a comma, as (x,)" if origin is tuple and args[1:] == (...,) else ""
    raise Refused(f"{where}: {_shown(value)} is no {_named(hint)}{comma}")


def _is(value: Any, hint: Any) -> bool:
    """Whether a value is what the hint says as it stands. Numbers are looked at apart."""
    if hint is Any:
        return True
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is Callable:
        return callable(value)
    return isinstance(hint, type) and isinstance(value, hint) and hint is not float and not _bool_for_int(value, hint)


def _bool_for_int(value: Any, hint: type) -> bool:
    return hint is int and isinstance(value, bool)


def _fit_union(value: Any, hints: tuple[Any, ...], where: str) -> Any:
    for hint in hints:
        if hint is type(None) and value is None:
            return None
        try:
            return fit(value, hint, where)
        except Refused:
            continue
    raise Refused(f"{where}: {_shown(value)} is none of {', '.join(map(_named, hints))}")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # of an int with thousands of digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _named(hint: Any) -> str:
    if isinstance(hint, type) and not get_args(hint):
        return hint.__name__
    return str(hint).replace("typing.", "").replace("collections.abc.", "")
