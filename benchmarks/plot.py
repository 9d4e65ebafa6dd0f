"""A report as a picture (SVG): one bar for each peer, as long as qkdlab is times as fast, and the rates with their goals."""

import math
from html import escape

from qkdlab.benchmarks.table import short

__all__ = ["svg"]

_BAR, _LEFT, _WIDTH, _GAP = 18, 330, 430, 34
_INK, _OURS, _MARK, _RULE = "#222222", "#2b6cb0", "#c05621", "#d5d5d5"


def svg(report):
    """The picture of a report of :func:`qkdlab.benchmarks.run`.

    Returns
    -------
    str
        An SVG document.
    """
    rates = [(row["name"], row["rate"], row["goal"], f"{short(row['rate'])} M {row['unit']}/s") for row in report["rows"]]
    ratios = []
    for row in report["rows"]:
        goal = dict([reversed(row["goal_over"])]) if row["goal_over"] else {}
        ratios += [(f"{row['name']} / {name}", peer["ratio"], goal.get(name), f"{short(peer['ratio'])} x")
                   for name, peer in row["peers"].items() if "ratio" in peer]
    machine = report["machine"]
    parts, y = [], 24
    for title, bars in (("Million a second of CPU time, one thread", rates), ("Times as fast as", ratios)):
        if bars:
            drawn, y = _panel(title, bars, y)
            parts += drawn
    parts.append(_text(10, y, f"{machine['processor']}, {machine['instructions']} kernels; a mark shows the goal", size=11))
    width = _LEFT + _WIDTH + 150
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 12}" viewBox="0 0 {width} {y + 12}" '
            f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def _panel(title, bars, y):
    """Bars on a logarithmic scale; returns the elements and where the next panel begins."""
    values = [value for _, value, goal, _ in bars] + [goal for _, _, goal, _ in bars if goal]
    low, high = math.floor(math.log10(min(values)) - 0.01), math.ceil(math.log10(max(values)) + 0.01)

    def x(value):
        return _LEFT + _WIDTH * (math.log10(value) - low) / (high - low)

    parts, top = [_text(10, y, title, size=15, weight="bold")], y + 24
    bottom = top + _BAR * len(bars)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" y1="{top}" x2="{at:.1f}" y2="{bottom}" stroke="{_RULE}"/>')
        parts.append(_text(at, top - 4, f"{10.0**power:g}", size=10, anchor="middle"))
    for i, (name, value, goal, label) in enumerate(bars):
        middle = top + _BAR * i
        parts.append(_text(_LEFT - 8, middle + 13, name, size=11, anchor="end"))
        parts.append(f'<rect x="{_LEFT}" y="{middle + 3}" width="{x(value) - _LEFT:.1f}" height="{_BAR - 6}" '
                     f'fill="{_OURS}"/>')
        end = max(x(value), x(goal) if goal else 0)
        if goal:
            parts.append(f'<line x1="{x(goal):.1f}" y1="{middle}" x2="{x(goal):.1f}" y2="{middle + _BAR}" stroke="{_MARK}" '
                         f'stroke-width="3"/>')
        parts.append(_text(end + 6, middle + 13, label, size=11))
    return parts, bottom + _GAP


def _text(x, y, text, *, size, anchor="start", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{_INK}">'
            f'{escape(text)}</text>')
