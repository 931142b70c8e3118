"""Draws the packages by what they import, and measures the code.

    python -m docs.architecture

writes `docs/architecture.svg`, and the parts of `docs/architecture.md` between marks. Everything is read from source
texts: nothing is imported but the arrows that the tests hold.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from itertools import accumulate, pairwise
from statistics import fmean, median, quantiles

from tests.test_arrows import ARROWS, ROOT, edges, levels, package

PAGE, DRAWING = ROOT / "docs/architecture.md", ROOT / "docs/architecture.svg"
Function = ast.FunctionDef | ast.AsyncFunctionDef
Arrows = Mapping[str, set[str]]


def sources() -> dict[str, str]:
    """The text of every file of the package, by its path."""
    return {str(f.relative_to(ROOT)): f.read_text("utf-8") for f in sorted((ROOT / "workbench").rglob("*.py"))}


# The drawing

WIDTH, HEIGHT, STEP = 116, 34, 84  # of a box, and from level to level, in pixels
GAP, LANE = 26, 20  # between neighbours; what an arrow takes where it passes a level
SWEEPS = 8  # over the rows, until arrows cross seldom
Stop = tuple[str, str, int]  # where the arrow from one package to another passes a level; a box: its name twice
Place = tuple[float, float]


@cache
def module_arrows() -> dict[str, set[str]]:
    """Which modules of ours each module imports."""
    return edges()


@cache
def package_arrows() -> dict[str, set[str]]:
    """Which packages each package imports, by the imports of its modules."""
    found: dict[str, set[str]] = {}
    for module, others in module_arrows().items():
        place = package(module)
        found.setdefault(place, set()).update({package(other) for other in others} - {place})
    found.pop("outside", None)
    return found


def reached(arrows: Arrows) -> dict[str, set[str]]:
    """All that each node imports, by itself and through others."""
    found = {node: set(others) for node, others in arrows.items()}
    for middle in found:
        for others in found.values():
            if middle in others:
                others |= found[middle]
    return found


def direct(arrows: Arrows) -> dict[str, set[str]]:
    """The arrows that do not follow from others: what a drawing needs."""
    below = reached(arrows)
    return {node: others - set().union(*(below[other] for other in others)) for node, others in arrows.items()}


def drawing() -> str:
    """The packages as boxes, one row per level, with an arrow to each package that they import directly, as SVG."""
    arrows = direct(package_arrows())
    ways = _ways(arrows)
    at = _places(ways)
    boxes = [_box(node, *place) for (node, other, _), place in sorted(at.items()) if node == other]
    width = max(x for x, _ in at.values()) + WIDTH / 2 + GAP
    height = max(y for _, y in at.values()) + STEP / 2
    lines = [_line([at[stop] for stop in way]) for way in ways if len(way) > 1]
    return "\n".join([_HEAD.format(width=width, height=height), *lines, *boxes, "</svg>", ""])


_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}"
 viewBox="0 0 {width:g} {height:g}" font-family="sans-serif" font-size="14" text-anchor="middle">
<title>Packages by import level: each imports what its arrows lead to, and what lies below that</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#555"/></marker></defs>
<rect width="100%" height="100%" fill="white"/>"""


def _ways(arrows: Arrows) -> list[list[Stop]]:
    """Every box alone, and every arrow from box to box with a stop on each level between."""
    floor = levels(arrows)
    found: list[list[Stop]] = [[(node, node, floor[node])] for node in sorted(arrows)]
    for node in sorted(arrows):
        for other in sorted(arrows[node]):
            between = [(node, other, level) for level in range(floor[node] - 1, floor[other], -1)]
            found.append([(node, node, floor[node]), *between, (other, other, floor[other])])
    return found


def _places(ways: list[list[Stop]]) -> dict[Stop, Place]:
    """The centre of each stop. In sweeps over the rows, each stop moves to the mean of those that it is joined to."""
    joined: dict[Stop, set[Stop]] = {stop: set() for way in ways for stop in way}
    for way in ways:
        for upper, lower in pairwise(way):
            joined[upper].add(lower)
            joined[lower].add(upper)
    top = max(level for *_, level in joined)
    rows = [sorted(stop for stop in joined if stop[2] == level) for level in range(1, top + 1)]
    x: dict[Stop, float] = {}
    for row in rows:
        x |= _spread(row)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            row.sort(key=lambda stop: fmean([x[other] for other in joined[stop]] or [x[stop]]))
            x |= _spread(row)
    left = min(x.values()) - WIDTH / 2 - GAP
    return {stop: (x[stop] - left, (top - stop[2] + 0.5) * STEP) for stop in joined}


