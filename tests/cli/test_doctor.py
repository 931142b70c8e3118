"""The command that looks at the machine: findings in lines or as JSON, and the exit code."""

import json

import pytest

from workbench.__main__ import main
from workbench.experiments import doctor
from workbench.experiments.doctor import Health, Symptom


@pytest.mark.parametrize(("state", "code"), [(Health.FINE, 0), (Health.NOTED, 0), (Health.BROKEN, 1)])
def test_only_what_is_broken_is_a_failure(
    state: Health, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Symptom("python", Health.FINE, "3.11"), Symptom("home", state, "there", "do this")]
    monkeypatch.setattr(doctor, "examine", lambda _: found)
    assert main(["doctor"]) == main(["doctor", "--json"]) == code
    text = capsys.readouterr().out
    assert "   python: 3.11\n" in text and "home: there; do this" in text
    assert ("1 broken: marked with !!" if code else "fit: what the default needs is there") in text
    said = json.loads(text[text.index("{") :])
    assert said["fit"] is not bool(code) and said["findings"][1]["state"] == str(state)
