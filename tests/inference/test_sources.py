"""What users name as input, and where its drawing goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.core.errors import Refused
from workbench.inference.sources import STDIN, InputSource, find_sources, image_numbers

OUT = Path("out")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("photo.jpg", "shots/b.PNG", "shots/a.gif", "shots/deep/photo.jpg", "shots/.hidden.jpg", "shots/a.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("clips/one.mp4", "clips/two.mov", "clips/notes.txt", "out/old.jpg", "empty/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)


def named(*words: str, out: Path = OUT) -> list[tuple[str, str, str]]:
    return [(one.kind, one.name, one.place.as_posix()) for one in find_sources(words, out)]


def test_files_folders_and_patterns() -> None:
    assert named("photo.jpg") == [("picture", "photo.jpg", "photo.jpg")]
    assert named("shots") == [
        ("picture", "shots/a.gif", "a.gif.jpg"),
        ("picture", "shots/b.PNG", "b.PNG"),
        ("picture", "shots/deep/photo.jpg", "deep/photo.jpg"),
    ]
    assert named("clips/*.m*") == [("video", "clips/one.mp4", "one.mp4"), ("video", "clips/two.mov", "two.mp4")]
    assert named("**/*.mp4") == [("video", "clips/one.mp4", "one.mp4")]
    assert named("sh*") == named("shots")
    assert named("shots/a.txt") == [("picture", "shots/a.txt", "a.txt.jpg")]  # what is named is tried


def test_addresses_cameras_and_standard_input() -> None:
    assert named("https://example.org/x/my%20photo.png?size=2") == [
        ("picture", "https://example.org/x/my%20photo.png?size=2", "my photo.png")
    ]
    assert named("0", "-") == [("camera", "0", "camera0.mp4"), ("stdin", STDIN, "stdin.jpg")]
    Path("7").touch()
    assert named("7")[0][0] == "picture"  # a file of that name comes first


def test_each_is_taken_once_and_no_drawing_covers_another() -> None:
    assert named("photo.jpg", "photo.jpg", "shots/deep/photo.jpg") == [
        ("picture", "photo.jpg", "photo.jpg"),
        ("picture", "shots/deep/photo.jpg", "photo-2.jpg"),
    ]


def test_results_of_before_are_no_input() -> None:
    assert [name for _, name, _ in named(".")] == [
        "clips/one.mp4",
        "clips/two.mov",
        "photo.jpg",
        "shots/a.gif",
        "shots/b.PNG",
        "shots/deep/photo.jpg",
    ]


@pytest.mark.parametrize(
    ("words", "out", "said"),
    [
        ("none.jpg", "out", "none.jpg: no such file or folder; expected pictures, videos, folders"),
        ("no*.jpg", "out", r"no\*\.jpg: no file fits this pattern"),
        ("empty", "out", "empty: no picture or video in it; known endings are .jpg"),
        ("photo.jpg", ".", "-o .: the drawing of photo.jpg would be written over it"),
        ("shots", "shots", "-o shots: the drawing of shots/b.PNG would be written over it"),
    ],
)
def test_what_names_nothing_is_refused(words: str, out: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        find_sources(words.split(), Path(out))


def test_images_have_the_numbers_of_their_names_where_all_have_one() -> None:
    def numbers(*names: str) -> list[int]:
        return list(image_numbers([InputSource("picture", name, Path(name)) for name in names]).values())

    assert numbers("000000000139.jpg", "a/7.png") == [139, 7]
    assert numbers("a/7.png", "b/7.png") == [1, 2]
    assert numbers("7.png", "photo.jpg") == [1, 2]
    video = InputSource("video", "7.mp4", Path("7.mp4"))
    assert image_numbers([video, InputSource("picture", "3.jpg", Path("3.jpg"))]) == {"3.jpg": 3}
