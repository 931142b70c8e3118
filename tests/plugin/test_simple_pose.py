"""Both components keep the contracts of the workbench."""

from simple_pose.fpn import FPN
from simple_pose.simcc import SimCC

from workbench.testing import contract_tests

test_contracts = contract_tests(FPN(channels=8), FPN(channels=6, keep=3), SimCC(num_bins=(6, 8)))
