import numpy as np
from scipy.optimize import minimize

from qkdlab.proofs import sampling


def tally(intensity, basis, error, out):
    known = intensity < out.shape[1]
    where = intensity[known].astype(int), basis[known].astype(int) & 1
    np.add.at(out[0], where, 1)
    np.add.at(out[1], where, (error[known] & 1).astype(np.int64))


# The plan of a run: all rows at once.


def expect(settings, slots, receiver, passive, amount, by_key, out):
    mu, p, q = settings[:, None, None, :3], settings[:, None, None, 3:6], settings[:, 6]
    e_mis, p_ap, dead, bob = receiver
    alice = np.stack([q, 1 - q], axis=1)[:, None, :, None]                   # rows, slots, bases, intensities
    bob = alice if bob < 0 else np.array([bob, 1 - bob])[:, None]
    pulses, eta, dark = (slots[None, :, i, None, None] for i in range(3))
    light, chosen = (bob, 1) if passive else (1, bob)
    signal = -np.expm1(-eta * light * mu)
    d = signal + 2 * dark * (1 - signal)
    d, error = (1 + p_ap) * d, dark + e_mis * signal + p_ap * d / 2
    live = 1 / (1 + chosen * (p * d).sum(axis=3, keepdims=True) / 2 * dead)
    rate = pulses * alice * chosen * live * p
    n, m = ((rate * part).sum(axis=1).transpose(0, 2, 1).reshape(-1, 6) for part in (d, error))
    total = n[:, ::2].sum(axis=1) if by_key else np.ones(len(n))
    scale = np.divide(amount, total, out=np.zeros(len(n)), where=total > 0)[:, None]
    out[:] = np.hstack([scale, scale * n, scale * m])


def _around(count, total, price, chernoff, clamp):
    b = price[0]
    if chernoff:
        low, high = count - b / 2 - np.sqrt(2 * b * count + b * b / 4), count + b + np.sqrt(2 * b * count + b * b)
    else:
        low, high = count - np.sqrt(total / 2 * b), count + np.sqrt(total / 2 * b)
    return np.maximum(low, 0) if clamp else low, high


def _entropy(x):
    inside = (x > 0) & (x < 1)
    y = np.where(inside, x, 0.5)
    return np.where(inside, -y * np.log2(y) - (1 - y) * np.log2(1 - y), 0)


def _phase_error(v1, k, n, b, gamma):
    if not gamma:
        return min(v1 / k + np.sqrt((n + k) * (k + 1) / (n * k * k) * b), 1)
    rate, eps = v1 / k, np.exp(-b)
    if 0 < rate < 1:
        inside = np.log2((n + k) / (n * k * (1 - rate) * rate)) + 2 * b / np.log(2)
        rate += np.sqrt((n + k) * (1 - rate) * rate / (n * k * np.log(2)) * max(inside, 0))
    return min(max(rate, sampling.hypergeometric(0, k, n, eps)), 1)


def bounds(settings, counts, price, chernoff, gamma, clamp, out):
    mu, p = settings[:, :3], settings[:, 3:6]
    mu1, mu2, mu3 = mu.T
    weight = np.exp(mu) / p
    tau0, tau1 = (p * np.exp(-mu)).sum(axis=1), (p * np.exp(-mu) * mu).sum(axis=1)
    for basis in (0, 1):
        n, m = counts[:, 1 + basis:7:2], counts[:, 7 + basis:13:2]
        low, high = (weight * side for side in _around(n, n.sum(axis=1, keepdims=True), price, chernoff, clamp))
        s0 = np.maximum(tau0 * (mu2 * low[:, 2] - mu3 * high[:, 1]) / (mu2 - mu3), 0)
        s1 = tau1 * mu1 * (low[:, 1] - high[:, 2] - (mu2**2 - mu3**2) / mu1**2 * (high[:, 0] - s0 / tau0))
        s1 /= mu1 * (mu2 - mu3) - mu2**2 + mu3**2
        out[:, 2 * basis], out[:, 2 * basis + 1] = s0, np.maximum(s1, 0) if clamp else s1
    low, high = (weight * side for side in _around(m, m.sum(axis=1, keepdims=True), price, chernoff, clamp))
    out[:, 4] = np.maximum(tau1 * (high[:, 1] - low[:, 2]) / (mu2 - mu3), 0)
    n, m = counts[:, 1:7:2].sum(axis=1), counts[:, 7:13:2].sum(axis=1)
    out[:, 8] = n
    out[:, 6] = n * price[2] * _entropy(np.minimum(np.divide(m, n, out=np.zeros(len(n)), where=n > 0), 0.5))
    out[:, 5], out[:, 7] = 1, -np.inf
    for i in np.flatnonzero((out[:, 1] > 0) & (out[:, 3] > 0)):
        out[i, 5] = _phase_error(out[i, 4], out[i, 3], out[i, 1], price[0], gamma)
        out[i, 7] = out[i, 0] + out[i, 1] * (1 - _entropy(np.minimum(out[i, 5], 0.5))) - out[i, 6] - price[1]


def worth(settings, slots, receiver, passive, amount, by_key, price, chernoff, gamma, clamp, out):
    """Where there is no key the kernel gives a guide to its search: here it is -1e30 at most."""
    counts, found = np.empty((len(settings), 13)), np.empty((len(settings), 9))
    expect(settings, slots, receiver, passive, amount, by_key, counts)
    bounds(settings, counts, price, chernoff, gamma, clamp, found)
    bits = found[:, 7]
    out[:] = np.where(bits > 0, np.divide(bits, counts[:, 0], out=np.zeros(len(bits)), where=counts[:, 0] > 0), bits)
    out[(found[:, 5] >= 0.5) | (counts[:, 0] == 0)] = -1e30


def place(x, brightest, weakest):
    """Settings at coordinates."""
    mu1 = 2 * weakest + (brightest - 2 * weakest) / (1 + np.exp(-x[:, 0]))
    mu2 = weakest + (mu1 - 2 * weakest) / (1 + np.exp(-x[:, 1]))
    p = np.exp(np.column_stack([np.zeros(len(x)), x[:, 2:4]]))
    return np.column_stack([mu1, mu2, np.full(len(x), weakest), p / p.sum(axis=1, keepdims=True),
                            1 / (1 + np.exp(-x[:, 4]))])


def climb(x, slots, receiver, passive, amount, by_key, price, chernoff, gamma, clamp, step, brightest, weakest, most, close,
          best, settings):
    """SciPy's simplex: other details, the same peak where there is but one."""
    free, used, height = np.flatnonzero(step), 0, np.empty(1)
    if not len(free):
        settings[:] = place(x, brightest, weakest)
        for i in range(len(x)):
            worth(settings[i:i + 1], slots[i], receiver, passive, amount[i], by_key, price, chernoff, gamma, clamp,
                  best[i:i + 1])
        return len(x)
    for i in range(len(x)):
        def depth(y, i=i):
            at = x[i:i + 1].copy()
            at[0, free] = y
            worth(place(at, brightest, weakest), slots[i], receiver, passive, amount[i], by_key, price, chernoff, gamma,
                  clamp, height)
            return -height[0]
        start = x[i, free] + np.vstack([np.zeros(len(free)), np.diag(step[free])])
        found = minimize(depth, x[i, free], method="Nelder-Mead",
                         options={"initial_simplex": start, "maxfev": most, "xatol": 1e9,
                                  "fatol": close * -depth(x[i, free])})
        x[i, free], best[i], used = found.x, -found.fun, used + found.nfev
        settings[i] = place(x[i:i + 1], brightest, weakest)
    return used
