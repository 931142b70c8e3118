"""`workbench predict`: its options reach the work, and a whole run on pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.cli.commands import options_of, watch
from tests.inference.tiny import stored_job
from workbench.__main__ import main
from workbench.core.errors import Refused
from workbench.inference.predict import Predicted

OPTIONS: dict[str, tuple[str, ...]] = {
    "--out": ("other",),
    "--weights": ("rtmo.pth",),
    "--score-threshold": ("0.3",),
    "--nms-threshold": ("0.5",),
    "--max-persons": ("5",),
    "--draw-threshold": ("0.5",),
    "--device": ("cuda",),
    "--batch": ("2",),
    "--frames": ("7",),
    "--show": (),
}
PLAIN = ["predict", "rtmo-t", "photo.jpg"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    cv2.imwrite("photo.jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    return watch(
        monkeypatch,
        {
            "workbench.inference.window.Window": "window",
            "workbench.inference.finder.open_finder": "finder",
            "workbench.inference.predict.predict": Predicted("rtmo-t", Path("out")),
        },
    )


def asked(calls: list[tuple[Any, ...]]) -> str:
    return str([(name, values, {k: v for k, v in named.items() if k != "tick"}) for name, values, named in calls])


@pytest.mark.parametrize("option", sorted(options_of("predict") - {"--json"}))
def test_every_option_is_used(option: str, calls: list[tuple[Any, ...]]) -> None:
    assert main(PLAIN) == 0
    plain = asked(calls)
    calls.clear()
    assert main([*PLAIN, option, *OPTIONS[option]]) == 0
    assert asked(calls) != plain


@pytest.mark.slow
def test_a_run_on_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a run of one's own, which says what it trains."""
    job = stored_job(Path("job"))
    Path("job/run.json").write_text('{"name": "ablate_dcc:regression"}')
    Path("bad.jpg").write_bytes(b"no picture")
    words = ["predict", str(job), "photo.jpg", "bad.jpg", "-o", "out", "--device", "cpu", "--score-threshold", "0.01"]
    assert main([*words, "--draw-threshold", "0", "--json"]) == 1
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == "1 of 2 could not be read, first bad.jpg: not an image that can be decoded\n"
    assert told["network"].startswith("ablate_dcc:regression, job ")
    (source,) = told["sources"]
    rows = json.loads(Path("out/predictions.json").read_text())
    assert len(rows) == source["persons"] > 0 and (source["height"], source["width"]) == (48, 64)
    drawn = cv2.imread("out/photo.jpg")
    assert main([*words[:3], "-o", "out", "--device", "cpu", "--draw-threshold", "1"]) == 0
    assert "listed in out/predictions.json" in capsys.readouterr().out
    plain = cv2.imread("out/photo.jpg")
    assert drawn is not None and plain is not None and drawn.shape == plain.shape
    assert (np.abs(drawn.astype(int) - plain) > 50).any(), "persons are drawn on the same picture"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rtmo-x photo.jpg", "no network 'rtmo-x'; there are nano"),
        ("rtmo-t none.jpg", "none.jpg: no such file or folder; expected pictures"),
        ("rtmo-t", "predict: Missing argument 'INPUT'"),
        ("rtmo-t photo.jpg -o .", "the drawing of photo.jpg would be written over it"),
        ("rtmo-t photo.jpg --batch 0", "predict: --batch '0': expected a whole number of 1 or more"),
        ("rtmo-t photo.jpg --device tpu", "predict: --device 'tpu': expected cpu or cuda"),
        ("rtmo-t photo.jpg --score-threshold 1.5", "score threshold 1.5: expected a number in [0, 1)"),
    ],
)
def test_what_can_not_be_done_is_refused_before_work(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and not Path("out").exists()


@pytest.mark.parametrize("command", ["predict nano photo.jpg", "evaluate nano --data ."])
def test_a_network_without_weights_takes_a_file_of_them(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reaches the reading of the file."""

    def opened(network: str, weights: object, *_: object) -> None:
        raise Refused(f"{network} with {weights}")

    monkeypatch.setattr("workbench.inference.finder.open_finder", opened)
    monkeypatch.setattr("workbench.inference.sources.find_sources", lambda *_: [])
    assert main([*command.split(), "--weights", "w.pth"]) == 2
    assert "nano with w.pth" in capsys.readouterr().err