def _spread(row: list[Stop]) -> dict[Stop, float]:
    """The stops of a row beside each other, about 0."""
    widths = [WIDTH if node == other else LANE for node, other, _ in row]
    ends = list(accumulate(width + GAP for width in widths))
    return {stop: end - (width + GAP + ends[-1]) / 2 for stop, width, end in zip(row, widths, ends, strict=True)}


def _line(way: list[Place]) -> str:
    """A curve through the stops of an arrow, from the foot of its first box to the head of its last."""
    (x, y), half = way[0], HEIGHT / 2
    curve, y = f"M{x:g} {y + half:g}", y + half
    for i, (next_x, next_y) in enumerate(way[1:], start=2):
        head, bend = next_y - half, (next_y - half - y) / 2
        curve += f" C{x:g} {y + bend:g} {next_x:g} {head - bend:g} {next_x:g} {head:g}"
        x, y = next_x, head
        if i < len(way):
            y = next_y + half
            curve += f" L{x:g} {y:g}"
    return f'<path d="{curve}" fill="none" stroke="#555" marker-end="url(#tip)"/>'


def _box(name: str, x: float, y: float) -> str:
    shape = f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}" rx="5"'
    return f'{shape} fill="#e8f0fa" stroke="#3a6ea5"/><text x="{x:g}" y="{y + 5:g}">{escape(name)}</text>'


# The measures


def functions(text: str) -> list[Function]:
    """Every function of a source text, methods and inner ones included."""
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, Function)]


def length(function: Function) -> int:
    """Lines from its decorators to its end."""
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
    return (function.end_lineno or first) - first + 1


def typed(function: Function) -> bool:
    """Whether every argument and the result have a type; `self` and `cls` need none."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    named += [argument for argument in (given.vararg, given.kwarg) if argument]
    return function.returns is not None and all(a.annotation or a.arg in ("self", "cls") for a in named)


def twice() -> list[str]:
    """Public functions, classes and constants at the top of modules that bear one name in two modules."""
    where: dict[str, set[str]] = {}
    for path, text in sources().items():
        for name in _public(ast.parse(text)):
            where.setdefault(name, set()).add(path)
    return sorted(name for name, files in where.items() if len(files) > 1)


def _public(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = [target.id for target in targets if isinstance(target, ast.Name)]
        names += [node.name] if isinstance(node, Function | ast.ClassDef) else []
        yield from (name for name in names if not name.startswith("_"))


def measures() -> dict[str, str]:
    """What is counted, and the counts, as they stand on the page."""
    texts = sources()
    every = [function for text in texts.values() for function in functions(text)]
    lengths = [length(function) for function in every]
    public = [function for function in every if not function.name.startswith("_")]
    modules = {module: others for module, others in module_arrows().items() if module.startswith("workbench")}
    circles = sum(module in others for module, others in reached(modules).items())
    names = twice()
    return {
        "files, lines": f"{len(texts)}, {sum(text.count(chr(10)) for text in texts.values()):,}",
        "functions": f"{len(every):,}",
        "lines of a function: the median": f"{median(lengths):g}",
        "lines of a function: nine in ten have at most": f"{quantiles(lengths, n=10)[-1]:.0f}",
        "functions above 50 lines": f"{sum(lines > 50 for lines in lengths)}",
        "public functions with all types": f"{100 * sum(map(typed, public)) / len(public):.1f} %",
        "packages, import levels, arrows": _graph(package_arrows()),
        "modules, import levels, arrows": _graph(modules),
        "modules that import themselves through others": f"{circles}",
        "public names defined twice": ": ".join([f"{len(names)}", ", ".join(names)]).removesuffix(": "),
    }


def _graph(arrows: Arrows) -> str:
    return f"{len(arrows)}, {max(levels(arrows).values())}, {sum(map(len, arrows.values()))}"


def table() -> str:
    lines = ["| measure | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in measures().items())]
    return "\n".join(lines)


def arrow_list() -> str:
    """What each package may import, as the tests hold it, in the order of the levels."""
    lines = [f"{name:12} {', '.join(sorted(below)) or '-'}" for name, below in ARROWS.items() if name != "outside"]
    return "\n".join(["```text", *lines, "```"])


def with_part(text: str, name: str, part: str) -> str:
    """A page with `part` between the marks `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    start, stop = text.index(begin) + len(begin), text.index(end)
    return f"{text[:start]}\n{part}\n\n{text[stop:]}"


def with_arrows(text: str) -> str:
    """The page with the arrows as they are held today."""
    return with_part(text, "arrows", arrow_list())


def main() -> int:
    DRAWING.write_text(drawing(), "utf-8")
    page = with_arrows(PAGE.read_text("utf-8"))
    PAGE.write_text(with_part(page, "measures", table()), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
