"""Lines over an axis as a standalone picture (SVG), without a plotting library."""

import math
from html import escape

from .palette import PALETTE
from .svg import document, line, text

__all__ = ["line_chart"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 440, 90, 190, 40, 60
COLOURS = (*(PALETTE[name] for name in ("blue", "vermillion", "green", "purple", "orange", "sky")), "#000000")
DASHES = ("none", "7 4", "2 3", "9 3 2 3")       # the second channel, for a print in black


def line_chart(lines, *, title="", x_label="", y_label="", log_y=False):
    """A chart of lines with points.

    Parameters
    ----------
    lines : dict of str to sequence of (float, float)
        Name of each line to its points; a y of None, and of 0 or less on a logarithmic axis, makes a gap.
    title, x_label, y_label : str
    log_y : bool

    Returns
    -------
    str
        An SVG document.
    """
    lines = {name: [(x, y if y is not None and math.isfinite(y) and (y > 0 or not log_y) else None) for x, y in points]
             for name, points in lines.items()}
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points if y is not None]
    parts = [text(LEFT, 22, title, size=15, weight="bold")]
    if not xs or not ys:
        parts.append(text(LEFT, HEIGHT / 2, "nothing to show: no point has a value", size=13))
        return document(parts, WIDTH, HEIGHT, title)
    y_of, y_ticks = (_log_axis if log_y else _axis)(min(ys), max(ys), HEIGHT - BOTTOM, TOP)
    x_of, x_ticks = _axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, tight=True)
    for tick in y_ticks:
        parts.append(line(LEFT, y_of(tick), WIDTH - RIGHT, y_of(tick)))
        parts.append(text(LEFT - 8, y_of(tick) + 4, _power_of_ten(tick) if log_y else f"{tick:g}", size=12, anchor="end"))
    for tick in x_ticks:
        parts.append(line(x_of(tick), TOP, x_of(tick), HEIGHT - BOTTOM))
        parts.append(text(x_of(tick), HEIGHT - BOTTOM + 18, f"{tick:g}", size=12, anchor="middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x_label, size=13, anchor="middle"))
    parts.append(f'<g transform="translate(20 {(TOP + HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)">'
                 + text(0, 0, y_label, size=13, anchor="middle") + "</g>")
    for i, (name, points) in enumerate(lines.items()):
        parts += _drawn(name, sorted(points, key=lambda p: p[0]), i, x_of, y_of)
    return document(parts, WIDTH, HEIGHT, title)


def _drawn(name, points, index, x_of, y_of):
    """One line with its points and its name in the legend."""
    colour, dash = COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)]
    stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
    parts, run = [], []
    for x, y in [*points, (0, None)]:
        if y is not None:
            run.append(f"{x_of(x):.1f},{y_of(y):.1f}")
        elif run:
            parts.append(f'<polyline points="{" ".join(run)}" {stroke}/>')
            run = []
    for x, y in points:
        if y is not None:
            parts.append(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3.5" fill="{colour}"><title>'
                         f'{escape(f"{name}: {x:g}, {y:g}")}</title></circle>')
    at, left = TOP + 18 * index + 10, WIDTH - RIGHT + 10
    if name:
        parts.append(f'<path d="M{left} {at - 4}h24" {stroke}/>')
        parts.append(text(left + 30, at, name, size=12))
    return parts


def _axis(low, high, start, stop, tight=False):
    """A linear axis: position of a value, and round ticks."""
    if high == low:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 7)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if not tight:
        low, high = first * step, last * step
    ticks = [round(i * step, 12) for i in range(first, last + 1) if low - 1e-9 * step <= i * step <= high + 1e-9 * step]
    return (lambda v: start + (stop - start) * (v - low) / (high - low)), ticks


def _log_axis(low, high, start, stop):
    """A logarithmic axis over whole decades."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    every = max(1, (last - first) // 8)
    ticks = [10.0**p for p in range(first, last + 1, every)]
    return (lambda v: start + (stop - start) * (math.log10(v) - first) / (last - first)), ticks


def _power_of_ten(value):
    return f"10{str(round(math.log10(value))).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
