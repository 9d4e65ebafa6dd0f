"""Lags between the tags of one detector in plain NumPy."""


def bin_of(units, bits):
    e = max(int(units).bit_length() - bits - 1, 0)
    return (e << bits) + (int(units) >> e)


def lags(time, first, longest, most, rate, bits, counts):
    for i in range(first, len(time)):
        behind = time[i] - time[max(i - most, 0) : i]
        for lag in behind[behind <= longest].tolist():
            counts[bin_of((lag * rate + (1 << 63)) >> 64 if rate else lag, bits)] += 1
