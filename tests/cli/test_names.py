"""The names that a command line knows by itself are those of the tables, which take seconds to import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
from workbench.models.zoo import NETWORKS, RELEASED, network_named

TABLES: Mapping[str, Iterable[str]] = {
    "protocols": PROTOCOLS,
    "whole": WHOLE,
    "networks": NETWORKS,
    "released": RELEASED,
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


def test_what_is_let_through_may_be_a_network_and_what_is_refused_is_none() -> None:
    names.check_networks([*names.NETWORKS, "rtmo_s_crowdpose", *(f"{name}-rtmo" for name in names.STDC)])
    for name in names.STDC:
        network_named(f"{name}-rtmo")
    for check in (lambda: names.check_networks(["nano", "rtmo-x"]), lambda: network_named("rtmo-x")):
        with pytest.raises(
            Refused, match=r"no network 'rtmo-x'; there are nano, .*stdcnano, stdc1, stdc2 or a name of"
        ):
            check()
