"""Our backbones as timm builds them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import timm
import torch

from workbench.components.backbones.csp_darknet import CSPDarknet


def test_registered_features_equal_the_module() -> None:
    torch.manual_seed(0)
    registered: Any = timm.create_model("csp_darknet_t", features_only=True, out_indices=(2, 3, 4)).eval()
    module = CSPDarknet(width=0.375).build().eval()
    module.load_state_dict(registered.state_dict())
    x = torch.rand(1, 3, 32, 64) * 255
    for a, b in zip(registered(x), module(x), strict=True):
        assert torch.equal(a, b)


@pytest.mark.soak
def test_most_of_the_package_does_without_what_takes_seconds_and_ours_are_there_when_timm_comes() -> None:
    program = """if True:
        import sys
        slow = {"timm", "torchvision", "torch._dynamo", "sympy", "scipy", "triton", "mlflow", "pandas", "matplotlib"}
        import workbench.rtmo
        print(sorted((slow | {"optuna", "sqlalchemy", "fvcore", "onnx"}) & set(sys.modules)))
        import workbench.experiments.runner, workbench.experiments.profiling
        print(sorted(slow & set(sys.modules)))
        import studies.search_rtmo, workbench.experiments.search.rounds
        print(sorted((slow - {"scipy"} | {"scipy.stats", "sklearn"}) & set(sys.modules)))
        import timm
        print(all(map(timm.is_model, ("csp_darknet_s", "stdc_1"))), timm.is_model_pretrained("csp_darknet_s"))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "[]", "[]", "True True"], done.stderr
