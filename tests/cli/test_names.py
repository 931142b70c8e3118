"""The names that a command line knows by itself are those of the tables, which take seconds to import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from workbench.cli import names
from workbench.cli.options import LISTS
from workbench.core.errors import Refused
from workbench.data.synthetic.scene import SCENE_LEVELS
from workbench.experiments.own_job import WHOLE
from workbench.experiments.protocols import PROTOCOLS
from workbench.experiments.search.plan import SAMPLERS
from workbench.experiments.trunks import trunk_jobs
from workbench.inference.deployed import PRECISIONS
from workbench.inference.runtimes import RUNTIMES
from workbench.models.named import blueprint
from workbench.models.releases import RELEASES
from workbench.models.zoo import NETWORKS

TABLES: Mapping[str, Iterable[str]] = {
    "protocols": PROTOCOLS,
    "whole": WHOLE,
    "networks": NETWORKS,
    "released": RELEASES,
    "any_network": dict.fromkeys([*NETWORKS, *RELEASES]),
    "trunks": trunk_jobs(),
    "runtimes": RUNTIMES,
    "devices": dict.fromkeys(device for runtime in RUNTIMES.values() for device in runtime.devices),
    "precisions": dict.fromkeys(precision for runtime in RUNTIMES.values() for precision in runtime.precisions),
    "file_precisions": PRECISIONS,
    "samplers": SAMPLERS,
    "levels": SCENE_LEVELS,
}


@pytest.mark.parametrize("name", TABLES)
def test_the_names_are_those_of_the_table(name: str) -> None:
    assert list(LISTS[name]()) == list(TABLES[name]), "name it in workbench/cli/names.py, too"


@pytest.mark.parametrize("name", ["nano", "rtmo_s_crowdpose", "rtmo-l-body7", "stdc1-rtmo", "ablate_dcc:regression"])
def test_what_is_let_through_is_a_network(name: str) -> None:
    names.check_network(name)
    assert blueprint(name).source == name


def test_what_is_refused_is_none_and_both_say_the_same() -> None:
    said: list[str] = []
    for check in (names.check_network, names.check_source, blueprint):
        with pytest.raises(Refused, match=r"no network 'rtmo-x'; there are nano, ") as refused:
            check("rtmo-x")
        said.append(str(refused.value))
    assert len(set(said)) == 1


def test_a_source_has_weights() -> None:
    names.check_source("rtmo-t")
    names.check_source("nano", "a.pth")
    with pytest.raises(Refused, match="nano: a preset has no weights"):
        names.check_source("nano")


def test_an_onnx_file_is_let_through_where_it_is_of_use(tmp_path: Path) -> None:
    (file := tmp_path / "a.onnx").touch()
    assert names.check_network(str(file)) == "onnx"
    names.check_source(str(file))
    with pytest.raises(Refused, match="an ONNX file is written already"):
        names.check_network(str(file), "is written already")
