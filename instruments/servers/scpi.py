"""SCPI as a device hears it: a tree of keywords, an error queue, IEEE 488.2 common commands.

A keyword is accepted in exactly its short form (the capitals of the pattern) or its long one, in any case. Patterns:
``[SOURce#:]BURSt[:STATe]``: brackets may be left out, ``#`` is a numeric suffix that may be left out for 1.
"""

import functools
import math
import re
from collections import deque

from .device import Device, Later
from .scpi_text import ScpiError, block, flag, message_end, number, short_form, split, word

__all__ = ["ScpiDevice", "ScpiError", "Tree", "block", "number", "split", "word"]

_HEADER = re.compile(r"(\S*)\s*(.*)", re.S)


def _pattern(pattern):
    """A keyword pattern as a regular expression over a header in capitals."""
    def node(match):
        short, long = short_form(match[1]), match[1].upper()
        return f"{short}(?:{long[len(short):]})?" if long.startswith(short) else f"(?:{short}|{long})"

    text = re.sub(r"([A-Za-z_]+)", node, pattern.lstrip(":").replace("#", "~").replace("*", r"\*"))
    return re.compile(text.replace("[", "(?:").replace("]", ")?").replace("~", r"(\d*)"))


class Tree:
    """The commands of a device.

    Handlers take the numeric suffixes (int, 1 where left out) as their first arguments. Values are kept by the tree
    unless `get` and `set` say otherwise. `low`, `high` and `default` may be functions of the suffixes.
    """

    def __init__(self):
        self._entries, self.values = [], {}
        self.find = functools.lru_cache(4096)(self._find)

    def command(self, pattern, run):
        """``HEADER arguments``: ``run(*suffixes, *arguments)``, arguments as text; gives None, text or a Later."""
        self._entries.append((_pattern(pattern), False, run))

    def query(self, pattern, run):
        """``HEADER? arguments``: as :meth:`command`."""
        self._entries.append((_pattern(pattern), True, run))

    def number(self, pattern, *, default, unit="", low=-math.inf, high=math.inf, step=None, show="{:.6E}".format,
               get=None, set=None, convert=None):
        """A number with limits, rounded to `step`; ``?`` takes MIN, MAX and DEF."""
        limits = {"MIN": low, "MAX": high, "DEF": default}

        def limit(name, suffixes):
            value = limits[name]
            return value(*suffixes) if callable(value) else value

        def write(*args):
            *suffixes, text = _arguments(args, 1)
            name = _limit_name(text)
            value = limit(name, suffixes) if name else number(text, unit, convert)
            if not limit("MIN", suffixes) <= value <= limit("MAX", suffixes):
                raise ScpiError(-222, text)
            value = round(value / step) * step if step and math.isfinite(value) else value
            if set:
                return set(*suffixes, value)
            self.values[pattern, tuple(suffixes)] = value

        def read(*args):
            suffixes = [a for a in args if isinstance(a, int)]
            if len(args) > len(suffixes):
                return show(limit(_limit_name(args[-1]) or _refuse(-224, args[-1]), suffixes))
            return show(get(*suffixes) if get else self.value(pattern, *suffixes, default=limit("DEF", suffixes)))

        self.command(pattern, write)
        self.query(pattern, read)

    def choice(self, pattern, choices, *, default, get=None, set=None):
        """One of some words; the answer is the short form."""
        self._value(pattern, lambda text: word(text, choices), str, default, get, set)

    def flag(self, pattern, *, default=False, get=None, set=None, show=lambda on: "1" if on else "0"):
        """ON or OFF."""
        self._value(pattern, flag, show, default, get, set)

    def text(self, pattern, *, default="", get=None, set=None):
        """Any word or string."""
        self._value(pattern, lambda text: text.strip().strip("\"'"), str, default, get, set)

    def _value(self, pattern, parse, show, default, get, set):
        def write(*args):
            *suffixes, text = _arguments(args, 1)
            value = parse(text)
            if set:
                return set(*suffixes, value)
            self.values[pattern, tuple(suffixes)] = value

        def read(*args):
            suffixes = _arguments(args, 0)
            return show(get(*suffixes) if get else self.value(pattern, *suffixes, default=default))

        self.command(pattern, write)
        self.query(pattern, read)

    def value(self, pattern, *suffixes, default=None):
        """A value that the tree keeps."""
        return self.values.get((pattern, suffixes), default)

    def _find(self, header):
        """(handler, suffixes) of a header as it was sent, without its ``:`` in front."""
        query = header.endswith("?")
        name = header.removesuffix("?").upper()
        for pattern, asks, run in self._entries:
            match = pattern.fullmatch(name) if asks == query else None
            if match:
                return run, tuple(int(s) if s else 1 for s in match.groups())
        raise ScpiError(-113, header)


def _limit_name(text):
    name = text.strip().upper()
    return {"MINIMUM": "MIN", "MAXIMUM": "MAX", "DEFAULT": "DEF"}.get(name, name if name in ("MIN", "MAX", "DEF") else None)


