"""Named variants, protocols and augmentations under one public name, for files of studies and components; what they are
stands in `models.zoo`, `models.schedule`, `experiments.protocols`, `experiments.trunks` and `core.augmentation`.

`train` trains one of them, for notebooks."""

from workbench.core.augmentation import AUGMENTATIONS, Augmentation, Fit, Flip, Hsv, MixUp, Mosaic, Warp
from workbench.experiments.own_run import train_network as train
from workbench.experiments.protocols import NANO_RECIPE, RTMO_S
from workbench.experiments.protocols import PROTOCOLS as SETTINGS
from workbench.experiments.protocols import protocol_named as setting
from workbench.experiments.trunks import trunk_jobs
from workbench.models.schedule import CROWDPOSE_SCHEDULE
from workbench.models.zoo import NANO, NETWORKS, REGRESSION, nano, rtmo
from workbench.models.zoo import network_named as named

__all__ = [
    "AUGMENTATIONS",
    "CROWDPOSE_SCHEDULE",
    "NANO",
    "NANO_RECIPE",
    "NETWORKS",
    "REGRESSION",
    "RTMO_S",
    "SETTINGS",
    "Augmentation",
    "Fit",
    "Flip",
    "Hsv",
    "MixUp",
    "Mosaic",
    "Warp",
    "named",
    "nano",
    "rtmo",
    "setting",
    "train",
    "trunk_jobs",
]
