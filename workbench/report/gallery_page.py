"""The page of a gallery: one file that loads nothing, with filters by persons' size, crowding and disagreement.

Every image is in the page once, and every row draws its persons over it as vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from workbench.core.keypoints import Skeleton
from workbench.report.gallery import SURE, Gallery, ShownImage, ShownPerson
from workbench.report.names import row_name

THIRDS = ("low", "middle", "high")
TILES_WIDTH = 1480  # pixels
_SIDES: tuple[str, ...] = ("left", "right", "middle")
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 1.5rem; }
h1 { font-size: 1.35rem; margin: 0 0 .2rem; } p { margin: .2rem 0 .8rem; max-width: 70rem; color: #555; }
form { position: sticky; top: 0; background: #fffffff2; padding: .5rem 0; z-index: 1; border-bottom: 1px solid #ddd; }
form label { margin-right: 1.1rem; white-space: nowrap; } form div { margin: .2rem 0; }
article { margin: 1.1rem 0; } h2 { font-size: .95rem; font-weight: 600; margin: 0 0 .3rem; }
section { display: flex; flex-wrap: wrap; gap: .5rem; }
figure { margin: 0; width: var(--side); } figcaption { font-size: 12.5px; line-height: 1.3; overflow-wrap: anywhere; }
figure svg { width: 100%; height: auto; display: block; background: #eee; } b { font-weight: 600; }
path { fill: none; stroke-linecap: round; stroke-linejoin: round; }
.halo { stroke: #000; stroke-opacity: .55; }
.left { stroke: #ff7d1a; } .right { stroke: #2aa8ff; } .middle { stroke: #5fdc5f; }
g:hover .halo { stroke: #fff; stroke-opacity: .9; }
"""
_SCRIPT = """
(() => {
  const form = document.forms[0], main = document.querySelector('main'), all = [...main.children];
  const show = () => {
    const order = form.sort.value, up = order === 'number' || order === 'quality' ? 1 : -1;
    all.sort((a, b) => up * (a.dataset[order] - b.dataset[order])).forEach(one => main.append(one));
    let count = 0;
    for (const one of all) {
      const kept = ['size', 'crowd', 'differ'].every(by => !form[by].value || one.dataset[by] === form[by].value);
      one.hidden = !kept;
      count += kept;
    }
    document.querySelector('output').value = count + ' of ' + all.length + ' images';
    for (const box of form.querySelectorAll('[name=row]'))
      for (const one of document.querySelectorAll('[data-row="' + box.value + '"]')) one.hidden = !box.checked;
    document.body.style.setProperty('--side', form.side.value + 'px');
  };
  form.addEventListener('input', show);
  show();
})();
"""


class _Filter(NamedTuple):
    """What images are filtered by: a number of theirs, by the third that it lies in."""

    name: str
    said: str
    number: Callable[[ShownImage], float]
    written: str  # how the number is written

    def cuts(self, images: Sequence[ShownImage]) -> tuple[float, float]:
        """Where the lower third ends, and the middle one."""
        low, high = np.quantile([self.number(one) for one in images], (1 / 3, 2 / 3))
        return float(low), float(high)

    def select(self, images: Sequence[ShownImage]) -> str:
        """The element that chooses a third."""
        low, high = map(self.written.format, self.cuts(images))
        words = zip(THIRDS, (f"up to {low}", f"{low} to {high}", f"above {high}"), strict=True)
        options = "".join(f'<option value="{third}">{text}</option>' for third, text in words)
        return f'<label>{self.said} <select name="{self.name}"><option value="">all</option>{options}</select></label>'

    def third(self, one: ShownImage, images: Sequence[ShownImage]) -> str:
        low, high = self.cuts(images)
        return THIRDS[(self.number(one) > low) + (self.number(one) > high)]


_FILTERS = (
    _Filter("size", "persons' height", lambda one: one.height, "{:.0f} px"),
    _Filter("crowd", "crowding", lambda one: one.crowding, "{:.2f}"),
    _Filter("differ", "rows apart", lambda one: one.apart, "{:.2f} OKS"),
)
_ORDERS = (("apart", "most apart first"), ("quality", "worst first"), ("number", "by number"))


