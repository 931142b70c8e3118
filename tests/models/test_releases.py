"""The table of the released models."""

from __future__ import annotations

import re

from workbench.models.releases import RELEASES, address_of, digest_of


def test_names_say_what_the_files_are() -> None:
    for name, release in RELEASES.items():
        size, *data = name.removeprefix("rtmo-").split("-")
        assert release.size == size
        assert (release.keypoints == 14) == ("crowdpose" in data) == ("crowdpose" in release.file)
        assert ("body7" in release.file) == ("body7" in data or name == "rtmo-t")
        assert re.search(rf"rtmo-{size}_.*-{release.side}x{release.side}-", release.file)


def test_every_file_has_an_address_and_a_digest_of_its_own() -> None:
    digests = {digest_of(release) for release in RELEASES.values()}
    assert len(digests) == len(RELEASES) == 11
    assert all(re.fullmatch("[0-9a-f]{8}", digest) for digest in digests)
    assert address_of(RELEASES["rtmo-l-body7"]).endswith("/rtmo/rtmo-l_16xb16-600e_body7-640x640-b37118ce_20231211.pth")
