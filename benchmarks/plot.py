"""A report as a picture (SVG): one bar for each peer, as long as qkdlab is times as fast, and the rates with their goals."""

import math

from qkdlab.benchmarks.table import short
from qkdlab.svg import document, line, rect, text

__all__ = ["svg"]

_BAR, _LEFT, _WIDTH, _GAP = 18, 370, 430, 34
_OURS, _MARK = "#2b6cb0", "#c05621"


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
    parts.append(text(10, y, f"{machine['processor']}, {machine['instructions']} kernels; a mark shows the goal", size=11))
    return document(parts, _LEFT + _WIDTH + 150, y + 12, "Speeds of the kernels beside their peers")


def _panel(title, bars, y):
    """Bars on a logarithmic scale; returns the elements and where the next panel begins."""
    values = [value for _, value, goal, _ in bars] + [goal for _, _, goal, _ in bars if goal]
    low, high = math.floor(math.log10(min(values)) - 0.01), math.ceil(math.log10(max(values)) + 0.01)

    def x(value):
        return _LEFT + _WIDTH * (math.log10(value) - low) / (high - low)

    parts, top = [text(10, y, title, size=15, weight="bold")], y + 24
    bottom = top + _BAR * len(bars)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(line(at, top, at, bottom))
        parts.append(text(at, top - 4, f"{10.0**power:g}", size=10, anchor="middle"))
    for i, (name, value, goal, label) in enumerate(bars):
        middle = top + _BAR * i
        parts.append(text(_LEFT - 8, middle + 13, name, size=11, anchor="end"))
        parts.append(rect(_LEFT, middle + 3, x(value) - _LEFT, _BAR - 6, colour=_OURS))
        end = max(x(value), x(goal) if goal else 0)
        if goal:
            parts.append(line(x(goal), middle, x(goal), middle + _BAR, colour=_MARK, width=3))
        parts.append(text(end + 6, middle + 13, label, size=11))
    return parts, bottom + _GAP
