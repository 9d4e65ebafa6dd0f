"""Photon-number splitting: an Eve who sees how many photons a pulse holds, in closed form.

She keeps one photon of each pulse that has two or more, and makes sure that Bob detects another; when the bases are
announced she measures what she kept, and knows the bit without having caused an error. So that Bob's detections do not
become more frequent she blocks single photons, as many as she can. The loss that hides her is taken to be all there is,
Bob's detectors included: nobody can tell where a photon was lost. This is the Eve of the proofs; the one whose tags can
be simulated (``EveSettings.split_fraction``, :func:`.expected.split_gains`) leaves Bob's detectors as they are.

A world is told by the probability ``passed[n]`` that a pulse of n photons makes a click by its light. With Y_0 background
clicks per pulse, the yield of n photons is ``Y_n = passed[n] + Y_0 (1 - passed[n])``.

Brassard, Lutkenhaus, Mor and Sanders, PRL 85, 1330 (2000); Lutkenhaus and Jahma, New J. Phys. 4, 44 (2002).
"""

import numpy as np

from ..errors import BadInput

__all__ = ["PHOTONS", "detections", "honest", "known_share", "photon_numbers", "split"]

PHOTONS = 40                 # photon numbers 0 to 39: up to 10 photons a pulse, what is left out is below 1e-11


def photon_numbers(mean):
    """Probability of each photon number of a laser pulse whose phase is random.

    Parameters
    ----------
    mean : array_like, shape (...)
        Mean photon number, 0 to 10.

    Returns
    -------
    ndarray of float64, shape (..., PHOTONS)

    Raises
    ------
    BadInput
    """
    mean = _within("mean", mean, 0, 10)[..., None]
    number = np.arange(PHOTONS)
    return np.exp(-mean) * mean**number / np.cumprod(np.maximum(number, 1.0))


def honest(transmittance):
    """What passes a line without Eve: ``1 - (1 - eta)^n``.

    Parameters
    ----------
    transmittance : float
        Probability that a photon makes a click, fibre and detectors together.

    Returns
    -------
    ndarray of float64, shape (PHOTONS,)
    """
    eta = _within("transmittance", transmittance, 0, 1)
    return 1 - (1 - eta) ** np.arange(PHOTONS)


def split(mean, transmittance, share=1.0):
    """What passes an Eve who splits the photons of a share of the pulses and keeps the signal's gain as it was.

    Single photons pass only as far as the other pulses do not suffice.

    Parameters
    ----------
    mean : float
        Mean photon number of the signal, whose gain she imitates.
    transmittance : float
        Of the line that she imitates.
    share : float
        Share of the pulses that she attacks.

    Returns
    -------
    ndarray of float64, shape (PHOTONS,)

    Raises
    ------
    BadInput
    """
    share = _within("share", share, 0, 1)
    return (1 - share) * honest(transmittance) + share * _attacked(mean, transmittance)


def detections(means, passed, background=0.0, misalignment=0.0):
    """Gains: clicks and wrong clicks per pulse, of each intensity.

    Parameters
    ----------
    means : array_like, shape (K,)
        Mean photon numbers.
    passed : ndarray, shape (PHOTONS,)
        As :func:`honest` or :func:`split` give it.
    background : float
        Y_0, background clicks per pulse; half of them are wrong.
    misalignment : float
        Probability that light goes to the wrong detector.

    Returns
    -------
    gain, error_gain : ndarray of float64, shape (K,)
    """
    y0 = _within("background", background, 0, 1)
    light = photon_numbers(means) @ passed
    return light + y0 * (1 - light), _within("misalignment", misalignment, 0, 0.5) * light + y0 / 2 * (1 - light)


def known_share(mean, transmittance, share=1.0):
    """Share of Bob's detections (of the signal's light) whose bit the Eve of :func:`split` knows.

    Parameters
    ----------
    mean, transmittance, share
        As :func:`split`.

    Returns
    -------
    float
        0 where nothing arrives.
    """
    p = photon_numbers(mean)
    total = float(p @ honest(transmittance))
    known = float(_within("share", share, 0, 1) * (p[2:] @ _attacked(mean, transmittance)[2:]))
    return known / total if total > 0 else 0.0


def _attacked(mean, transmittance):
    """What passes where she attacks every pulse."""
    p = photon_numbers(mean)
    wanted, several = float(p @ honest(transmittance)), float(p[2:].sum())
    passed = np.full(PHOTONS, min(wanted / several, 1.0) if several > 0 else 0.0)
    passed[0] = 0.0
    passed[1] = min(max(wanted - several, 0.0) / p[1], 1.0) if p[1] > 0 else 0.0
    return passed


def _within(field, value, low, high):
    try:
        value = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise BadInput("numbers are expected", field=field, value=value) from None
    if not ((value >= low) & (value <= high)).all():
        raise BadInput(f"from {low:g} to {high:g} is expected", field=field, value=value.tolist())
    return value
