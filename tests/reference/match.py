"""Twins in NumPy and in Python's unlimited integers."""

import numpy as np


def _clock(time, detector, delay, start, slot, phase, rate):
    """Exact (slot, phase) of each tag, phases as Python integers below 2^64."""
    spans = [int(t) - int(delay[d]) - start for t, d in zip(time, detector, strict=True)]
    shown = [(slot << 64) + phase + span * rate for span in spans]
    return [x >> 64 for x in shown], [x & (2**64 - 1) for x in shown]


def _bins(phases, n_bins):
    return np.array([p * n_bins >> 64 for p in phases], np.int64)


def inputs(time, channel, table, detector):
    detector[: len(time)] = table[channel]
    return int(table[channel].max(initial=0)), bool((np.diff(time) >= 0).all())


def phasors(time, detector, start, rate, bin_ps, cosine, sums, count):
    size = len(cosine)
    _, phases = _clock(time, detector, np.zeros(256, np.int64), start, 0, 0, rate)
    at = np.array([(p + 2**63 // size) * size >> 64 for p in phases], np.int64) % size
    bins = (time - start) // bin_ps
    np.add.at(sums[:, :, 0], (detector, bins), cosine[at])
    np.subtract.at(sums[:, :, 1], (detector, bins), cosine[(at - size // 4) % size])
    count += np.bincount(detector, minlength=len(count))


def histogram(time, detector, delay, start, phase, rate, counts):
    _, phases = _clock(time, detector, delay, start, 0, phase, rate)
    np.add.at(counts, (detector, _bins(phases, counts.shape[1])), 1)


def moments(counts, turns, first, width, windows, sums):
    rounds = np.concatenate([counts, counts, counts])[first:]
    held = np.array([rounds[i : i + width].sum() for i in range(windows)])
    at, left = int(np.argmax(held)), (len(counts) - width) // 2
    sums[:] = turns[:, left : left + width].astype(np.int64) @ rounds[at : at + width]
    return at, int(held[at])


def gate(time, detector, delay, start, slot, phase, rate, low, width, slot_out, detector_out, counts):
    slots, phases = _clock(time, detector, delay, start, slot, phase, rate)
    np.add.at(counts, (detector, _bins(phases, counts.shape[1])), 1)
    keep = np.array([(p - low) % 2**64 < width for p in phases], bool)
    kept = int(keep.sum())
    slot_out[:kept] = np.array(slots, np.int64)[keep]
    detector_out[:kept] = detector[keep]
    return kept


def strays(time, detector, delay, start, slot, phase, rate, low, width, slot_out, detector_out):
    slots, phases = _clock(time, detector, delay, start, slot, phase, rate)
    stray = np.array([(p - low) % 2**64 >= width for p in phases], bool)
    kept = int(stray.sum())
    slot_out[:kept] = np.array([s - (p < low) for s, p in zip(slots, phases, strict=True)], np.int64)[stray]
    detector_out[:kept] = detector[stray]
    return kept


def blank(slot, busy, last, reach, live):
    before = np.searchsorted(busy, slot)
    live[:] = np.concatenate([[last], busy])[before] < slot - reach
    return int(live.sum())


def tally(slot, detector, counts):
    np.add.at(counts, (detector, slot % counts.shape[1]), 1)


def place(slot, detector, offset, frame_slots, header_slots, pattern, slot_out, detector_out, score):
    at = slot + offset[detector]
    within = at % frame_slots
    keep = (within >= header_slots) & (at >= 0)
    kept = int(keep.sum())
    slot_out[:kept], detector_out[:kept] = at[keep], detector[keep]
    score += np.bincount(pattern[within[(within < len(pattern)) & (at >= 0)]], minlength=2)
    return kept


def settle(slot, detector):
    order = np.argsort(slot, kind="stable")
    slot[:], detector[:] = slot[order], detector[order]


def combine(slot, detector, slot_out, fired):
    slots, inverse = np.unique(slot, return_inverse=True)
    slot_out[: len(slots)] = slots
    fired[: len(slots)] = 0
    np.bitwise_or.at(fired, inverse, np.left_shift(1, detector).astype(np.uint8))
    return len(slots)


def several(fired, patterns):
    found = fired[np.unpackbits(fired[:, None], axis=1).sum(axis=1) > 1]
    patterns[: len(found)] = found
    return len(found)


def decide(fired, table, draws, basis, outcome):
    several = np.flatnonzero(np.unpackbits(fired[:, None], axis=1).sum(axis=1) > 1)
    draw = np.zeros(len(fired), np.uint8)
    draw[several] = draws[: len(several)]
    basis[:] = table[fired, draw] >> 1
    outcome[:] = table[fired, draw] & 1


def matches(row, place, patterns, first, on, used):
    bits = np.unpackbits(patterns.view(np.uint8), axis=1, bitorder="little")
    for c in range(len(on)):
        exists = c + row >= first
        on[c] = bits[c + row[exists], place[exists]].sum()
        used[c] = exists.sum()