def gallery_page(found: Gallery) -> str:
    """The whole page as HTML."""
    trunk = f", trunk {escape(found.trunk)}" if found.trunk else ""
    title = escape(f"{found.name}: gallery")
    pictures = "".join(
        f'<image id="p{one.number}" width="{one.size[1]}" height="{one.size[0]}" href="{one.picture}"/>'
        for one in found.images
    )
    articles = "".join(_article(one, found) for one in found.images)
    return (
        f'<!doctype html>\n<html lang=en><head><meta charset="utf-8"><title>{title}</title>'
        f'<style>{_STYLE}</style></head><body style="--side:{_side(found)}px"><h1>{escape(found.question)}</h1>'
        f"<p>{escape(found.name)}, seed {found.seed}{trunk}. Half of the images are those on which the rows disagree "
        "most, the others lie over the whole range. OKS is the mean over the labelled persons of an image, of the best "
        f"detection of each; shown are persons found with a score of {SURE:g} or more. Orange is a person's left, blue "
        f"the right. Point at a person for its score.</p>{_controls(found)}"
        f'<svg width="0" height="0" style="position:absolute"><defs>{pictures}</defs></svg>'
        f"<main>{articles}</main><script>{_SCRIPT}</script></body></html>\n"
    )


def _controls(found: Gallery) -> str:
    rows = "".join(
        f'<label><input type="checkbox" name="row" value="{i}" checked> {escape(row)}</label>'
        for i, row in enumerate(("ground truth", *map(row_name, found.rows)))
    )
    filters = "".join(one.select(found.images) for one in _FILTERS)
    orders = "".join(f'<option value="{name}">{said}</option>' for name, said in _ORDERS)
    order = f'<label>order <select name="sort">{orders}</select></label>'
    side = f'<label>width <input type="range" name="side" min="120" max="640" value="{_side(found)}"></label>'
    return f"<form><div>{rows}</div><div>{filters}{order}{side}<output></output></div></form>"


def _side(found: Gallery) -> int:
    """Pixels of a tile with which all rows stand beside each other in a window of usual width."""
    return min(320, max(140, TILES_WIDTH // (len(found.rows) + 1)))


def _article(one: ShownImage, found: Gallery) -> str:
    numbers = {"number": one.number, "apart": one.apart, "quality": float(np.mean(list(one.quality.values())))}
    thirds = {by.name: by.third(one, found.images) for by in _FILTERS}
    data = "".join(f' data-{name}="{value}"' for name, value in {**numbers, **thirds}.items())
    persons = f"{one.persons} person{'s' * (one.persons != 1)}, {one.height:.0f} px high, crowding {one.crowding:.2f}"
    tiles = [_tile(0, one, one.truth, found.skeleton, "<b>ground truth</b>")]
    for i, row in enumerate(found.rows, 1):
        said = f"<b>{escape(row_name(row))}</b><br>OKS {one.quality[row]:.2f}, {len(one.found[row])} shown"
        tiles.append(_tile(i, one, one.found[row], found.skeleton, said))
    head = f"image {one.number}: {persons}, rows {one.apart:.2f} OKS apart"
    return f"<article{data}><h2>{head}</h2><section>{''.join(tiles)}</section></article>\n"


def _tile(row: int, one: ShownImage, persons: Sequence[ShownPerson], skeleton: Skeleton, said: str) -> str:
    height, width = one.size
    drawn = "".join(_person(person, skeleton, max(height, width) / 110) for person in persons)
    svg = f'<svg viewBox="0 0 {width} {height}"><use href="#p{one.number}"/>{drawn}</svg>'
    return f'<figure data-row="{row}">{svg}<figcaption>{said}</figcaption></figure>'


def _person(person: ShownPerson, skeleton: Skeleton, stroke: float) -> str:
    """Limbs and key points of each side as paths, over a dark rim that keeps them legible on any ground."""
    lines, dots = dict.fromkeys(_SIDES, ""), dict.fromkeys(_SIDES, "")
    points = [f"{x:.1f} {y:.1f}" for x, y in person.keypoints.tolist()]
    for a, b in skeleton.limbs:
        if person.there[a] and person.there[b]:
            lines[_limb_side(skeleton, a, b)] += f"M{points[a]}L{points[b]}"
    for k, point in enumerate(points):
        if person.there[k]:
            dots[skeleton.side(k) or "middle"] += f"M{point}h0"
    paths = [(path, "halo", 2.0 * stroke) for path in ["".join(lines.values())] if path]
    paths += [(path, side, stroke) for side, path in lines.items() if path]
    paths += [(path, side, 2.0 * stroke) for side, path in dots.items() if path]
    title = "" if person.score is None else f"<title>score {person.score:.2f}</title>"
    drawn = "".join(f'<path class="{side}" stroke-width="{width:.2f}" d="{path}"/>' for path, side, width in paths)
    return f'<g transform="translate(.5 .5)">{title}{drawn}</g>'  # 0 is the middle of the first pixel


def _limb_side(skeleton: Skeleton, a: int, b: int) -> str:
    """A limb is of a side where none of its ends is of the other one."""
    sides = {side for side in (skeleton.side(a), skeleton.side(b)) if side}
    return sides.pop() if len(sides) == 1 else "middle"
