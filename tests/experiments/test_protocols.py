"""The protocols of studies: what their words promise is what they plan."""

import re

import pytest

from workbench.core.errors import Refused
from workbench.experiments.protocols import PROTOCOLS, protocol_named
from workbench.models.trunk import stored_trunks


def test_a_protocol_is_found_by_its_name_alone() -> None:
    assert {name: protocol_named(name).name for name in PROTOCOLS} == {name: name for name in PROTOCOLS}
    with pytest.raises(Refused, match=r"no protocol 'smok'; there are \['smoke', 'probe', 'thaw', 'fork', 'short', "):
        protocol_named("smok")


@pytest.mark.parametrize("name", ["short", "laptop", "proxy"])
def test_a_protocol_says_how_many_images_each_row_sees(name: str) -> None:
    """In thousands, over all epochs: every image counts as often as it comes."""
    (said,) = re.findall(r"([\d,]+),000 (?:easy|hard) scenes", PROTOCOLS[name].about)
    asked = PROTOCOLS[name].protocol
    assert asked.epochs * asked.epoch_images // 1000 == int(said.replace(",", ""))


def test_every_protocol_says_what_it_answers_and_what_not() -> None:
    for protocol in (one for one in PROTOCOLS.values() if one.trains):
        assert re.fullmatch(r"It says [^.]+, (not|nothing|and with one seed nothing) [^.]+\.", protocol.answers)


def test_protocols_stand_on_trunks_that_are_stored() -> None:
    assert {trunk for protocol in PROTOCOLS.values() for trunk in protocol.trunks} == set(stored_trunks())


def test_published_networks_are_measured_at_published_size() -> None:
    setting = PROTOCOLS["cost"]
    assert not setting.trains and not setting.scale and setting.protocol.size == (640, 640)
