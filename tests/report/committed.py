"""The claims of the committed records, which several tests look at."""

from functools import cache

import pytest

from tests.report.made_up import ROOT
from workbench.report.verdict_table import RecordedClaim, recorded_claims


@cache
def committed_claims() -> list[RecordedClaim]:
    """Read once per process, because it takes seconds; in the order of the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return recorded_claims()