def _arguments(args, n):
    """Suffixes and exactly n arguments."""
    texts = sum(isinstance(a, str) for a in args)
    if texts != n:
        raise ScpiError(-109 if texts < n else -108)
    return list(args)


def _refuse(code, detail):
    raise ScpiError(code, detail)


class ScpiDevice(Device):
    """A device with a SCPI tree. Answers of one message come on one line, joined with ``;``.

    Attributes
    ----------
    identity : str
        Answer to ``*IDN?``.
    """

    identity = "qkdlab,simulated,0,1"
    joiner, terminator = ";", b"\n"

    def __init__(self, world, name):
        super().__init__(world, name)
        self.tree, self.errors = Tree(), deque()
        self._event, self._event_mask, self._service_mask = 128, 0, 0          # 128: just switched on
        self._common()

    def remaining_s(self):
        """World time until all that moves has arrived."""
        return 0.0

    def reset(self):
        """What ``*RST`` does beyond forgetting the values that the tree keeps."""

    # ---------------------------------------------------------------------------------------------------- bytes

    def frames(self, buffer):
        found = []
        while True:
            end = message_end(buffer)
            if end < 0:
                return found
            line = bytes(buffer[:end])
            del buffer[: end + 1]
            if line.strip():
                found.append(line)

    def answer(self, frame):
        return self._go_on(split(frame.decode("latin-1"), ";"), "", [])

    def _go_on(self, commands, path, answers):
        """Run the commands of a message from `commands` on; a Later where one has to wait."""
        for i, command in enumerate(commands):
            try:
                reply, path = self._run(command.lstrip(), path)
            except ScpiError as error:
                self.refuse(error)
                continue
            if isinstance(reply, Later):
                rest = functools.partial(self._resume, reply, commands[i + 1 :], path, answers)
                return Later(reply.remaining_s, rest)
            if reply is not None:
                answers = [*answers, reply]
        return self.reply(answers)

    def _resume(self, later, commands, path, answers):
        reply = later.answer()
        return self._go_on(commands, path, answers if reply is None else [*answers, reply])

    def reply(self, answers):
        """All answers of one message as bytes."""
        return self.joiner.join(answers).encode("latin-1") + self.terminator if answers else b""

    def refuse(self, error):
        """Put an error into the queue and its kind into the event register."""
        self._event |= {1: 32, 2: 16, 3: 8, 4: 4}.get(-error.code // 100, 8)
        if len(self.errors) < 30:
            self.errors.append(str(error))
        else:
            self.errors[-1] = str(ScpiError(-350))

    def _run(self, command, path):
        """One command; its answer and the subtree that the next one of the message starts from."""
        if not command:
            return None, path
        header, rest = _HEADER.fullmatch(command).groups()
        arguments = [a.lstrip() if "#" in a else a.strip() for a in split(rest, ",")] if rest.strip() else []
        if header.startswith("*"):
            full = header
        else:
            full = header[1:] if header.startswith(":") else path + header
            path = full[: full.rfind(":") + 1]
        run, suffixes = self.tree.find(full)
        try:
            reply = run(*suffixes, *arguments)
            return (reply if header.endswith("?") or isinstance(reply, Later) else None), path
        except TypeError as error:
            if error.__traceback__.tb_next is not None:          # raised inside the handler
                raise
            raise ScpiError(-108 if arguments else -109, header) from None

    # ------------------------------------------------------------------------------------------- common commands

    def _common(self):
        tree = self.tree
        tree.query("*IDN", lambda: self.identity)
        tree.command("*RST", self._reset)
        tree.command("*CLS", self._clear_status)
        tree.query("*OPC", lambda: Later(self.remaining_s, lambda: "1"))
        tree.command("*OPC", lambda: Later(self.remaining_s, self._complete))
        tree.command("*WAI", lambda: Later(self.remaining_s, lambda: None))
        tree.query("*ESR", self._event_status)
        tree.query("*STB", lambda: str(self._status()))
        tree.query("*TST", lambda: "0")
        tree.number("*ESE", default=0, low=0, high=255, step=1, show="{:.0f}".format,
                    get=lambda: self._event_mask, set=lambda v: setattr(self, "_event_mask", int(v)))
        tree.number("*SRE", default=0, low=0, high=255, step=1, show="{:.0f}".format,
                    get=lambda: self._service_mask, set=lambda v: setattr(self, "_service_mask", int(v) & ~64))
        tree.query("SYSTem:ERRor[:NEXT]", lambda: self.errors.popleft() if self.errors else '0,"No error"')
        tree.query("SYSTem:VERSion", lambda: "1999.0")

    def _reset(self):
        self.tree.values.clear()
        self.reset()

    def _clear_status(self):
        self.errors.clear()
        self._event = 0

    def _complete(self):
        self._event |= 1

    def _event_status(self):
        event, self._event = self._event, 0
        return str(event)

    def _status(self):
        status = (4 if self.errors else 0) | (32 if self._event & self._event_mask else 0)
        return status | (64 if status & self._service_mask else 0)
