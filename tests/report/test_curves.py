"""What a record says of training."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.report.made_up import STUDY, text, with_study
from workbench.experiments.claims import noise_floor
from workbench.report import page
from workbench.report.curves import seed_counts
from workbench.report.record import Record, results_of


def test_the_noise_floor_is_the_base_with_other_seeds(record: Record) -> None:
    """20 against 21 persons of 40: within chance, so a claim of it is open."""
    ((pair, verdict),) = seed_counts(record)
    floor = noise_floor(STUDY, results_of(record.run))
    assert pair["row"] == "A/A" and pair["mean"] == pytest.approx(np.mean(floor), abs=0.01) and verdict == "open"
    assert "differ by +2.0 AP" in text(page.flatness(record)) and ">open</b>, as it" in text(page.flatness(record))
    pairs = record.pairs.assign(low=0.01)
    assert "holds</b>, which is wrong" in text(page.flatness(replace(record, pairs=pairs)))
    assert seed_counts(replace(record, pairs=pairs.assign(count=1)))[0][1] == "open", "one seed decides nothing"
    trunks = [pairs.assign(trunk=trunk, mean=mean) for trunk, mean in (("a", 0.1), ("b", -0.1))]
    assert seed_counts(replace(record, pairs=pd.concat([pairs, *trunks])))[0][1] == "open", "trunks disagree"
    none = with_study(record, replace(STUDY, rows=STUDY.rows[:2]))
    assert "Noise floor" not in text(page.flatness(none))
