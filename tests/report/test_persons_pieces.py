"""The page of persons names the study that it is of, and no other."""

import pytest

from workbench.core.errors import Refused
from workbench.report import page


def test_a_study_that_trains_has_another_notebook() -> None:
    with pytest.raises(Refused, match=r"reports/ablation\.ipynb shows it"):
        page.profile_head("ablate_dcc")
