"""SCPI as text: errors, numbers with units, words, blocks of data, and where a message ends."""

import math
import re

__all__ = ["ERRORS", "ScpiError", "block", "flag", "message_end", "number", "short_form", "split", "word"]

ERRORS = {       # SCPI-99 volume 2, chapter 21
    -101: "Invalid character", -104: "Data type error", -108: "Parameter not allowed", -109: "Missing parameter",
    -113: "Undefined header", -114: "Header suffix out of range", -131: "Invalid suffix", -161: "Invalid block data",
    -200: "Execution error", -203: "Command protected", -221: "Settings conflict", -222: "Data out of range",
    -224: "Illegal parameter value", -240: "Hardware error", -241: "Hardware missing",
    -284: "Program currently running", -350: "Queue overflow",
}
_PREFIX = {"EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0, "M": 1e-3, "U": 1e-6, "N": 1e-9,
           "P": 1e-12, "F": 1e-15, "A": 1e-18}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:\s*E\s*[+-]?\d+)?)\s*([A-Z%]*)\s*", re.I)
_OTHER_BASE = {"#H": 16, "#Q": 8, "#B": 2}
_OPENING = re.compile(r"""["']|#[1-9]""")


class ScpiError(Exception):
    """A command that is refused, with its number for the error queue."""

    def __init__(self, code, detail=""):
        super().__init__(code, detail)
        self.code, self.detail = code, detail

    def __str__(self):
        return f'{self.code},"{ERRORS.get(self.code, "Device-specific error")}{"; " if self.detail else ""}{self.detail}"'


def split(text, separator):
    """Split at a separator that stands outside of strings and of definite blocks."""
    parts, start, at = [], 0, 0
    while True:
        stop, opening = text.find(separator, at), _OPENING.search(text, at)
        if stop < 0:
            return [*parts, text[start:]]
        if opening is None or opening.start() > stop:
            parts.append(text[start:stop])
            start = at = stop + 1
        else:
            at = _closing(text, opening)


def _closing(text, opening):
    """Where a string or a block that begins there ends."""
    if text[opening.start()] == "#":
        n, first = int(text[opening.start() + 1]), opening.end()
        length = text[first : first + n]
        return first + n + int(length) if length.isdigit() and len(length) == n else opening.end()
    end = text.find(text[opening.start()], opening.end())
    return len(text) if end < 0 else end + 1


def number(text, unit="", convert=None):
    """A number with an optional unit and prefix, in that unit.

    Parameters
    ----------
    text : str
        ``14dB``, ``1000 mV``, ``1.55E-6``, ``#HFF``.
    unit : str
        In capitals. ``M`` before ``HZ`` and ``OHM`` is mega, as in SCPI.
    convert : dict of str to callable, optional
        Other units that are accepted.

    Raises
    ------
    ScpiError
    """
    text = text.strip()
    infinite = {"INF": 9.9e37, "INFINITY": 9.9e37, "NINF": -9.9e37}.get(text.upper())      # SCPI's numbers for them
    if infinite:
        return infinite
    base = _OTHER_BASE.get(text[:2].upper())
    if base:
        try:
            return float(int(text[2:], base))
        except ValueError:
            raise ScpiError(-104, text) from None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ScpiError(-104, text)
    value, suffix = float(match[1].replace(" ", "")), match[2].upper()
    if not math.isfinite(value):
        raise ScpiError(-222, text)
    if suffix in (convert or {}):
        return convert[suffix](value)
    if not suffix:
        return value
    prefix = suffix.removesuffix(unit)
    if not unit or not suffix.endswith(unit) or prefix not in _PREFIX:
        raise ScpiError(-131, text)
    return value * (1e6 if prefix == "M" and unit in ("HZ", "OHM") else _PREFIX[prefix])


def block(text):
    """The data of an IEEE 488.2 block, ``#<d><length><bytes>`` or ``#0<bytes>``, from a latin-1 string."""
    text = text.lstrip()
    if text[:2] == "#0":
        return text[2:].encode("latin-1")
    n = int(text[1]) if re.match(r"#[1-9]", text) else 0
    length = text[2 : 2 + n]
    if not n or not length.isdigit() or len(text) < 2 + n + int(length):
        raise ScpiError(-161)
    return text[2 + n : 2 + n + int(length)].encode("latin-1")


def word(text, choices):
    """The choice (spelt like ``RISing``) that a word is the short or the long form of, in its short form."""
    text = text.strip().strip("\"'")
    for choice in choices:
        short = short_form(choice)
        if text.upper() in (short, choice.upper()):
            return short
    raise ScpiError(-224, text)


def flag(text):
    """ON, OFF or a number."""
    if text.strip().upper() in ("ON", "OFF"):
        return text.strip().upper() == "ON"
    return number(text) != 0


def short_form(keyword):
    """The short form of a keyword spelt like ``RISing``: its capitals."""
    return "".join(c for c in keyword if not c.islower())


def message_end(buffer):
    """Index of the LF that ends the first message, -1 where it has not come yet; LFs inside a block do not count."""
    at = 0
    while True:
        end, opening = buffer.find(b"\n", at), re.compile(rb"#[1-9]").search(buffer, at)
        if opening is None or (0 <= end < opening.start()):
            return end
        n = int(chr(buffer[opening.start() + 1]))
        length = bytes(buffer[opening.end() : opening.end() + n])
        if len(length) < n and end < 0:
            return -1
        at = opening.end() + n + int(length) if length.isdigit() and len(length) == n else opening.end()
        if at > len(buffer):
            return -1
