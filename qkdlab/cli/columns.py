"""Tables in a terminal."""

__all__ = ["number", "table"]


def table(heads, rows):
    """Rows beneath their heads, in columns as wide as they need to be."""
    rows = [tuple(map(str, row)) for row in (heads, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def number(value):
    """A whole number with its thousands apart, a fraction to six digits; ``-`` where it is not known."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
