"""The numbers of tables."""

from dataclasses import replace

from workbench.report import tables
from workbench.report.front import front_frame
from workbench.report.record import Record


def test_under_a_probe_a_row_has_no_interval_over_trunks(record: Record) -> None:
    """Three trunks tens of AP apart would give every row an interval from 0 to 100."""
    wide = record.rows.assign(low=-0.1, high=1.1)
    probe = replace(record, runs=record.runs.assign(trunk="joint"), rows=wide)
    assert front_frame(probe, "gflops")[["low", "high"]].isna().all().all()
    rows = tables.intervals_of_rows(probe.runs, wide)
    assert rows["low"].isna().all() and rows["images_low"].notna().all() and tables.interval_of(rows) == ""
    assert tables.intervals_of_rows(record.runs, wide)["low"].notna().all()
