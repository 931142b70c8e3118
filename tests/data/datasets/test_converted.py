"""Foreign annotations as files in COCO's form."""

from pathlib import Path

from workbench.data.datasets.converted import converted


def test_it_is_made_once_while_its_sources_stay(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"made": len(made)}

    source = tmp_path / "labels.txt"
    source.write_text("0")
    first = converted("yolo", [source], make)
    assert converted("yolo", [source], make) == first and first.read_text() == '{"made": 1}'
    assert converted("yolo", [source], make, more="other names") != first
    source.write_text("0 1")
    assert converted("yolo", [source], make) != first and len(made) == 3
    assert first.parent == tmp_path / "home" / "data" / "converted"
