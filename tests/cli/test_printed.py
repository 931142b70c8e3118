"""What is printed for programs, and what is said beside it."""

import json
import math

import pytest

from workbench.cli.printed import print_json, remark


def test_numbers_that_are_none_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [1.5, -math.inf, (math.nan, "nan")], "c": {"d": math.inf, "e": None}})
    remark("beside it")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": None, "b": [1.5, None, [None, "nan"]], "c": {"d": None, "e": None}}
    assert err == "beside it\n" and "NaN" not in out and "Infinity" not in out
