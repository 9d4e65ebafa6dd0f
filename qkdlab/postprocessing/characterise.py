"""What detectors and light are like, from time tags alone: no settings, no calibration, bounded memory.

The first tags (up to a million) show how often detectors click and at which rate the light is pulsed; histograms of
gaps, of lags and of phases are then filled from first to last, and read at the end. Where the tags cannot tell a number
it is None and a reason says why; every number that is an estimate has its standard deviation.
"""

import math

import numpy as np

from ..datatypes import TimeTags
from ..errors import BadInput
from .folding import MOST_TAGS, Folder, peak
from .lags import MOST_LOAD, LagCounts, afterpulsing, dead_time, lag_period_hz, light_correlation

__all__ = ["Characteriser", "characterise"]

PROBE_TAGS = 1 << 20
LONGEST_GAP_PS = 1 << 43     # 9 s
LONGEST_LAG_PS = 10**10      # or shorter, so that
PAIRS_A_TAG = 64.0           # no tag has more pairs than this on average
MOST_PAIRS = 1 << 12         # of any tag: light that turns on after the probe costs so much time, and not more
SEARCH_PPM = 20.0            # around the rate that the spectrum of lags shows,
SPECTRUM_HZ = 500.0          # or so much: a twentieth of its broadest line
MOST_AFTERPULSES = 0.3       # per click: more is the light's doing, or a detector that nobody would use
MOST_FOLDED = 4              # detectors of which the pulses are followed: the busiest
NOT_PULSED = "the light is not pulsed, or too weak to show it"
NO_DEAD_TIME = "too few clicks follow each other closely: no edge stands out of the gaps"


