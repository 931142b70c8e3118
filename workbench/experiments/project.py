"""A folder of one's own: a study, a search, a component, and the notebooks that reports are drawn by.

    FOLDER/studies/my_study.py, my_search.py
    FOLDER/components/my_neck.py
    FOLDER/reports/*.ipynb      pages are written beside them
    FOLDER/README.md, .gitignore

Commands that are run there find them, and write there: the package may be installed anywhere.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from workbench.core.errors import Refused
from workbench.core.files import write_whole

PAGES = Path(__file__).parents[1] / "pages"  # of an installed package
CHECKOUT_PAGES = Path(__file__).parents[2] / "reports"
PAGE_NOTEBOOKS = ("ablation", "persons", "search")  # what reports are drawn by; others are to be read

_STUDY = '''"""Does RTMO's neck pay over plain projections?  Run: workbench study my_study"""

from components.my_neck import PlainNeck

from workbench.presets import rtmo
from workbench.study import Better, Row, Study

STUDY = Study(
    name="my_study",
    question="Does RTMO's neck pay over plain projections?",
    source="a question of my own",
    base=rtmo("s"),
    rows=(
        Row("plain projections", {"neck": PlainNeck()}),
        Row("hybrid encoder"),
    ),
    claims=(
        Better("M1", "the encoder beats projections", "hybrid encoder", "plain projections", from_scratch=True),
    ),
    default="short",
    whole="they change the neck",
)
'''
_SEARCH = '''"""Do more bins or a deeper neck pay?  Run: workbench study my_search --budget 30m"""

from workbench.presets import rtmo
from workbench.space import Factor, Search

STUDY = Search(
    name="my_search",
    question="Do more bins or a deeper neck pay?",
    source="a question of my own",
    base=rtmo("s"),
    factors=(
        Factor("neck", {"deep": {}, "shallow": {"neck.depth": 0.0}}),
        Factor("bins", {n: {"coords.num_bins": (n, n + n // 3)} for n in (48, 96, 192)}),
    ),
)
'''
NECK = '''"""A 1x1 projection per level and nothing else: a neck of my own."""

from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from workbench.slots import Neck, Pyramid, Refused
from workbench.tensors import Level, Levels


@final
@dataclass(frozen=True, kw_only=True)
class PlainNeck(Neck):
    channels: int = 64
    keep: int = 2  # the coarsest levels handed on

    def check(self) -> None:
        if self.channels < 2 or self.keep < 1:
            raise Refused(f"PlainNeck: channels {self.channels}, keep {self.keep}; expected 2 and 1 or more")

    def build(self, levels: Levels) -> Pyramid:
        return _PlainNeck(self, levels)


class _PlainNeck(Pyramid):
    def __init__(self, spec: PlainNeck, levels: Levels) -> None:
        super().__init__()
        kept = levels[-spec.keep :]
        self.levels = tuple(Level(spec.channels, level.stride) for level in kept)
        self.project = nn.ModuleList(nn.Conv2d(level.channels, spec.channels, 1) for level in kept)

    def forward(self, feats: list[Tensor]) -> list[Tensor]:
        return [layer(x) for layer, x in zip(self.project, feats[-len(self.levels) :], strict=True)]
'''
_README = """# My studies

Run in this folder; what comes out stays in it: runs in `runs/`, pages in `reports/rendered/`.

    workbench study my_study --protocol smoke       # is all well? Without --protocol: the answer
    workbench report my_study --protocol smoke      # its page
    workbench study my_search --budget 30m          # searches a space
    workbench train nano --data FOLDER -o runs/one  # one network on a data set of your own
    workbench components                            # lists components/ as well
"""
_FILES = {
    "studies/my_study.py": _STUDY,
    "studies/my_search.py": _SEARCH,
    "components/my_neck.py": NECK,
    "README.md": _README,
    ".gitignore": "runs/\n__pycache__/\n",
}


def write_project(folder: Path) -> list[Path]:
    """Makes the folder and what lies in it; gives the paths.

    Raises:
        Refused: something is there already, or the folder cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there and not empty; name a new folder")
    try:
        return [*_texts(folder), *add_notebooks(folder / "reports")]
    except OSError as error:
        raise Refused(f"{folder}: {error.strerror}; name a folder that can be written to") from None


def _texts(folder: Path) -> list[Path]:
    for name, text in _FILES.items():
        with write_whole(folder / name) as part:
            part.write_text(text, "utf-8")
    return [folder / name for name in _FILES]


def add_notebooks(folder: Path) -> list[Path]:
    """Puts the notebooks of pages into a folder, those that are not there; gives the paths of these.

    They come from the package, or from the checkout that it is run from.
    """
    source = PAGES if PAGES.is_dir() else CHECKOUT_PAGES
    files = [source / f"{name}.ipynb" for name in PAGE_NOTEBOOKS]
    missing = [file for file in files if not (folder / file.name).exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(file, folder / file.name)) for file in missing]
