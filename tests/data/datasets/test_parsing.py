"""Annotation files read piece by piece: the same as the parser of the standard library reads at once."""

import json
from pathlib import Path

import pytest

from tests.data.datasets.animals import animals, labelled
from workbench.core.errors import Refused
from workbench.data.datasets import parsing
from workbench.data.datasets.folder import open_dataset
from workbench.data.datasets.parsing import Parsed, parsed


@pytest.mark.parametrize("part", [1, 2, 3, 7, 64, 1 << 22])
@pytest.mark.parametrize("indent", [None, 1])
def test_it_is_the_same_in_pieces_of_any_length(
    part: int, indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"n": 123456, "x": -1.5e-7, **labelled(2, 1), "info": {"ä": ['\\"]', True, None]}, "last": 42}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(made, indent=indent, ensure_ascii=False), "utf-8")
    monkeypatch.setattr(parsing, "READ_LENGTH", part)
    assert parsed(file, list) == Parsed(made["images"], made["categories"], made["annotations"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"images": [],\n "annotations": [{"id": 1}\n {"id": 2}]}', "Expecting ',': line 3 column 2"),
        ('{"images": [],\n "annotations": [{"id": 1', "line 2"),
        ('{"images": [], "annotations": [], "categories": []} x', "Extra data: line 1 column 53"),
        ('{"images": [], "annotations": []}', "no COCO annotation file; expected the lists images"),
        ("[1, 2]", "no COCO annotation file"),
        ("", "malformed JSON in a.json: Expecting value: line 1"),
    ],
)
@pytest.mark.parametrize("part", [1, 1 << 22])
def test_what_is_wrong_is_said_with_its_line(
    text: str, said: str, part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "READ_LENGTH", part)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(Refused, match=said):
        parsed(tmp_path / "a.json", list)


def test_marks_at_the_beginning_and_other_encodings_are_read(tmp_path: Path) -> None:
    root = animals(tmp_path)
    file = root / "annotations" / "person_keypoints_train2017.json"
    content = file.read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        file.write_text(content, encoding)
        assert len(open_dataset(root, "train")) == 4