class Characteriser:
    """Takes tags in stretches; :meth:`finish` tells what they show.

    Parameters
    ----------
    channel : int, optional
        Report on this input. Absent: on all. The others are looked at in any case: what two detectors see together is
        the light's doing.
    nominal_hz : float, optional
        About where the pulse rate lies, to 20 ppm. Absent: looked for.
    pairs : sequence of (int, int)
        Inputs whose detectors should click equally often, for the balance. Absent: the two inputs, where there are two.

    Raises
    ------
    BadInput
    """

    def __init__(self, channel=None, nominal_hz=None, pairs=None):
        if channel is not None and not 0 <= channel <= 255:
            raise BadInput("an input number from 0 to 255 is expected", field="channel", value=channel)
        if nominal_hz is not None and not 1e3 <= nominal_hz <= 1e11:
            raise BadInput("must be from 1e3 to 1e11 Hz", field="nominal_hz", value=nominal_hz)
        self._channel, self._nominal, self._pairs = channel, nominal_hz, pairs
        self._waiting, self._n_waiting = [], 0
        self._probed = False
        self._counts = np.zeros(256, np.int64)
        self._first = self._last = None
        self._lost = 0
        self._folder = None
        self._own, self._gaps, self._together = {}, {}, None

    def push(self, tags):
        """A stretch of tags, later than those before.

        Raises
        ------
        BadInput
            Where times step back.
        """
        time_ps, channel = tags.time_ps, tags.channel
        self._lost += tags.lost
        if not len(time_ps):
            return
        if (time_ps[1:] < time_ps[:-1]).any() or (self._last is not None and time_ps[0] < self._last):
            raise BadInput("tags in time order are expected", field="time_ps")
        self._first = int(time_ps[0]) if self._first is None else self._first
        self._last = int(time_ps[-1])
        self._counts += np.bincount(channel, minlength=256)
        self._waiting.append((time_ps, channel))
        self._n_waiting += len(time_ps)
        if self._n_waiting >= (MOST_TAGS if self._probed else PROBE_TAGS):
            self._drain(final=False)

    def finish(self):
        """The last tag has come.

        Returns
        -------
        dict
            See :func:`characterise`.

        Raises
        ------
        BadInput
            Where there was no tag.
        """
        if self._first is None:
            raise BadInput("there are no tags")
        if self._channel is not None and not self._counts[self._channel]:
            there = ", ".join(map(str, np.flatnonzero(self._counts)))
            raise BadInput(f"this input has no tags; those that have some: {there}", field="channel",
                           value=self._channel)
        self._drain(final=True)
        return _Report(self).table()

    # ------------------------------------------------------------------------------------------------------- the stream

    def _drain(self, final):
        """Give what waits to the histograms; of pulsed light in spans of limited length, the last of which may wait."""
        if not self._waiting:
            return
        time_ps, channel = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        if not self._probed:
            self._probe(time_ps, channel)
        stop = len(time_ps)
        if self._folder is not None:
            stop = self._fold(time_ps, channel, final)
        self._together.push(time_ps[:stop])
        for c in np.flatnonzero(self._counts).tolist():
            own = time_ps[:stop][channel[:stop] == c]
            if c not in self._gaps:
                self._gaps[c] = LagCounts(LONGEST_GAP_PS, 1, 10)
                self._own[c] = LagCounts(self._together.longest_ps, MOST_PAIRS, 5, self._slots)
            self._gaps[c].push(own)
            self._own[c].push(own)
        self._waiting, self._n_waiting = [(time_ps[stop:], channel[stop:])] if stop < len(time_ps) else [], 0
        self._n_waiting = len(time_ps) - stop

    def _probe(self, time_ps, channel):
        """What the first tags show decides how the others are counted."""
        self._probed = True
        span = max(int(time_ps[-1]) - int(time_ps[0]), 1)
        longest = min(PAIRS_A_TAG * span / len(time_ps), LONGEST_LAG_PS)
        nominal, ppm = (self._nominal, 20.0) if self._nominal else (lag_period_hz(time_ps, channel), SEARCH_PPM)
        if nominal and not self._nominal:
            ppm = max(ppm, 1e6 * SPECTRUM_HZ / nominal)
        busiest = np.argsort(-np.bincount(channel, minlength=256), kind="stable")[:MOST_FOLDED]
        self._folded = [int(c) for c in sorted(busiest) if (channel == c).any()]
        self._index = np.full(256, 255, np.uint8)
        self._index[self._folded] = range(len(self._folded))
        if nominal:
            folder = Folder(nominal, ppm, len(self._folded))
            if folder.sees(*self._of_folded(time_ps, channel)):
                self._folder = folder
        self._slots = round(nominal * (1 << 64) / 1e12) if self._folder else 0
        self._period_ps = 1e12 / nominal if self._folder else None
        self._together = LagCounts(max(longest, 10**6), MOST_PAIRS, 5, self._slots)

    def _of_folded(self, time_ps, channel):
        detector = self._index[channel]
        mine = np.flatnonzero(detector < 255)
        return time_ps[mine], detector[mine]

    def _fold(self, time_ps, channel, final):
        """Spans to the folder; returns how many tags they had."""
        span_ps, at = round(self._folder.span_s * 1e12), 0
        while at < len(time_ps):
            end = int(np.searchsorted(time_ps, int(time_ps[at]) + span_ps))
            if end == len(time_ps) and not final and end - at < MOST_TAGS:
                break
            self._folder.push(*self._of_folded(time_ps[at:end], channel[at:end]))
            at = end
        return at


