"""SCPI as the manuals have it: any spelling that they allow, and none that they do not."""

import re
import string

import pytest
from dialogue import ask, still
from hypothesis import given, settings
from hypothesis import strategies as st

from qkdlab.instruments.servers.scpi import ScpiDevice, ScpiError, block, number, split, word

PATTERNS = ("INPut#[:CHANnel#]:ATTenuation", "SENSe:CORRection[:LOSS[:INPut[:MAGNitude]]]", "[SOURce#:]BURSt[:STATe]",
            "OUTPut#[:STATe]", "SYSTem:SENSor:IDN")


class Toy(ScpiDevice):
    """Answers with the pattern that was understood, and the suffixes."""

    busy_s = 0.0

    def __init__(self):
        super().__init__(still(), "toy")
        for pattern in PATTERNS:
            self.tree.query(pattern, lambda *s, p=pattern: f"{PATTERNS.index(p)}:{','.join(map(str, s))}")
        self.tree.number("LEVel", unit="V", default=1.0, low=-2.0, high=5.0, step=0.25, show="{:g}".format)
        self.tree.choice("MODE", ("RISing", "FALLing"), default="RIS")
        self.tree.flag("GATE")
        self.tree.text("NAME")

    def remaining_s(self):
        return max(0.0, self.busy_s - self.world.clock.now())


def short(keyword):
    return "".join(c for c in keyword if not c.islower())


@st.composite
def spellings(draw):
    """A header of the toy in any allowed spelling: (text, index of the pattern, suffixes)."""
    index = draw(st.integers(0, len(PATTERNS) - 1))
    text, suffixes = PATTERNS[index], []
    while "[" in text:                           # innermost bracket first: keep it or leave it out
        inner = re.search(r"\[([^\[\]]*)\]", text)
        kept = draw(st.booleans())
        gone = inner[1].count("#") if not kept else 0
        text = text[: inner.start()] + (inner[1] if kept else "!" * gone) + text[inner.end() :]
    out = ""
    for part in re.findall(r"[A-Za-z]+|#|!|:", text):
        if part == "#":
            suffix = draw(st.sampled_from([None, 1, 2, 12]))
            suffixes.append(suffix or 1)
            out += str(suffix or "")
        elif part == "!":
            suffixes.append(1)
        elif part == ":":
            out += ":"
        else:
            spelt = draw(st.sampled_from([short(part), part]))
            out += "".join(draw(st.sampled_from([c.lower(), c.upper()])) for c in spelt)
    return draw(st.sampled_from(["", ":"])) + out.strip(":"), index, suffixes


@settings(deadline=None)
@given(spellings())
def test_every_allowed_spelling_is_understood(spelling):
    text, index, suffixes = spelling
    answer = ask(Toy(), text + "?")
    assert answer == f"{index}:{','.join(map(str, suffixes))}", text


@settings(deadline=None)
@given(st.sampled_from(["INPut", "ATTenuation", "SENSe", "CORRection", "OUTPut", "SYSTem"]), st.data())
def test_nothing_between_the_short_and_the_long_form(keyword, data):
    n = data.draw(st.integers(1, len(keyword) - 1).filter(lambda n: n != len(short(keyword))))
    known = {"INPut": "{}:ATT?", "ATTenuation": "INP:{}?", "SENSe": "{}:CORR?", "CORRection": "SENS:{}?",
             "OUTPut": "{}?", "SYSTem": "{}:SENS:IDN?"}[keyword]
    toy = Toy()
    assert ask(toy, known.format(keyword[:n])) == ""
    assert ask(toy, "SYST:ERR?").startswith("-113,")


@settings(deadline=None)
@given(st.text(string.printable, max_size=40))
def test_any_line_is_survived(line):
    toy = Toy()
    toy.exchange(line.encode() + b"\n")
    toy._own = None                              # a block may still wait for its bytes: a new connection
    assert ask(toy, "*IDN?") == toy.identity


@pytest.mark.parametrize(("text", "unit", "value"), [
    ("1", "V", 1), ("1V", "V", 1), ("1000mV", "V", 1), ("14dB", "DB", 14), ("14 DB", "DB", 14), ("1.55E-6", "M", 1.55e-6),
    ("1550NM", "M", 1550e-9), ("3000 GTB", "TB", 3e12), ("2MHZ", "HZ", 2e6), ("2 MAHZ", "HZ", 2e6), ("50ms", "S", 0.05),
    ("+.5e1", "", 5), ("-3.", "", -3), ("#HFF", "", 255), ("#B101", "", 5), ("#Q17", "", 15), ("1EXV", "V", 1e18),
    ("INF", "", 9.9e37)])
