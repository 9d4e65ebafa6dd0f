"""What can go wrong, in words that name the place and the fix."""

__all__ = ["BadInput"]


class BadInput(ValueError):
    """A file, a setting or an argument that cannot be taken.

    Parameters
    ----------
    why : str
        What is wrong and what would be right, in one line.
    where : str, optional
        The file (and offset) or the table that holds it.
    field : str, optional
        The field's name.
    value : object, optional
        The offending value.
    """

    def __init__(self, why, *, where="", field="", value=None):
        self.why, self.where, self.field, self.value = why, str(where), field, value
        text = ": ".join(part for part in (self.where, field) if part)
        shown = "" if value is None else f" (got {_short(value)})"
        super().__init__(f"{text}: {why}{shown}" if text else f"{why}{shown}")

    def at(self, where):
        """The same complaint, placed in a file."""
        return BadInput(self.why, where=where, field=self.field, value=self.value)


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
