"""The trials of a queue, straight from Optuna's tables: who takes the next one, what has changed, what is put in.

Optuna reads every trial that has not ended, whole, each time that it is asked for one: with a thousand that wait this
is a second of work for each job. Here a job is taken in one transaction, and of what was read before only that is read
again which can have changed. Studies, heartbeats, attributes and how trials end are left to Optuna, and a queue is a
study of Optuna like any other.

The tables are Optuna's own, which its migrations keep; a test holds what is used of them.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState

TABLES: Mapping[str, sql.Table] = models.BaseModel.metadata.tables
STUDIES, TRIALS, HEARTBEATS = TABLES["studies"], TABLES["trials"], TABLES["trial_heartbeats"]
ATTRIBUTES, VALUES = TABLES["trial_user_attributes"], TABLES["trial_values"]
_AT_ONCE = 1000  # trials in one statement: databases limit its values
JOB = "job"  # the attribute that is long: it is read when a job is taken


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job: a trial of Optuna.

    Fields:
        trial_id: in the store; number: in its queue, from 0.
        user_attrs: what was said of it. Of the job itself only that it is there, unless the attempt was taken.
        since: when it was first seen in its state, in seconds of this machine's clock (`time.monotonic`).
        watched: it was seen before it ended.
    """

    trial_id: int
    number: int
    state: TrialState
    user_attrs: Mapping[str, Any]
    since: float
    watched: bool


