"""A verdict that later runs have answered otherwise says so on its page."""

from dataclasses import replace

import pandas as pd

from tests.report.made_up import STUDY, text, with_study
from workbench.components.losses.kld import KLD
from workbench.report import page
from workbench.report.record import Record
from workbench.report.superseded import REASON, superseded
from workbench.study import Better, Row, StudyProtocol

FREE = {"losses.MLE": None, "losses.KLD": KLD()}
APART = {**FREE, "coords.box_gradient": False}
ROWS = (Row("mle"), Row("kld", FREE), Row("kld apart", APART))


def asked(record: Record, *there: str, claim: str = "C4", protocol: StudyProtocol | None = None) -> Record:
    """A record of these rows, with a claim of MLE against KLD."""
    study = replace(STUDY, rows=ROWS, claims=(Better(claim, "MLE beats KLD", "mle", "kld"),))
    run = replace(record.run, study=study, protocol=protocol or record.protocol)
    runs = pd.concat([record.runs[:1].assign(row=row) for row in there])
    return replace(record, run=run, jobs=tuple(study.planned_jobs(run.protocol)), runs=runs)


def test_kld_with_its_gradient_through_the_box_alone_decides_nothing(record: Record) -> None:
    old = asked(record, "mle", "kld")
    assert superseded(old) == REASON
    assert REASON in text(page.verdicts(old)) and "C4 is superseded" in text(page.head(old))


def test_where_both_were_run_it_stands(record: Record) -> None:
    assert superseded(asked(record, "mle", "kld", "kld apart")) == ""
    assert superseded(asked(record, "mle", "kld", claim="B4")) == "", "another claim"
    assert superseded(asked(record, "mle")) == "", "nothing was compared"
    assert superseded(with_study(record, STUDY)) == ""


def test_frozen_boxes_are_not_moved(record: Record) -> None:
    probe = replace(record.protocol, trunks=("joint",))
    assert superseded(asked(record, "mle", "kld", protocol=probe)) == ""
