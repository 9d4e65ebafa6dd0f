"""Tutorial on privacy amplification and authentication: a Toeplitz matrix at work, what Eve is left with, tags."""

import functools
import html
import math

import ipywidgets
import numpy as np
from bokeh.models import Range1d, Span

from qkdlab import Bits, proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.errors import BadInput
from qkdlab.palette import EXPECTED, PALETTE
from qkdlab.postprocessing import verify
from qkdlab.postprocessing.amplify import amplify

from ..live import figure_frame, legend_above, named_source
from ..live_figure import LiveFigure
from .parts import WIDTH, exercise, marked, panel, slider

__all__ = ["eve_after_hashing", "forgeries", "known_bits", "longest_key", "matrix", "new_message", "safe_length", "tag_of",
           "tags_needed", "toeplitz"]

_N, _SEEDS = 64, 200             # bits of the lesson's keys, matrices drawn for a mean
_TAG_BITS, _TRIES = 14, 20_000
_STYLE = f"""<style>
.qk-hash {{ display: grid; gap: 1px; font: 11px/15px ui-monospace, monospace; width: max-content; }}
.qk-hash span {{ width: 16px; height: 16px; text-align: center; color: var(--jp-ui-font-color2, #555);
  background: var(--jp-layout-color2, #eee); }}
.qk-hash .qk-one {{ background: {PALETTE["grey"]}; color: #fff; }}
.qk-hash .qk-used {{ background: {PALETTE["blue"]}; color: #fff; }}
.qk-hash .qk-key1 {{ background: {PALETTE["green"]}; color: #fff; }}
.qk-hash .qk-out1 {{ background: {PALETTE["vermillion"]}; color: #fff; }}
.qk-hash .qk-gap {{ background: none; }}
</style>"""


def matrix(n, length, seed):
    """The Toeplitz matrix by which the library hashes, read off its answers to keys with a single 1.

    Parameters
    ----------
    n, length : int
        Bits in and out.
    seed : array_like of 0 and 1
        ``n + length - 1`` of them.

    Returns
    -------
    ndarray of uint8, shape (length, n)
    """
    return np.array([amplify(Bits.from_numpy(row), length, seed).to_numpy() for row in np.eye(n, dtype=np.uint8)]).T


