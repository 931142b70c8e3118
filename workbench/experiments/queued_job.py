"""A job as the queue holds it: the job itself, as JSON. Whoever takes it needs neither the study nor the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from workbench.core.errors import Refused
from workbench.core.spec import Spec, from_dict

if TYPE_CHECKING:
    from workbench.models.job import Job
    from workbench.study import PlannedJob

QUEUED = ("key", "row", "seed", "trunk", "job", "until")  # what a trial says of its job from the start


def attributes_of(one: PlannedJob) -> dict[str, Any]:
    """The job itself and where it is to pause; row, seed and trunk are for people who read the store."""
    said = {"key": one.job.key, "row": one.row, "seed": one.seed, "trunk": one.trunk, "job": one.job.to_dict()}
    return said | ({"until": one.until} if one.until else {})


def queued_job(attributes: Mapping[str, Any]) -> Job:
    """The job that a trial carries.

    Raises:
        Refused: it was queued by a version that has other components.
    """
    from workbench.models.catalog import spec_types  # and with it torch, which takes seconds
    from workbench.models.job import Job

    job = from_dict(attributes["job"], spec_types())
    if not isinstance(job, Job) or job.key != attributes["key"]:
        raise Refused(
            f"job {attributes['key']} was queued by another version of the workbench, in which it is {job.key}; "
            "workbench study retry NAME queues it again"
        )
    return job


def check_queueable(planned: Iterable[PlannedJob]) -> None:
    """Refuses jobs that a worker can not read from the queue, before any is started.

    Raises:
        Refused: a component is not one that `workbench components` lists.
    """
    from workbench.models.catalog import spec_types

    known = spec_types()
    for one in planned:
        if missing := [cls for cls in _classes(one.job) if known.get(cls.__name__) is not cls]:
            where = f"{missing[0].__module__}.{missing[0].__qualname__}"
            raise Refused(
                f"{one.title}: workers can not find {where}; a component lives in a module of its own below "
                "workbench/components, or in an installed package that names it in its entry-point group "
                "workbench.components"
            )


def _classes(spec: Spec) -> Iterator[type[Spec]]:
    """The class of a spec and of every spec in it."""
    yield type(spec)
    for each in fields(spec):
        value = getattr(spec, each.name)
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Spec):
                yield from _classes(inner)
