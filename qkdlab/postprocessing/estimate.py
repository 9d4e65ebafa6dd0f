"""Estimates for the eye: error rates with their confidence interval. Proofs use their own bounds, not these."""

from scipy.special import betaincinv

__all__ = ["qber_interval"]


def qber_interval(errors, n, confidence=0.95):
    """Clopper-Pearson interval of an error rate.

    Parameters
    ----------
    errors, n : int
        Errors among `n` compared bits.
    confidence : float

    Returns
    -------
    (float, float, float) or (None, None, None)
        Rate, lower and upper end; None where nothing was compared: undefined is not zero.

    References
    ----------
    Clopper and Pearson, Biometrika 26, 404 (1934).
    """
    if not n:
        return None, None, None
    tail = (1 - confidence) / 2
    low = float(betaincinv(errors, n - errors + 1, tail)) if errors else 0.0
    high = float(betaincinv(errors + 1, n - errors, 1 - tail)) if errors < n else 1.0
    return errors / n, low, high
