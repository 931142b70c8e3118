"""The tests mirror the package: each module has a file of its own, so that its tests are easy to find."""

from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NO_MODULES = {"__init__.py", "__main__.py"}  # a docstring; the start of the command


def without_a_file(modules: Iterable[Path], tests: set[Path]) -> Iterator[str]:
    """What is missing, by module: of `a/_b.py` the file `a/test_b.py`. Both are below their own folders."""
    for module in modules:
        wanted = module.with_name(f"test_{module.name.lstrip('_')}")
        if module.name not in NO_MODULES and wanted not in tests:
            yield f"workbench/{module} has no tests/{wanted}"


def files(folder: Path, pattern: str) -> list[Path]:
    return sorted(file.relative_to(folder) for file in folder.rglob(pattern))


def test_every_module_has_a_file_of_tests() -> None:
    modules, tests = files(ROOT / "workbench", "*.py"), files(ROOT / "tests", "test_*.py")
    assert len(modules) > 100  # the search found the sources
    assert list(without_a_file(modules, set(tests))) == []


def test_a_module_without_a_file_is_named() -> None:
    modules = [Path(name) for name in ("__init__.py", "a/__main__.py", "a/b.py", "a/_c.py", "d.py", "a/d.py")]
    tests = {Path(name) for name in ("a/test_b.py", "a/test_c.py", "test_d.py")}
    assert list(without_a_file(modules, tests)) == ["workbench/a/d.py has no tests/a/test_d.py"]