class _Report:
    """From the histograms to numbers."""

    def __init__(self, seen):
        self._seen, self._duration_ps = seen, max(seen._last - seen._first, 1)
        self._channels = [c for c in np.flatnonzero(seen._counts).tolist()]
        self._clicks = {c: int(seen._counts[c]) for c in self._channels}
        pulsed = seen._folder is not None and seen._folder.rate_hz is not None
        self._rate = seen._folder.rate_hz if pulsed else None
        self._light = light_correlation(seen._together, [seen._own[c] for c in self._channels],
                                        list(self._clicks.values()), self._duration_ps, seen._period_ps or 1.0)

    def table(self):
        seen = self._seen
        asked = self._channels if seen._channel is None else [seen._channel]
        detectors = {str(c): self._detector(c) for c in asked}
        main = str(max(asked, key=lambda c: self._clicks[c]))
        own = detectors[main]
        clicks = sum(self._clicks[c] for c in asked)
        errors = {"rate_hz": math.sqrt(clicks) / self._seconds, **own["errors"]}
        reasons = dict(own["reasons"])
        table = {"tags": clicks, "seconds": self._seconds, "lost": seen._lost, "channel": int(main),
                 "rate_hz": clicks / self._seconds, "pulse_rate_hz": None, "visibility": None}
        if self._rate:
            table["pulse_rate_hz"], errors["pulse_rate_hz"] = self._rate
            table["visibility"] = seen._folder.visibility[0] if seen._channel is None else own["visibility"]
            errors["visibility"] = math.sqrt(0.5 / seen._folder.followed)
        else:
            reasons |= {name: NOT_PULSED for name in ("pulse_rate_hz", "visibility")}
        table |= {name: value for name, value in own.items() if name not in (*table, "errors", "reasons")}
        table["balance"] = self._balance(detectors, reasons)
        return {**table, "errors": errors, "reasons": reasons, "detectors": detectors}

    @property
    def _seconds(self):
        return self._duration_ps * 1e-12

    def _detector(self, c):
        """All that is known of one detector."""
        errors, reasons, n = {}, {}, self._clicks[c]
        table = {"clicks": n, "rate_hz": n / self._seconds}
        errors["rate_hz"] = math.sqrt(n) / self._seconds
        dead = self._dead_time(c, table, errors, reasons)
        self._afterpulsing(c, dead, table, errors, reasons)
        load = table["rate_hz"] * dead * 1e-12
        table["dead_share"] = load if table["dead_time_ps"] is not None else None
        table["light_rate_hz"] = table["rate_hz"] / (1 - load) if table["dead_time_ps"] is not None and load < 1 else None
        if table["dead_time_ps"] is None:
            reasons |= {name: "the dead time is not known" for name in ("dead_share", "light_rate_hz")}
        self._pulses(c, table, errors, reasons)
        return {**table, "errors": errors, "reasons": reasons}

    def _dead_time(self, c, table, errors, reasons):
        """Writes the dead time; returns it, or 0 where it is not known."""
        seen = self._seen
        period = seen._period_ps if self._rate else None
        found = dead_time(seen._gaps[c], period)
        why = None
        if found is None:
            why = NO_DEAD_TIME
        elif period is not None and found.ready_ps > 0.5 * period and found.dead_time_ps < 1.25 * period:
            why = (f"shorter than the pulse period of {period:,.0f} ps, and too few clicks fall between the pulses; "
                   "use steady light")
        table |= {"dead_time_ps": None, "ready_ps": None, "stray_gaps": None}
        if why:
            reasons |= {name: why for name in ("dead_time_ps", "ready_ps", "stray_gaps")}
            return 0.0
        table |= {"dead_time_ps": found.dead_time_ps, "ready_ps": found.ready_ps, "stray_gaps": found.strays}
        errors["dead_time_ps"] = found.error_ps
        return found.dead_time_ps

    def _afterpulsing(self, c, dead, table, errors, reasons):
        seen = self._seen
        found = afterpulsing(seen._own[c], self._clicks[c], self._duration_ps, dead, seen._period_ps or 1.0, self._light)
        table |= {"afterpulse_probability": None, "afterpulse_decay_ps": None, "afterpulse_shares": None,
                  "afterpulse_reach_ps": None}
        if found is None or found.probability > MOST_AFTERPULSES:
            load = table["rate_hz"] * dead * 1e-12
            why = "too few pairs of clicks"
            if found is not None:
                why = (f"clicks come in bunches over {found.reach_ps * 1e-6:.3g} us, too many for afterpulses: does the "
                       "light flicker?")
            elif load > MOST_LOAD:
                why = f"the detector is dead for {100 * load:.0f} % of the time: attenuate the light"
            reasons |= {name: why for name in table if name.startswith("afterpulse")}
            return
        table |= {"afterpulse_probability": found.probability, "afterpulse_reach_ps": found.reach_ps}
        errors["afterpulse_probability"] = found.error
        if found.decay_ps:
            table |= {"afterpulse_decay_ps": list(found.decay_ps), "afterpulse_shares": list(found.shares)}
        else:
            reasons |= {name: "no significant excess of clicks after clicks" for name in
                        ("afterpulse_decay_ps", "afterpulse_shares")}

    def _pulses(self, c, table, errors, reasons):
        """Jitter, delay and background of one detector."""
        seen, names = self._seen, ("visibility", "jitter_fwhm_ps", "delay_ps", "background_hz", "dark_rate_hz")
        table |= dict.fromkeys(names)
        why = NOT_PULSED
        if self._rate:
            why = f"only the {MOST_FOLDED} busiest inputs are followed"
            if c in seen._folded:
                row = seen._folder.counts[seen._folded.index(c)]
                shape, why = peak(row, 1e12 / self._rate[0]), "no peak stands out of the phases"
                if shape is not None:
                    return self._shape(c, shape, table, errors, reasons)
        reasons |= {name: why for name in names}
        if not self._rate:
            reasons["dark_rate_hz"] = reasons["background_hz"] = (
                "dark counts look like light that is not pulsed: record with the light off, then rate_hz is their rate")

    def _shape(self, c, shape, table, errors, reasons):
        which, rate = self._seen._folded.index(c), table["rate_hz"]
        table["visibility"] = float(self._seen._folder.visibility[1][which])
        table["jitter_fwhm_ps"], errors["jitter_fwhm_ps"] = shape.fwhm_ps, shape.fwhm_error_ps
        table["delay_ps"] = float(self._seen._folder.delays_ps()[which])
        table["background_hz"], errors["background_hz"] = shape.background * rate, shape.background_error * rate
        p = table["afterpulse_probability"]
        if p is None:
            reasons["dark_rate_hz"] = "how many of the clicks between the pulses are afterpulses is not known"
            return
        table["dark_rate_hz"] = max(0.0, (shape.background - p) * rate)
        errors["dark_rate_hz"] = math.hypot(errors["background_hz"], errors["afterpulse_probability"] * rate)

    def _balance(self, detectors, reasons):
        """Rate of the weaker detector over that of the stronger one, by pair, background and dead time taken off."""
        pairs = self._seen._pairs
        if pairs is None and len(self._channels) == 2:
            pairs = [tuple(self._channels)]
        pairs = [p for p in pairs or () if all(str(c) in detectors for c in p)]
        if not pairs:
            reasons["balance"] = "which detectors should click equally often is not known"
            return None
        out = []
        for pair in pairs:
            rates, spread = [], []
            for c in pair:
                own = detectors[str(c)]
                live = 1 - (own["dead_share"] or 0.0)
                rates.append((own["rate_hz"] - (own["background_hz"] or 0.0)) / live)
                spread.append(math.sqrt(self._clicks[c]) / self._seconds / live)
            weak, strong = sorted(rates)
            ratio = weak / strong if strong > 0 else None
            out.append({"channels": list(pair), "ratio": ratio,
                        "error": None if not ratio or weak <= 0 else ratio * math.hypot(*(
                            s / r for s, r in zip(spread, rates, strict=True)))})
        return out


