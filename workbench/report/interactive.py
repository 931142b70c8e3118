"""A figure that answers the pointer: hover tells a mark's numbers, check boxes show and hide rows.

It is the SVG of the same figure, with a script of its own inside the page: nothing is loaded, and without scripts the
picture stands as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape

from workbench.report.drawing import Hover

_SCRIPT = """
(() => {
  const figure = document.currentScript.parentElement, marks = %s;
  const tip = figure.querySelector('.tip');
  const hidden = new Set();
  const groups = Object.entries(marks).map(([id, mark]) => [[...figure.querySelectorAll('[id="' + id + '"]')], mark]);
  for (const [nodes, [row, text]] of groups) for (const node of nodes) {
    node.setAttribute('class', 'mark');
    node.addEventListener('pointermove', event => {
      const box = figure.getBoundingClientRect();
      tip.textContent = text;
      tip.style.display = 'block';
      tip.style.left = Math.min(event.clientX - box.left + 12, box.width - 330) + 'px';
      tip.style.top = event.clientY - box.top + 14 + 'px';
    });
    node.addEventListener('pointerleave', () => { tip.style.display = 'none'; });
  }
  for (const box of figure.querySelectorAll('input')) box.addEventListener('change', () => {
    box.checked ? hidden.delete(box.value) : hidden.add(box.value);
    for (const [nodes, [row]] of groups) for (const node of nodes)
      node.style.display = hidden.has(row) ? 'none' : '';
  });
})();
"""
_HINT = "Point at a mark for its numbers; untick a row to hide it."
STYLE = """
.live { position: relative; margin: 1rem 0; } .live svg { width: 100%; height: auto; }
.live .mark { pointer-events: bounding-box; cursor: default; } .live .mark:hover { opacity: 0.6; }
.live .hint { margin: 0; font-size: 13.5px; color: #666; }
.live label { margin-right: 1rem; font-size: 13.5px; white-space: nowrap; }
.live .tip { display: none; position: absolute; max-width: 320px; background: #222; color: #fff; font-size: 13px;
  padding: 4px 8px; border-radius: 3px; pointer-events: none; z-index: 2; }
"""


def interactive(svg: str, hover: Hover, labels: Sequence[str], name: str) -> str:
    """The figure as a piece of a page.

    Args:
        svg: the figure. hover: filled while it was drawn.
        labels: rows in the order of the check boxes; those without a mark are left out.
        name: of the figure, so that the parts of two on one page are not taken for each other.
    """
    drawn = svg
    groups = {group: f"{name}-{group}" for group in hover.texts}
    for old, new in groups.items():
        drawn = drawn.replace(f'id="{old}"', f'id="{new}"')
    marks = {groups[group]: [hover.rows[group], text] for group, text in hover.texts.items()}
    there = set(hover.rows.values())
    boxes = "".join(
        f'<label><input type="checkbox" checked value="{escape(label)}"> {escape(label)}</label>'
        for label in labels
        if label in there
    )
    script = _SCRIPT % json.dumps(marks, ensure_ascii=False).replace("<", "\\u003c")
    above = f'<p class="hint">{_HINT}</p><div>{boxes}</div>'
    parts = [above, drawn, '<div class="tip"></div>', f"<script>{script}</script>"]
    return f'<div class="live">{"".join(parts)}</div>'