class TrialTable:
    """The trials of one study, as they were last read."""

    def __init__(self, storage: RDBStorage, study_id: int) -> None:
        self._storage, self._study = storage, study_id
        self._known: dict[int, Attempt] = {}  # by trial_id, in the order of numbers
        self._of: defaultdict[str, list[int]] = defaultdict(list)  # by key of the job
        self._open = dict[int, None]()  # those that have not ended, in that order too

    # What was read

    @property
    def attempts(self) -> list[Attempt]:
        """All, in the order of their numbers."""
        return list(self._known.values())

    def of(self, key: str) -> list[Attempt]:
        """Those at one job."""
        return [self._known[one] for one in self._of.get(key, ())]

    def refresh(self) -> None:
        """Reads what has changed: trials that are new, those that were taken or have ended, and those that run."""
        column, last = TRIALS.c, next(reversed(self._known), -1)
        rows = sql.select(column.trial_id, column.number, column.state).where(
            column.study_id == self._study,
            column.trial_id >= next(iter(self._open), last + 1),  # what has ended stays as it is
            sql.or_(column.state != TrialState.WAITING, column.trial_id > last),  # and so does what waits
        )
        with self._storage.engine.begin() as connection:
            found = connection.execute(rows.order_by(column.trial_id)).all()
            changed = [row for row in found if self._can_differ(row.trial_id, row.state)]
            said = _said(connection, [row.trial_id for row in changed])
        for row in changed:
            self._keep(row.trial_id, row.number, row.state, said[row.trial_id])

    def _can_differ(self, trial_id: int, state: TrialState) -> bool:
        known = self._known.get(trial_id)
        return known is None or known.state is not state or state is TrialState.RUNNING

    def _keep(self, trial_id: int, number: int, state: TrialState, said: Mapping[str, Any]) -> None:
        before = self._known.get(trial_id)
        same = before is not None and before.state is state
        since = before.since if before is not None and same else time.monotonic()
        watched = not state.is_finished() or (before is not None and before.watched)
        if before is None:
            self._of[str(said.get("key", ""))].append(trial_id)
        if state.is_finished():
            self._open.pop(trial_id, None)
        else:
            self._open[trial_id] = None
        self._known[trial_id] = Attempt(trial_id, number, state, said, since, watched)

    # What the store does

    def count(self) -> int:
        """How many there are, in whatever state."""
        with self._storage.engine.begin() as connection:
            return _count(connection, self._study)

    def waits(self) -> bool:
        """Whether any waits."""
        one = _waiting(self._study).limit(1)
        with self._storage.engine.begin() as connection:
            return connection.execute(one).first() is not None

    def take(self, owner: str) -> Attempt | None:
        """The first one that waits, which is `owner`'s from now on. None where none waits.

        No two get the same one: one that another transaction is about to take is passed over.
        """
        first = _waiting(self._study).order_by(TRIALS.c.trial_id).limit(1).with_for_update(skip_locked=True)
        with self._storage.engine.begin() as connection:
            row = connection.execute(first).first()
            if row is None:
                return None
            here = {"trial_id": row.trial_id}
            begun = TRIALS.update().where(TRIALS.c.trial_id == row.trial_id)
            connection.execute(begun.values(state=TrialState.RUNNING, datetime_start=_now()))
            connection.execute(ATTRIBUTES.insert().values(**here, key="owner", value_json=json.dumps(owner)))
            connection.execute(HEARTBEATS.insert().values(**here))  # so that of each owner there is one
            said = _said(connection, [row.trial_id], whole=True)[row.trial_id]
        return Attempt(row.trial_id, row.number, TrialState.RUNNING, said, time.monotonic(), True)

    def add(self, said: Sequence[Mapping[str, Any]], values: Sequence[float] | None = None) -> None:
        """Puts trials in.

        Args:
            said: the attributes of each.
            values: of each, which then is complete; None: they wait.
        """
        for first in range(0, len(said), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            self._add(said[part], None if values is None else values[part])

    def _add(self, said: Sequence[Mapping[str, Any]], values: Sequence[float] | None) -> None:
        state, now = (TrialState.WAITING, None) if values is None else (TrialState.COMPLETE, _now())
        line = {"study_id": self._study, "state": state, "datetime_start": now, "datetime_complete": now}
        with self._storage.engine.begin() as connection:
            # whoever adds trials gives out numbers under this lock; Optuna does so too
            connection.execute(sql.select(STUDIES.c.study_id).filter_by(study_id=self._study).with_for_update())
            number = _count(connection, self._study)
            lines = [{**line, "number": number + i} for i in range(len(said))]
            connection.execute(TRIALS.insert(), lines)
            new = sql.select(TRIALS.c.trial_id).where(TRIALS.c.study_id == self._study, TRIALS.c.number >= number)
            ids = connection.scalars(new.order_by(TRIALS.c.number)).all()
            pairs = [
                {"trial_id": one, "key": key, "value_json": json.dumps(value)}
                for one, each in zip(ids, said, strict=True)
                for key, value in each.items()
            ]
            connection.execute(ATTRIBUTES.insert(), pairs)
            if values is not None:
                finite = {"objective": 0, "value_type": "FINITE"}
                connection.execute(
                    VALUES.insert(),
                    [{"trial_id": one, "value": value, **finite} for one, value in zip(ids, values, strict=True)],
                )


def _waiting(study: int) -> sql.Select[Any, Any]:
    column = TRIALS.c
    return sql.select(column.trial_id, column.number).where(
        column.study_id == study, column.state == TrialState.WAITING
    )


def _count(connection: sql.Connection, study: int) -> int:
    return connection.execute(sql.select(sql.func.count()).where(TRIALS.c.study_id == study)).scalar_one()


def _said(connection: sql.Connection, trials: Sequence[int], whole: bool = False) -> dict[int, dict[str, Any]]:
    """The attributes of trials; without `whole`, of the job only that it is there."""
    column, found = ATTRIBUTES.c, {one: dict[str, Any]() for one in trials}
    value = column.value_json if whole else sql.case((column.key == JOB, "null"), else_=column.value_json)
    for first in range(0, len(trials), _AT_ONCE):
        query = sql.select(column.trial_id, column.key, value).where(
            column.trial_id.in_(trials[first : first + _AT_ONCE])
        )
        for trial, key, text in connection.execute(query):
            found[trial][key] = json.loads(text)
    return found


def _now() -> datetime:
    """As Optuna keeps times: of UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
