"""The elements of a standalone picture (SVG)."""

from html import escape

__all__ = ["document", "line", "rect", "text"]

INK, RULE = "#222222", "#d5d5d5"


def document(parts, width, height, title):
    """A picture of these elements, on white; `title` is read to who cannot see it."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" role="img" aria-label="{escape(title)}">\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def line(x1, y1, x2, y2, *, colour=RULE, width=1):
    """A straight line; a thin grey one by default."""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def rect(x, y, width, height, *, colour):
    """A filled rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def text(x, y, words, *, size, anchor="start", weight="normal"):
    """Words, beginning, centred or ending (`anchor`: start, middle, end) at a place on their base line."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" fill="{INK}">'
            f'{escape(str(words))}</text>')
