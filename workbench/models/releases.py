"""The released RTMO models by name: size, key points, input, file. "body7" are seven data sets, COCO among them.

`RELEASED` are the models that verdicts and pages speak of; the others are those that the authors trained on body7. The
names of the files are those of the authors' table (github.com/open-mmlab/mmpose, projects/rtmo/README.md). Their
metafile `rtmo_body7.yml` has another file for `rtmo-l-body7`: that of `rtmo-l-coco`.
"""

from __future__ import annotations

from collections.abc import Mapping

from workbench.models.zoo import RELEASED, Release

RELEASES: Mapping[str, Release] = {
    **RELEASED,
    "rtmo-s-body7": Release("s", 17, 640, "rtmo-s_8xb32-600e_body7-640x640-dac2bf74_20231211.pth"),
    "rtmo-m-body7": Release("m", 17, 640, "rtmo-m_16xb16-600e_body7-640x640-39e78cc4_20231211.pth"),
    "rtmo-l-body7": Release("l", 17, 640, "rtmo-l_16xb16-600e_body7-640x640-b37118ce_20231211.pth"),
    "rtmo-l-body7-crowdpose": Release("l", 14, 640, "rtmo-l_16xb16-700e_body7-crowdpose-640x640-5bafdc11_20231219.pth"),
}
_ADDRESS = "https://download.openmmlab.com/mmpose/v1/projects/rtmo/"


def address_of(release: Release) -> str:
    """Where its file is downloaded from."""
    return _ADDRESS + release.file


def digest_of(release: Release) -> str:
    """The eight digits before the date in the file's name: its sha256 begins with them."""
    return release.file.rpartition("_")[0].rpartition("-")[2]
