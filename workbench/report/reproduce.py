"""The commands that make a page again, from its record: the same wherever the page is written."""

from __future__ import annotations

from shlex import quote

from workbench.report.record import Record


def study_command(record: Record) -> str:
    """The command that runs the study with all that it was given."""
    if (until := record.until) is None:
        return _command("study", record, _seeds(record))
    budget = [f"--budget {until.budget}"] if until.budget is not None else []
    return _command("study", record, [f"--seeds {until.seeds}", "--until decided", *budget])


def page_command(record: Record) -> str:
    """The command that writes the page. Seeds that were added until decided are found by themselves."""
    return _command("report", record, _seeds(record) if record.until is None else [])


def _command(session: str, record: Record, seeds: list[str]) -> str:
    data = ["--data FOLDER"] if record.run.fingerprint else []
    changes = [f"--set {quote(f'{path}={value}')}" for path, value in record.run.changes.items()]
    first = [f"--first-seed {record.run.first_seed}"] * bool(record.run.first_seed)
    named = ["nox", "-s", session, "--", record.study.name, "--protocol", record.protocol.name]
    words = [*named, *seeds, *first, *data, *changes]
    return " ".join(words)


def _seeds(record: Record) -> list[str]:
    asked = record.study.seeds_under(record.protocol)
    return [f"--seeds {record.seeds}"] if record.seeds != asked else []
