"""What kind of thing a word means that names a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.core.network_names import NetworkKind, check_no_onnx, check_weights, kind_of, row_of

RELEASES, PRESETS = ("rtmo-t", "rtmo-s-coco"), ("nano", "rtmo-t", "rtmo-s")


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("rtmo-s-coco", "release"),
        ("rtmo_s_coco", "release"),
        ("rtmo-t", "release"),
        ("rtmo-s", "preset"),
        ("nano", "preset"),
        ("a.pth", "file"),
        ("a.onnx", "onnx"),
        ("folder", "folder"),
        ("./nano", "folder"),
        ("https://host/a.pth", "file"),
        ("ablate_dcc:regression", "row"),
        ("ablate_dcc:static bins, KLD", "row"),
        ("stdc1-rtmo", "backbone"),
    ],
)
def test_a_word_means_one_kind_of_thing(
    what: str, kind: NetworkKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.pth", "a.onnx"):
        (tmp_path / name).touch()
    for name in ("folder", "nano"):  # a name is a name, whatever lies here
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert kind_of(what, RELEASES, PRESETS) == kind


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("rtmo-x", "no network 'rtmo-x'; there are nano, rtmo-t, rtmo-s; BACKBONE-rtmo, .* rtmo-s-coco; STUDY:ROW"),
        ("none.pth", "none.pth: no such file or folder; expected a file of weights, or the folder of a job"),
        ("ablate_nothing:regression", "no study is called 'ablate_nothing'; there are .*ablate_dcc"),
    ],
)
def test_what_means_nothing_is_refused_with_what_there_is(what: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        kind_of(what, RELEASES, PRESETS)


def test_a_row_is_a_study_and_a_label() -> None:
    assert row_of("ablate_dcc:a: b") == ("ablate_dcc", "a: b")


@pytest.mark.parametrize("kind", ["preset", "backbone", "row"])
def test_what_has_no_weights_says_what_to_do(kind: NetworkKind) -> None:
    with pytest.raises(
        Refused, match=r"x: .* has no weights; add a file that has some \(--weights FILE\), or name a rel"
    ):
        check_weights("x", kind, None)
    check_weights("x", kind, "a.pth")


@pytest.mark.parametrize("kind", ["file", "folder", "onnx"])
def test_what_has_weights_takes_no_others(kind: NetworkKind) -> None:
    check_weights("x", kind, None)
    with pytest.raises(Refused, match=r"x: has weights of its own; leave out the others \(a.pth\)"):
        check_weights("x", kind, "a.pth")


def test_released_weights_may_come_from_a_file() -> None:
    check_weights("rtmo-t", "release", None)
    check_weights("rtmo-t", "release", "a.pth")


def test_an_onnx_file_is_refused_with_the_reason() -> None:
    with pytest.raises(Refused, match=r"a\.onnx: an ONNX file has no parts to count; name what it was made from"):
        check_no_onnx("a.onnx", "onnx", "has no parts to count")
    check_no_onnx("a.pth", "file", "has no parts to count")