def characterise(tag_blocks, *, channel=None, nominal_hz=None, pairs=None):
    """What detectors and light are like, from tags alone.

    Parameters
    ----------
    tag_blocks : TimeTags or iterable of TimeTags
        In time order, also from block to block. Read once, in bounded memory.
    channel, nominal_hz, pairs
        As for :class:`Characteriser`.

    Returns
    -------
    dict
        Ready for JSON. ``rate_hz`` and ``visibility`` are those of all inputs together or of the one asked for,
        ``pulse_rate_hz`` that of the light; the other numbers are those of the busiest input, ``channel``, or of the one
        asked for. ``detectors`` has all of them by input:

        ``dead_time_ps`` (shortest gap), ``ready_ps`` (edge of the gaps), ``stray_gaps`` (gaps below 0.9 of the edge),
        ``afterpulse_probability``, ``afterpulse_decay_ps`` and ``afterpulse_shares`` (one or two exponentials),
        ``afterpulse_reach_ps``, ``dead_share`` (how saturated: part of the time in which it is dead), ``light_rate_hz``
        (what it would click without dead time), ``jitter_fwhm_ps`` (pulse, detector and tagger together), ``delay_ps``
        (against the first input, modulo the period), ``background_hz`` (clicks spread over the period) and
        ``dark_rate_hz`` (those less the afterpulses: dark counts and stray light).

        ``balance``: for pairs of detectors, the weaker over the stronger. ``errors``: one standard deviation of what is
        an estimate. ``reasons``: why a value is None.

    Raises
    ------
    BadInput
        Where there are no tags, or their times step back.

    References
    ----------
    Non-paralysable dead time and its renewal process: Knoll, Radiation Detection and Measurement, chapter 4.
    """
    machine = Characteriser(channel, nominal_hz, pairs)
    for tags in [tag_blocks] if isinstance(tag_blocks, TimeTags) else tag_blocks:
        machine.push(tags)
    return machine.finish()
