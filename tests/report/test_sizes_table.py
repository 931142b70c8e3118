"""The table of settings, the file and the JSON say the same numbers."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from tests.report.settings import MADE, measured
from workbench.report.sizes_table import (
    cheapest_free,
    sizes_csv,
    sizes_finding,
    sizes_frame,
    sizes_json,
    sizes_text,
)


def test_what_nothing_dominates_is_marked() -> None:
    frame = sizes_frame(measured())
    assert frame["front_latency"].tolist() == [False, True, True, True, False]
    assert frame["front_gflops"].tolist() == [True, True, False, True, False], "equal in both: neither dominates"
    assert frame["own"].tolist() == [True, False, False, False, False]
    assert frame["AP_is"].tolist()[1:] == ["no difference seen", "no difference seen", "worse", "no difference seen"]


def test_times_that_the_instrument_can_not_tell_apart_are_equal() -> None:
    assert sizes_frame(replace(measured(), slack=1.0))["front_latency"].tolist() == [True, True, False, False, False]


def test_the_quickest_without_a_loss_is_named() -> None:
    found = measured()
    best = cheapest_free(found)
    assert best and str(best.setting) == "96 px, 64x96 bins, torch bf16"
    assert "takes 0.40 of the time and changes AP by -0.3 (-1.1 to +0.5)" in sizes_finding(found)
    none = "nothing that is surely quicker than the network's own setting keeps its AP"
    assert sizes_finding(replace(found, readings=found.readings[:1])) == none
    assert sizes_finding(replace(found, slack=2.0)) == none, "the instrument is wrong by more than the saving"


def test_the_terminal_shows_every_setting_and_the_conditions() -> None:
    text = sizes_text(replace(measured(), unreadable=2))
    lines = text.splitlines()
    assert lines[0] == "job x on 1,000 images of figures-easy, of which 2 can not be read"
    assert sum(" px, 64x96 bins, " in line for line in lines[2:9]) == len(MADE)
    (worse,) = (line for line in lines if line.startswith("64 px"))
    assert (
        "50.0  -10.0 (-12.0 to -8.0)  worse" in worse and worse.endswith("0.2 *") and "0.300 [0.297, 0.303] *" in worse
    )
    assert "10 persons found" in text and "a machine; 1 thread" in text and "differs by up to 1.0 %" in text


def test_the_file_holds_what_the_frame_holds() -> None:
    found = measured()
    lines = list(csv.DictReader(io.StringIO(sizes_csv(found))))
    assert [float(line["AP"]) for line in lines] == [one.values["AP"] for one in found.readings]
    assert float(lines[3]["AP_high"]) == pytest.approx(found.readings[3].differences["AP"].high, rel=1e-5)
    assert lines[3]["bins"] == "64x96" and lines[3]["threads"] == "1" and lines[3]["images"] == "1000"


def test_json_has_null_where_there_is_no_number() -> None:
    found = measured()
    unknown = replace(found.readings[1], ms=replace(found.readings[1].ms, high=math.inf))
    said = json.loads(sizes_json(replace(found, readings=(found.own, unknown))))
    assert said["source"] == "job x" and said["settings"][1]["ms_high"] is None
    assert said["settings"][0]["own"] is True and said["settings"][0]["AP"] == 0.6
