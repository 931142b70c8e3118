"""`keypoints.json` of a data folder: every part in each of its forms, and each refusal in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.core.errors import Refused
from workbench.data.datasets.side_file import SideFile, read_side_file

NAMES = ("nose", "left_paw", "right_paw")


def side(folder: Path, content: Any) -> Path:
    (folder / "keypoints.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def given(**parts: Any) -> SideFile:
    return SideFile(Path("keypoints.json"), **parts)


@pytest.mark.parametrize("content", [None, {}])
def test_without_a_file_nothing_is_said(tmp_path: Path, content: Any) -> None:
    if content is not None:
        side(tmp_path, content)
    found = read_side_file(tmp_path)
    assert found == SideFile(tmp_path / "keypoints.json")
    assert found.sigmas_of(NAMES) is found.flip_of(NAMES) is found.limbs_of(NAMES) is None


def test_every_part_is_read(tmp_path: Path) -> None:
    pairs = [["left_paw", "right_paw"]]
    side(tmp_path, {"set": "coco", "names": NAMES, "sigmas": 0.1, "pairs": pairs, "limbs": []})
    assert read_side_file(tmp_path) == SideFile(tmp_path / "keypoints.json", "coco", NAMES, 0.1, pairs, [])


@pytest.mark.parametrize(
    ("sigmas", "expected"),
    [
        (0.05, (0.05, 0.05, 0.05)),
        ([0.1, 0.2, 0.3], (0.1, 0.2, 0.3)),
        ({"right_paw": 0.3, "nose": 0.1, "left_paw": 0.2}, (0.1, 0.2, 0.3)),
    ],
)
def test_constants_of_all_in_order_or_by_name(sigmas: Any, expected: tuple[float, ...]) -> None:
    assert given(sigmas=sigmas).sigmas_of(NAMES) == expected


def test_pairs_and_limbs_are_indices() -> None:
    assert given(pairs=[["right_paw", "left_paw"]]).flip_of(NAMES) == (0, 2, 1)
    assert given(pairs=[]).flip_of(NAMES) == (0, 1, 2)
    assert given(limbs=[["nose", "left_paw"], ["right_paw", "nose"]]).limbs_of(NAMES) == ((0, 1), (2, 0))
    assert given(limbs=[]).limbs_of(NAMES) == ()


LIST = ", ".join(NAMES)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"sigmas": [0.1, 0.2]}, f"2 sigmas for 3 key points ({LIST})"),
        ({"sigmas": []}, f"0 sigmas for 3 key points ({LIST})"),
        ({"sigmas": {"nose": 0.1}}, "sigmas without left_paw, right_paw; give one for each key point"),
        ({"sigmas": {"hoof": 0.1}}, f"sigmas speak of 'hoof'; there are {LIST}"),
        ({"sigmas": [0.1, 0.1, "big"]}, "sigma 'big': expected a number above 0 and below 1"),
        ({"sigmas": -1}, "sigma -1: expected a number above 0 and below 1"),
        ({"sigmas": 0}, "sigma 0: expected a number above 0 and below 1"),
        ({"sigmas": 1}, "sigma 1: expected a number above 0 and below 1"),
        ({"sigmas": True}, "sigma True: expected a number above 0 and below 1"),
        ({"sigmas": float("nan")}, "sigma nan: expected a number above 0 and below 1"),
        ({"pairs": [["left_paw", "hoof"]]}, f"pairs speak of 'hoof'; there are {LIST}"),
        ({"pairs": [["left_paw", ["right_paw"]]]}, f"pairs speak of ['right_paw']; there are {LIST}"),
        (
            {"pairs": [["left_paw", "right_paw"], ["right_paw", "nose"]]},
            "pairs have 'right_paw' with 'nose'; give each key point once",
        ),
        ({"pairs": [["nose", "nose"]]}, "pairs have 'nose' with 'nose'; give each key point once"),
        ({"pairs": ["nose"]}, "pairs ['nose']; expected a list of two names each"),
        ({"pairs": {"left_paw": "right_paw"}}, "pairs {'left_paw': 'right_paw'}; expected a list of two names each"),
        ({"limbs": [["nose", "hoof"]]}, f"limbs speak of 'hoof'; there are {LIST}"),
        ({"limbs": [["nose"]]}, "limbs [['nose']]; expected a list of two names each"),
        ({"limbs": 3}, "limbs 3; expected a list of two names each"),
    ],
)
def test_what_does_not_fit_the_names_is_refused(tmp_path: Path, parts: dict[str, Any], said: str) -> None:
    found = read_side_file(side(tmp_path, parts))
    with pytest.raises(Refused) as refused:
        _ = found.sigmas_of(NAMES), found.flip_of(NAMES), found.limbs_of(NAMES)
    assert str(refused.value) == f"{tmp_path / 'keypoints.json'}: {said}"


PARTS = "expected an object with some of set, names, sigmas, pairs, limbs"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", " can not be read: Expecting property name"),
        ("", " can not be read: Expecting value"),
        ("[" * 100_000, " can not be read: "),
        ([], f" has list; {PARTS}"),
        ("null", f" has NoneType; {PARTS}"),
        ({"sigma": [0.1], "names": ["a"]}, f" has ['sigma']; {PARTS}"),
        ({"names": "nose"}, ": names nose; expected a list of words"),
        ({"names": ["nose", 2]}, ": names ['nose', 2]; expected a list of words"),
        ({"names": []}, ": names []; expected a list of words"),
        ({"names": ["a", "a"]}, ": key-point name 'a' stands 2 times; give each once"),
        ({"names": ["a,b"]}, ": key-point name 'a,b': expected words without a comma"),
        ({"set": 17}, ": set 17; expected the name of a key-point set"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_side_file_is_refused(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(Refused) as refused:
        read_side_file(side(tmp_path, content))
    assert str(refused.value).startswith(f"{tmp_path / 'keypoints.json'}{said}")


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keypoints.json").write_bytes(b'{"set": "\xff"}')
    with pytest.raises(Refused, match=r"keypoints\.json can not be read: 'utf-8' codec can't decode"):
        read_side_file(tmp_path)
    (tmp_path / "keypoints.json").unlink()
    (tmp_path / "keypoints.json").mkdir()
    with pytest.raises(Refused, match=r"keypoints\.json can not be read: .*Is a directory"):
        read_side_file(tmp_path)
