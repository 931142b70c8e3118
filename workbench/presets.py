"""Named variants and protocols under one public name, for files of studies and components; what they are stands in
`models.zoo`, `models.schedule`, `experiments.protocols` and `experiments.trunks`."""

from workbench.experiments.protocols import NANO_RECIPE, RTMO_S
from workbench.experiments.protocols import PROTOCOLS as SETTINGS
from workbench.experiments.protocols import protocol_named as setting
from workbench.experiments.trunks import REGRESSION, trunk_jobs
from workbench.models.schedule import CROWDPOSE_SCHEDULE
from workbench.models.zoo import NANO, NETWORKS, nano, rtmo
from workbench.models.zoo import network_named as named

__all__ = [
    "CROWDPOSE_SCHEDULE",
    "NANO",
    "NANO_RECIPE",
    "NETWORKS",
    "REGRESSION",
    "RTMO_S",
    "SETTINGS",
    "named",
    "nano",
    "rtmo",
    "setting",
    "trunk_jobs",
]
