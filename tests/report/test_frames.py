"""The type of a table: what makes a table says so by this one name."""

from types import ModuleType

import pytest

from workbench.report import record, slices, tables
from workbench.report.frames import Frame


@pytest.mark.parametrize("module", [record, slices, tables], ids=lambda module: module.__name__)
def test_what_makes_a_table_names_its_type(module: ModuleType) -> None:
    """A column's own type in pandas is nearly anything: a signature that names pandas promises what it can not keep."""
    own = [each for each in vars(module).values() if getattr(each, "__module__", "") == module.__name__]
    made = [each for each in own if getattr(each, "__name__", "").endswith("_frame")]
    assert len(made) > 1 and all(each.__annotations__["return"] == "Frame" for each in made)
    assert module.Frame is Frame
