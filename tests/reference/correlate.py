"""Lags between the tags of one detector, and clicks beside a pattern, in plain NumPy."""

import numpy as np


def bin_of(units, bits):
    e = max(int(units).bit_length() - bits - 1, 0)
    return (e << bits) + (int(units) >> e)


def lags(time, first, longest, most, rate, bits, counts):
    for i in range(first, len(time)):
        behind = time[i] - time[max(i - most, 0) : i]
        for lag in behind[behind <= longest].tolist():
            counts[bin_of((lag * rate + (1 << 63)) >> 64 if rate else lag, bits)] += 1


def pattern(place, sign, first, score):
    at = np.arange(len(score)) + first
    for p in place.tolist():
        there = np.flatnonzero((at + p >= 0) & (at + p < len(sign)))
        score[there] += sign[at[there] + p]
