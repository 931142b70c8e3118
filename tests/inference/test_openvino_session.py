"""Files in OpenVINO: the persons of the network, in float32 whatever the processor has."""

from __future__ import annotations

import pytest

from tests.inference.tiny import LOW, SHAPES, crowd, expected, network, same
from workbench.inference import onnx_export
from workbench.inference.deployed import Deployed, detections
from workbench.inference.openvino_session import OpenVINOSession


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> OpenVINOSession:
    """Of a file whose limits are inputs with a default: they stay as they are."""
    path = tmp_path_factory.mktemp("openvino") / "tiny.onnx"
    onnx_export.write_onnx(Deployed(network(), LOW), path, {})
    return OpenVINOSession(path, threads=1)


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_persons_are_those_of_the_network(session: OpenVINOSession, shape: tuple[int, int, int]) -> None:
    images = crowd(*shape)
    theirs = expected(images, LOW)
    assert sum(map(len, theirs)) > 3
    same(detections(*session(images.numpy())), theirs)