def toeplitz(n=28, seed=1):
    """A key, a matrix and the hash, with sliders for the length of the hash and for a bit of the key that is flipped.

    Parameters
    ----------
    n : int
        Bits of the key, drawn for the lesson.
    seed : int
        Of key and matrix.
    """
    rng = np.random.default_rng(seed)
    key, seeds = rng.integers(0, 2, n, dtype=np.uint8), rng.integers(0, 2, 2 * n - 1, dtype=np.uint8)
    picture = ipywidgets.HTML()

    def draw(length, flip):
        flipped = key ^ (np.arange(1, n + 1) == flip)
        used = seeds[: n + length - 1]
        before, after = (amplify(Bits.from_numpy(k), length, used).to_numpy() for k in (key, flipped))
        picture.value = _STYLE + _picture(matrix(n, length, used), flipped, after)
        changed = int((before != after).sum())
        return (f"{n} bits (green where 1) become {length} (orange where 1). The matrix needs a public seed of {len(used)} "
                "bits: along each diagonal it is constant." + (
                    f" <b>Flipping bit {flip} changes {changed} of {length} bits of the hash.</b>" if flip else ""))

    return panel(draw, picture, slider("bits of the hash", n // 2, 1, n, 1, whole=True),
                 slider("flip a bit of the key (0: none)", 0, 0, n, 1, whole=True))


def _picture(rows, key, out):
    """Key on top, the matrix below it (blue: its ones that meet a 1 of the key), the hash on the right."""
    n = len(key)
    cells = [f'<span class="{"qk-key1" if bit else ""}">{bit}</span>' for bit in key] + ['<span class="qk-gap"></span>'] * 2
    for row, bit in zip(rows, out, strict=True):
        cells += [f'<span class="{"qk-used" if one & k else "qk-one" if one else ""}"></span>'
                  for one, k in zip(row, key, strict=True)]
        cells += ['<span class="qk-gap"></span>', f'<span class="{"qk-out1" if bit else ""}">{bit}</span>']
    return (f'<div class="qk-hash" role="img" aria-label="Toeplitz matrix of {len(out)} rows" '
            f'style="grid-template-columns: repeat({n + 2}, 16px)">{"".join(cells)}</div>'
            '<p style="font-size:13px;line-height:1.4;margin:6px 0 0">Grey and blue squares: the ones of the matrix; '
            "blue where they meet a 1 of the key. A bit of the hash is 1 if the number of blue squares in its row is "
            "odd.</p>")


# ------------------------------------------------------------------------------------------------ what Eve knows


@functools.lru_cache(maxsize=64)
def known_bits(eve_bits, n=_N, seeds=_SEEDS):
    """Bits of the hash that Eve knows, mean over random matrices, if she knows `eve_bits` of the key's n bits for sure.

    To her the other bits are coins. The rows of the matrix, cut to these, say what she cannot know: as many bits as they
    have independent rows; all others follow from what she has.

    Parameters
    ----------
    eve_bits : int
        0 to n.

    Returns
    -------
    ndarray of float64, shape (n + 1,)
        For a hash of 0 ... n bits.

    Raises
    ------
    BadInput
        Where `eve_bits` is no whole number from 0 to n.
    """
    if not 0 <= eve_bits <= n or eve_bits != int(eve_bits):
        raise BadInput(f"a whole number from 0 to {n} is expected", field="eve_bits", value=eve_bits)
    rng, total = np.random.default_rng(11), np.zeros(n + 1)
    for rows in _matrices(n, seeds):
        unknown = rng.permutation(n)[int(eve_bits) :]
        total += np.arange(n + 1) - _ranks(rows[:, unknown])
    total.flags.writeable = False
    return total / seeds


@functools.lru_cache(maxsize=2)
def _matrices(n, seeds):
    rng = np.random.default_rng(12)
    return [matrix(n, n, rng.integers(0, 2, 2 * n - 1, dtype=np.uint8)) for _ in range(seeds)]


def _ranks(rows):
    """Rank over GF(2) of the first 0, 1, 2, ... rows."""
    pivots, ranks = {}, [0]
    for row in rows:
        value = int("".join(map(str, row.tolist())) or "0", 2)
        while value and value.bit_length() in pivots:
            value ^= pivots[value.bit_length()]
        if value:
            pivots[value.bit_length()] = value
        ranks.append(len(pivots))
    return np.array(ranks)


def eve_after_hashing(eve_bits=20):
    """How many bits of the hash Eve knows against its length, with a slider for what she knew of the key.

    Parameters
    ----------
    eve_bits : int
        Where the slider begins: bits, of 64, that Eve knows.
    """
    source = named_source("eve_after_hashing", "length", "known", "without")
    plot = figure_frame("What Eve knows of the hash", "bits known to Eve", x_label="length of the hash (bits)",
                        frame=((0, _N), (0, _N)))
    legend_above(plot, [
        ("after hashing", [plot.line("length", "known", source=source, color=PALETTE["vermillion"], line_width=2.5)]),
        ("had the key merely been cut short", [plot.line("length", "without", source=source, color=PALETTE["grey"],
                                                         line_dash=EXPECTED, line_width=2)])])
    edge = Span(location=0, dimension="height", line_color=PALETTE["green"], line_width=2)
    plot.add_layout(edge)
    live = LiveFigure(plot, label="bits of the hash known to Eve against its length")

    def draw(eve, length):
        known, lengths = known_bits(eve), np.arange(_N + 1)
        live.data(source, length=lengths, known=known, without=lengths * eve / _N)
        live.set(edge, location=length)
        return (f"Eve knows {eve} of {_N} bits. Of a hash of {length} bits (green line) she knows "
                f"<b>{known[length]:.3g}</b> on average; of {length} bits of the key itself it would be "
                f"{length * eve / _N:.1f}.")

    return panel(draw, live, slider("bits Eve knows", eve_bits, 0, _N, 1, whole=True),
                 slider("bits of the hash", 30, 0, _N, 1, whole=True))


@exercise("bits")
def longest_key(answer, eve_bits, most=0.01):
    """Check the longest hash (within 2 bits) of which Eve knows less than `most` bits on average."""
    known = known_bits(eve_bits)
    if not 0 <= answer <= _N or answer != int(answer):
        return f"A whole number from 0 to {_N} is expected.", False
    best = int(np.flatnonzero(known <= most).max())
    if known[int(answer)] > most:
        return f"Of {answer:g} bits Eve knows {known[int(answer)]:.3g} on average: too many.", False
    if answer < best - 2:
        return f"That is safe (she knows {known[int(answer)]:.2g} bits), but {best - answer:g} bits more are as well.", False
    return (f"Yes: {_N} - {eve_bits} = {_N - eve_bits} bits are unknown to her, and {_N - eve_bits - best} more are given "
            f"up so that an unlucky matrix does not matter. She knows {known[int(answer)]:.2g} bits."), True


@exercise("bits")
def safe_length(answer, source, report):
    """Check the length of the key (within 1 %) that the proof allows for the counts of a run.

    Parameters
    ----------
    answer : float
    source : SourceSettings
    report : dict
        Of a :class:`~qkdlab.Session`.
    """
    leak_bits = report["leak_bits"]
    counts = DecoyCounts(*(np.array(report["counts"][name]) for name in ("sent", "clicks", "errors")))
    bound = proofs.bound(counts, source, eps_sec=1e-9, eps_cor=1e-15, leak_bits=leak_bits)
    if abs(answer - bound.length) <= 0.01 * max(bound.length, 1):
        return (f"Yes: {bound.length:,} bits. {bound.s0:,.0f} from empty pulses, {bound.s1:,.0f} from single photons, a "
                f"phase error of at most {100 * bound.phase_error:.2f} %, {leak_bits:,.0f} bits said aloud."), True
    return (f"Not {answer:,.0f}. Single photons: {bound.s1:,.0f}, phase error {bound.phase_error:.4f}, empty pulses "
            f"{bound.s0:,.0f}, said aloud {leak_bits:,.0f}; some 300 bits more for the small print."), False


# ---------------------------------------------------------------------------------------------- authentication


def new_message(text, seed=1):
    """A message as Bits, and the seed (32 bytes) that two friends have agreed on in secret.

    Returns
    -------
    (Bits, bytes)
    """
    data = str(text).encode()
    return Bits.from_bytes(data, 8 * len(data)), np.random.default_rng(seed).bytes(verify.SEED_BYTES)


def tag_of(text="Bob: I measured slots 3, 17 and 42 in the key basis.", bits=32):
    """A message that can be edited, and its tag under a secret seed: watch it change.

    Parameters
    ----------
    text : str
    bits : int
        Length of the tag.
    """
    box = ipywidgets.Text(value=text, description="message", layout={"width": "auto"})
    box.continuous_update = True
    words = ipywidgets.HTML()
    first = verify.tag(*new_message(text), bits).hex()

    def draw(_change=None):
        now = verify.tag(*new_message(box.value), bits).hex()
        same = ("the tag that came with it: accepted" if now == first else
                f"not the tag that came with it ({first}): refused")
        words.value = marked(f"{'&#10003;' if now == first else '&#10007;'} tag <b>{html.escape(now)}</b>: {same}",
                             now == first)

    box.observe(draw, "value")
    draw()
    return ipywidgets.VBox([box, words], layout=ipywidgets.Layout(max_width=WIDTH))


@functools.lru_cache(maxsize=4)
def _agreements(tries=_TRIES, bits=_TAG_BITS):
    """In how many leading bits the tags of two given messages agree, under so many random seeds."""
    one, other = (new_message(text)[0] for text in ("pay Alice 10", "pay  Eve  99"))
    rng = np.random.default_rng(5)
    differ = np.empty(tries, np.int64)
    for k in range(tries):
        seed = rng.bytes(verify.SEED_BYTES)
        first, second = (int.from_bytes(verify.tag(message, seed, bits), "little") for message in (one, other))
        differ[k] = first ^ second
    return differ


def forgeries(bits=6):
    """How often a forged message has the right tag, counted and as proven, with a slider for the length of the tag."""
    lengths = np.arange(1, _TAG_BITS + 1)
    differ = _agreements()
    counted = np.array([np.count_nonzero(differ % (1 << int(t)) == 0) for t in lengths]) / len(differ)
    proven = np.array([float(verify.collision_bound(int(t), 128)) for t in lengths])
    source = named_source("forgeries", "bits", "counted", "proven")
    here = named_source("forgeries_here", "bits", "proven")
    plot = figure_frame("Does a forged message pass?", "share that passes", x_label="length of the tag (bits)",
                        y_axis_type="log", y_range=Range1d(2e-5, 1))
    legend_above(plot, [
        ("proven: at most", [plot.line("bits", "proven", source=source, color=PALETTE["blue"], line_width=2)]),
        (f"counted in {len(differ):,} tries", [plot.scatter("bits", "counted", source=source, size=8,
                                                            color=PALETTE["vermillion"])])])
    plot.scatter("bits", "proven", source=here, size=16, fill_alpha=0, line_color=PALETTE["green"], line_width=3)
    live = LiveFigure(plot, label="share of forged messages with the right tag against the tag's length")
    live.data(source, bits=lengths, counted=np.where(counted > 0, counted, np.nan), proven=proven)

    def draw(t):
        live.data(here, bits=[t], proven=[float(verify.collision_bound(t, 128))])
        seen = counted[t - 1] * len(differ)
        return (f"With {t} bits one forged message in {1 / proven[t - 1]:,.0f} passes at most; counted: {seen:,.0f} in "
                f"{len(differ):,}, give or take {np.sqrt(seen):.0f} by chance. When a key is ready the workbench compares "
                f"{verify.tag_bits(1e-15)} bits of such a hash: one in 10<sup>15</sup>.")

    return panel(draw, live, slider("bits of the tag", bits, 1, _TAG_BITS, 1, whole=True))


@exercise("bits")
def tags_needed(answer, per_second=1000.0, years=100.0, chance=1e-6):
    """Check the shortest tag with which Eve, who forges so often and so long, gets through with at most this chance."""
    tries = per_second * years * 365.25 * 86400
    if not 1 <= answer <= 128 or answer != int(answer):
        return "A whole number from 1 to 128 is expected.", False
    total = tries * float(verify.collision_bound(int(answer), 1 << 20))
    best = verify.tag_bits(chance / tries)
    if answer == best:
        return f"Yes: {tries:.2g} tries, each with a chance of {total / tries:.2g}, make {total:.2g} in all.", True
    return (f"With {answer:g} bits her {tries:.2g} tries have a chance of {min(total, 1):.2g} in all: "
            f"{'too many bits, fewer will do' if answer > best else 'more bits are needed'} "
            f"(log2 of the tries is {math.log2(tries):.1f})."), False
