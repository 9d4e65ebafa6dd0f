"""Random numbers on trial: a source in the sender's path, and an offline suite for bytes that were kept.

Under the hypothesis of fair independent bits the counts tested here follow binomial laws exactly (a bit and the one k later
are equal as often as a fair coin shows heads), so that the stated false-alarm levels hold for every length; only the
chi-square of bytes is asymptotic. Passing shows the absence of these faults, never the presence of entropy.
"""

import math
import threading

import numpy as np
from scipy.special import bdtr, bdtrc, chdtrc

from .choices import Choices, frequencies_depart
from .errors import BadInput
from .instruments.errors import DeviceError, InstrumentError
from .instruments.random_health import PROPORTION, REPEATS, WINDOW, HealthTest

__all__ = ["SourcedChoices", "assess", "health_levels", "text", "watched"]

FALSE_ALARM = 1e-6               # of the whole suite on fair bits (sum over its tests, Bonferroni)
BLOCK_FALSE_ALARM = 1e-9         # of each check of a block, as in qkdlab.choices: one honest block in a billion
LAGS = 64                        # 1 to LAGS bits: what a serial interface, a byte order or a slow amplifier would leave
LEAST_BYTES = 1280               # five expected of each byte: below that the chi-square means nothing
MOST_BYTES = 1 << 24             # of a file: 16 MiB, the rest is left out
LAG_BITS = 1 << 24               # bits of the lag correlation; more would only take time
ESTIMATED_BITS = 1_000_000       # of the estimates by collision and Markov: SP 800-90B, 3.1.1
_Z = 2.5758293035489004          # 99 % of a normal number lie within; SP 800-90B, 6.3
_BITS_PER_SLOT = 32              # 16 for the intensity, 15 for the basis, 1 for the bit: the rule of the encoder
_AT_ONCE = 1 << 16               # slots drawn together
WATCHED_BYTES = 1 << 14          # read for each block of a session on a bench
MOST_AHEAD = 1 << 26             # slots that a word of Bob's may draw: nobody makes Alice draw for ever