def test_numbers(text, unit, value):
    assert number(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(("text", "unit", "code"), [
    ("", "V", -104), ("abc", "V", -104), ("1..2", "V", -104), ("1W", "V", -131), ("1XV", "V", -131), ("1V", "", -131),
    ("#HXY", "", -104), ("1,2", "V", -104), ("1e", "V", -131), ("1e999", "V", -222)])
def test_numbers_that_are_none(text, unit, code):
    with pytest.raises(ScpiError) as caught:
        number(text, unit)
    assert caught.value.code == code


def test_limits_by_name_and_rounding():
    toy = Toy()
    assert ask(toy, "LEV?;LEV? MIN;LEV? MAXimum;LEV? DEF") == "1;-2;5;1"
    assert ask(toy, "LEV 3.3;LEV?;LEV MAX;LEV?;LEV MIN;LEV?;LEV -500mV;LEV?") == "3.25;5;-2;-0.5"
    assert ask(toy, "LEV 6;LEV?;SYST:ERR?") == '-0.5;-222,"Data out of range; 6"'


def test_words_and_switches():
    toy = Toy()
    assert ask(toy, "MODE FALLING;MODE?;MODE ris;MODE?;GATE ON;GATE?;GATE 0;GATE?;GATE 2;GATE?") == "FALL;RIS;1;0;1"
    assert ask(toy, "MODE FALLI;MODE?;SYST:ERR?") == 'RIS;-224,"Illegal parameter value; FALLI"'
    assert ask(toy, "NAME 'a;b,c';NAME?") == "a;b,c"
    assert word('"rising"', ("RISing",)) == "RIS"


def test_the_path_of_a_message():
    # ATT? after INP2:ATT? stays in INP2; a common command does not move, a colon goes back to the root
    assert ask(Toy(), "INP2:ATT?;ATT?;*OPC?;ATT?;:OUTP?") == "0:2,1;0:2,1;1;0:2,1;3:1"
    toy = Toy()
    assert ask(toy, "INP2:ATT?;:ATT?") == "0:2,1"
    assert ask(toy, "SYST:ERR?") == '-113,"Undefined header; ATT?"'


def test_errors_wait_in_line_and_overflow():
    toy = Toy()
    assert ask(toy, "SYST:ERR?") == '0,"No error"'
    ask(toy, "FOO;:BAR 3;:LEV")
    assert [ask(toy, "SYST:ERR:NEXT?").split(",")[0] for _ in range(4)] == ["-113", "-113", "-109", "0"]
    ask(toy, "LEV 1,2")
    assert ask(toy, "SYST:ERR?").startswith("-108")
    for _ in range(40):
        ask(toy, "FOO")
    errors = [ask(toy, "SYST:ERR?") for _ in range(31)]
    assert errors[29] == '-350,"Queue overflow"' and errors[30].startswith("0,")
    ask(toy, "FOO;:FOO;*CLS")
    assert ask(toy, "SYST:ERR?").startswith("0,")


def test_status_registers():
    toy = Toy()
    assert ask(toy, "*ESR?;*ESR?") == "128;0"                # power on, read once
    ask(toy, "FOO")
    assert ask(toy, "*STB?;*ESE 32;*STB?;*SRE 32;*STB?;*ESE?;*SRE?") == "4;36;100;32;32"
    assert ask(toy, "*ESR?;*STB?") == "32;4"
    ask(toy, "LEV 9;*OPC")
    assert ask(toy, "*ESR?") == "17"


def test_waiting_commands_hold_up_what_follows():
    toy = Toy()
    toy.busy_s = 3.0
    assert ask(toy, "*OPC?;LEV?") == "1;1" and toy.world.clock.now() == pytest.approx(3.0, abs=0.01)
    toy.busy_s = 5.0
    assert ask(toy, "LEV 2;*WAI;LEV?") == "2" and toy.world.clock.now() == pytest.approx(5.0, abs=0.02)


def test_reset_forgets_and_identifies():
    toy = Toy()
    assert ask(toy, "LEV 2;*RST;LEV?;*IDN?;*TST?") == f"1;{toy.identity};0"


def test_blocks():
    assert block("#15ab\ncd") == b"ab\ncd" and block("#0abc") == b"abc" and block("#210" + "x" * 12) == b"x" * 10
    for wrong in ("#19ab", "abc", "#2x", "#"):
        with pytest.raises(ScpiError):
            block(wrong)
    assert split('a,"b,c",#13,,,,d', ",") == ["a", '"b,c"', "#13,,,", "d"]


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(1, 7))
def test_a_block_with_any_bytes_arrives_in_any_pieces(data, pieces):
    got = []
    toy = Toy()
    toy.tree.command("DATA", lambda text: got.append(block(text)))
    size = str(len(data))
    message = f"DATA #{len(size)}{size}".encode() + data + b"\n*IDN?\n"
    answers = b"".join(toy.exchange(message[i : i + pieces]) for i in range(0, len(message), pieces))
    assert got == [data] and answers.decode().strip() == toy.identity
