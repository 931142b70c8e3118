"""The type of a table: what makes a table says so by this one name."""

from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from workbench.report import record, slices, tables
from workbench.report.frames import Frame, write_csv


@pytest.mark.parametrize("module", [record, slices, tables], ids=lambda module: module.__name__)
def test_what_makes_a_table_names_its_type(module: ModuleType) -> None:
    """A column's own type in pandas is nearly anything: a signature that names pandas promises what it can not keep."""
    own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    made = [each for each in own if getattr(each, "__name__", "").endswith("_frame")]
    assert len(made) > 1 and all(each.__annotations__["return"] == "Frame" for each in made)
    assert module.Frame is Frame


def test_no_cell_of_a_file_is_a_formula_and_other_columns_stay_as_they_are(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"row": ["=1+1", "+ more"], "mixed": [None, 0.1234567891], "commit": ["@x", None], "n": [1, 2]}
    )
    frame["mixed"] = frame["mixed"].astype(object)
    write_csv(frame, tmp_path / "a.csv")
    plain = frame.to_csv(index=False, float_format="%.6g")
    text = (tmp_path / "a.csv").read_text()
    assert text == plain.replace("=1+1", "'=1+1").replace("@x", "'@x") == write_csv(frame)