def assess(data, *, alpha=FALSE_ALARM):
    """Test bytes of a random source and estimate their min-entropy.

    Parameters
    ----------
    data : bytes
        At least 1280.
    alpha : float
        Probability that fair bits fail any of the tests, 0 to 1.

    Returns
    -------
    dict
        ``bytes``, ``passed``, ``reason`` (None, or the first failure in words), ``alpha``, ``tests`` (by name:
        ``statistic``, ``expected``, ``p``, ``threshold``), ``health`` (of the continuous tests of SP 800-90B, 4.4: None or
        the reason) and ``min_entropy_per_bit`` (SP 800-90B, 6.3.1 to 6.3.3: ``most_common_value``, ``collision``,
        ``markov``, ``most_common_byte``, and their ``least``).

    Raises
    ------
    BadInput
        Where there are too few bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise BadInput("bytes are expected", field="data", value=type(data).__name__)
    if len(data) < LEAST_BYTES:
        raise BadInput(f"at least {LEAST_BYTES} bytes are expected", field="data", value=len(data))
    if isinstance(alpha, bool | str) or not 0 < alpha < 1:
        raise BadInput("a probability between 0 and 1 is expected", field="alpha", value=alpha)
    values = np.frombuffer(data, np.uint8)
    bits = np.unpackbits(values)
    tests = {"monobit": _coin(int(bits.sum()), len(bits)), "runs": _runs(bits), "byte chi-square": _bytes(values),
             "lag correlation": _lags(bits[:LAG_BITS])}
    for test in tests.values():
        test["threshold"] = alpha / len(tests)
    health = _health(bytes(data))
    failed = [f"{name}: {_words(name, test)}" for name, test in tests.items() if test["p"] < test["threshold"]]
    reason = health or (failed[0] if failed else None)
    return {"bytes": len(values), "passed": reason is None, "reason": reason, "alpha": alpha, "tests": tests,
            "health": health, "min_entropy_per_bit": _min_entropy(values, bits)}


def text(name, found):
    """What :func:`assess` found, in lines for a terminal."""
    lines = [f"{name}: {found['bytes']:,} bytes", ""]
    for test, one in found["tests"].items():
        sign = "ok  " if one["p"] >= one["threshold"] else "FAIL"
        lines.append(f"  {sign}  {test:<16} {one['statistic']:>16,.6g}  expected {one['expected']:>14,.6g}  chance "
                     f"{one['p']:.2e}")
    lines.append(f"  {'FAIL' if found['health'] else 'ok  '}  continuous health tests (SP 800-90B, 4.4)")
    lines += ["", "  min-entropy per bit (SP 800-90B, 6.3): " + ", ".join(
        f"{key.replace('_', ' ')} {value:.4f}" for key, value in found["min_entropy_per_bit"].items())]
    return "\n".join([*lines, "", f"  {'passed' if found['passed'] else 'FAILED: ' + found['reason']}"])


def _coin(heads, n):
    """Two-sided exact test of so many heads in n throws of a fair coin."""
    low, high = min(heads, n - heads), max(heads, n - heads)
    p = min(1.0, float(bdtr(low, n, 0.5) + (bdtrc(high - 1, n, 0.5) if high > 0 else 1.0)))
    return {"statistic": heads, "expected": n / 2, "p": p}


def _runs(bits):
    """Runs less one are the changes from bit to bit: a fair coin each."""
    test = _coin(int(np.count_nonzero(bits[1:] != bits[:-1])), len(bits) - 1)
    return test | {"statistic": test["statistic"] + 1, "expected": test["expected"] + 1}


def _lags(bits, lags=LAGS):
    """The worst of the lags, its chance multiplied by how many there are."""
    tests = [_coin(int(np.count_nonzero(bits[lag:] == bits[:-lag])), len(bits) - lag) for lag in range(1, lags + 1)]
    worst = min(range(lags), key=lambda i: tests[i]["p"])
    return tests[worst] | {"p": min(1.0, tests[worst]["p"] * lags), "lag": worst + 1}


def _bytes(values):
    counts = np.bincount(values, minlength=256)
    expected = len(values) / 256
    chi2 = float(((counts - expected) ** 2).sum() / expected)
    return {"statistic": chi2, "expected": 255.0, "p": float(min(1.0, 2 * min(chdtrc(255, chi2), 1 - chdtrc(255, chi2))))}


def _health(data):
    try:
        HealthTest().check(data)
    except DeviceError as error:
        return error.why
    return None


def _words(name, test):
    lag = f" at lag {test['lag']}" if "lag" in test else ""
    return (f"{test['statistic']:,.6g} found where fair bits give {test['expected']:,.6g}{lag} "
            f"(chance {test['p']:.1e}, allowed {test['threshold']:.1e})")


def _min_entropy(values, bits):
    """Estimates in bits of min-entropy per bit, with the 99 % margins of SP 800-90B."""
    first = bits[:ESTIMATED_BITS]
    found = {"most_common_value": _most_common(max(int(bits.sum()), len(bits) - int(bits.sum())), len(bits)),
             "most_common_byte": _most_common(int(np.bincount(values).max()), len(values)) / 8,
             "collision": _collision(first), "markov": _markov(first)}
    return found | {"least": min(found.values())}


def _most_common(most, n):
    """SP 800-90B, 6.3.1."""
    p = most / n
    return max(0.0, -math.log2(min(1.0, p + _Z * math.sqrt(p * (1 - p) / (n - 1)))))


def _collision(bits):
    """SP 800-90B, 6.3.2. Of bits, the first two equal ones come after 2 or 3; the mean is 2 + 2 p (1 - p)."""
    data, at, times = bits.tobytes(), 0, []
    while at + 3 <= len(data):
        step = 2 if data[at] == data[at + 1] else 3
        times.append(step)
        at += step
    times = np.array(times)
    mean = float(times.mean() - _Z * times.std(ddof=1) / math.sqrt(len(times)))
    product = min(0.25, max(0.0, (mean - 2) / 2))
    return max(0.0, -math.log2(0.5 + math.sqrt(0.25 - product)))


def _markov(bits):
    """SP 800-90B, 6.3.3: the likeliest path of 128 bits through a chain with the transitions seen."""
    pairs = np.bincount(2 * bits[:-1] + bits[1:], minlength=4).reshape(2, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.log2(np.where(pairs.sum(axis=1, keepdims=True) > 0, pairs / pairs.sum(axis=1, keepdims=True), 0.0))
        start = np.log2(np.array([np.count_nonzero(bits == 0), np.count_nonzero(bits)]) / len(bits))
    paths = [start[a] + sum(times * step[i, j] for i, j, times in moves if times) for a, moves in (
        (0, ((0, 0, 127),)), (0, ((0, 1, 64), (1, 0, 63))), (0, ((0, 1, 1), (1, 1, 126))),
        (1, ((1, 1, 127),)), (1, ((1, 0, 64), (0, 1, 63))), (1, ((1, 0, 1), (0, 0, 126))))]
    return min(1.0, max(0.0, -float(max(paths)) / 128))


class SourcedChoices(Choices):
    """What Alice prepares, drawn slot by slot from a random source, 32 bits each, and kept until the key is made.

    Every byte passes the continuous health tests of SP 800-90B, 4.4 (false alarms 2^-40), whatever the source's own driver
    does. Where the source fails, nothing is drawn any more: from there on the weakest intensity is played, no slot counts,
    and :meth:`blocked` gives the reason.

    Parameters
    ----------
    source : SourceSettings
    sync : SynchronisationSettings or None
    random : RandomSource
        Its ``read(n_bytes)``; one that is ``simulated`` never makes a key marked as real.
    lazily : bool
        True for a simulated link, which asks only for slots where photons arrive: these are drawn when asked for, in
        order. False: only what :meth:`train` has played counts as sent.
    keep_slots : int
        Older ones are forgotten (one byte each): more than a block needs.
    """

    def __init__(self, source, sync, random, *, lazily=False, keep_slots=1 << 30):
        super().__init__(source, sync)
        self.simulated = bool(getattr(random, "simulated", True))       # one that does not say is not trusted
        self._random, self._health, self._lazily, self._keep = random, HealthTest(), bool(lazily), int(keep_slots)
        self._pieces, self._drawn, self._failed = {}, 0, None
        self._tested = 0                                 # slots that a block's check has seen
        self._lock = threading.Lock()                    # the link and Alice ask from threads of their own

    @property
    def drawn(self):
        """Slots drawn so far."""
        return self._drawn

    def covers(self, slots):
        if self._lazily and len(slots):
            self._draw(min(int(np.max(slots)) + 1, self._drawn + MOST_AHEAD))
        return (slots >= self._first) & (slots < self._drawn)

    def blocked(self):
        """Why no key may be made of what was played since the last question, in words; or None.

        The health tests; over every stretch of 2^24 of the new slots, a chi-square of (bit, basis, intensity) against the
        stated probabilities; over the newest 2^24, where a source that failed meanwhile shows it, the correlation of the
        bits at lags of 1 to 64 slots. Each calls one honest stretch in a billion dishonest.
        """
        if self._failed:
            return f"the random source failed: {self._failed}"
        first, self._tested = max(self._tested, self._first), self._drawn
        if self._drawn - first < LEAST_BYTES:
            self._tested = first                         # too few to judge: they wait for the next block
            return None
        why, stop = None, self._tested
        for start in range(first, stop, LAG_BITS):
            why = why or frequencies_depart(self._symbols(np.arange(start, min(stop, start + LAG_BITS))), self.source)
        if why is None:
            worst = _lags(self._symbols(np.arange(max(first, stop - LAG_BITS), stop)) & 1)
            if worst["p"] < BLOCK_FALSE_ALARM:
                worst["threshold"] = BLOCK_FALSE_ALARM
                why = f"the sender's bits are not independent: equal ones, {_words('lags', worst)}"
        if why is not None:
            self._failed = why                           # a source that failed once is not trusted again
        return None if why is None else f"the random source failed: {why}"

    @property
    def _first(self):
        return min(self._pieces, default=0)

    def _train(self, first_slot, n):
        if first_slot + n > self._drawn:
            self._draw(first_slot + n)
        return self._symbols(np.arange(first_slot, first_slot + n))

    def _at(self, slots):
        if self._lazily and len(slots):
            self._draw(int(slots.max()) + 1)
        return self._symbols(slots)

    def _symbols(self, slots):
        """Of drawn slots; the weakest intensity where there is none."""
        symbols = np.full(len(slots), (len(self.source.intensities) - 1) << 2, np.uint8)
        piece = slots // _AT_ONCE
        for number in np.unique(piece):
            held = self._pieces.get(int(number) * _AT_ONCE)
            if held is not None:
                inside = np.flatnonzero(piece == number)
                symbols[inside] = held[slots[inside] - number * _AT_ONCE]
        return symbols

    def _draw(self, upto):
        with self._lock:
            while self._drawn < upto and self._failed is None:
                self._draw_piece()

    def _draw_piece(self):
        try:
            words = np.frombuffer(self._health.check(self._random.read(_AT_ONCE * _BITS_PER_SLOT // 8)), "<u4")
        except Exception as error:                   # of whatever kind: without random bytes there is no key
            self._failed = str(error) or type(error).__name__
            return
        intensity = np.searchsorted(self.source.intensity_thresholds, words >> 16, side="right")
        basis = ((words >> 1) & 0x7FFF) >= self.source.basis_threshold
        self._pieces[self._drawn] = (words & 1 | basis.astype(np.uint32) << 1 | intensity.astype(np.uint32) << 2
                                     ).astype(np.uint8)
        self._drawn += _AT_ONCE
        while len(self._pieces) * _AT_ONCE > max(self._keep, 2 * _AT_ONCE):
            del self._pieces[self._first]


def watched(name, random):
    """A blocker for the sessions of a bench: the random source is read and tested before each block.

    What :func:`assess` tests must pass, with one false alarm in a billion blocks. A source that failed once is not trusted
    again; one that did not answer blocks that block only.

    Parameters
    ----------
    name : str
    random : RandomSource

    Returns
    -------
    callable
        Gives None, or why no key may be made.
    """
    failed = None

    def blocked():
        nonlocal failed
        if failed is None:
            try:
                failed = assess(random.read(WATCHED_BYTES), alpha=BLOCK_FALSE_ALARM)["reason"]
            except DeviceError as error:
                failed = error.why
            except InstrumentError as error:
                return f"the random source '{name}' could not be read: {error}"
        return failed and f"the random source '{name}' failed: {failed}"

    return blocked


def health_levels():
    """The cut-offs of the continuous tests and how often fair bytes reach them, for reports: exact.

    The formula of SP 800-90B, 4.4.2, does not see that the first sample of a window is always counted: at the cut-off that
    it gives for 2^-40, a window fails with 2^-37.6.

    Returns
    -------
    dict
        ``repetition``: (cut-off, chance for each byte); ``proportion``: (cut-off, chance for each window of 512 bytes).
    """
    return {"repetition": (REPEATS, 2.0 ** (-8 * (REPEATS - 1))),
            "proportion": (PROPORTION, float(bdtrc(PROPORTION - 2, WINDOW - 1, 2.0**-8)))}
