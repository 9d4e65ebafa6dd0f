"""Light through air and from satellites: how much of a telescope's beam another telescope catches.

A Gaussian beam whose waist fills the sender's aperture spreads by diffraction, is blurred by pointing errors, thinned by
the air, and cut out by the receiver's aperture:

    w(z)^2 = w0^2 (1 + (lambda z / pi w0^2)^2) + 4 (sigma z)^2          radius where the intensity is 1/e^2, on average
    caught = 1 - exp(-2 a^2 / w^2)                                      within the receiver's radius a

(A. E. Siegman, *Lasers*, 1986, chapter 17; the blur is the convolution of two Gaussians, sigma per axis.) Turbulence
beyond pointing, clouds and the sender's own cut edge are left out: real links lose some dB more.
"""

import math
from typing import NamedTuple

import numpy as np

from ..errors import BadInput

__all__ = ["Pass", "beam_loss_db", "satellite_pass"]

EARTH_KM, MU_KM3_S2 = 6371.0, 398600.4418        # mean radius; gravitational parameter (IERS Conventions 2010)


class Pass(NamedTuple):
    """A satellite above a ground station, float64 (T,) each."""

    time_s: np.ndarray           # 0 when it is highest
    elevation_deg: np.ndarray
    distance_km: np.ndarray
    loss_db: np.ndarray


def beam_loss_db(distance_km, *, sender_cm, receiver_cm, wavelength_nm=850.0, pointing_urad=0.0, air_db=0.0):
    """Loss between two telescopes.

    Parameters
    ----------
    distance_km : float or array_like
    sender_cm, receiver_cm : float
        Diameters of the apertures.
    wavelength_nm : float
    pointing_urad : float
        Standard deviation of the pointing per axis.
    air_db : float or array_like
        Loss in the air along the whole way.

    Returns
    -------
    float or ndarray
        dB, above 0.

    Raises
    ------
    BadInput
        Naming the field.
    """
    z = 1e3 * _positive("distance_km", distance_km)
    sender_m, receiver_m = (_positive(name, value) / 200 for name, value in
                            (("sender_cm", sender_cm), ("receiver_cm", receiver_cm)))
    rayleigh_m = math.pi * sender_m**2 / (1e-9 * _positive("wavelength_nm", wavelength_nm))
    blur_m = 1e-6 * _positive("pointing_urad", pointing_urad, zero=True) * z
    spot2 = sender_m**2 * (1 + (z / rayleigh_m) ** 2) + 4 * blur_m**2
    caught = -np.expm1(-2 * receiver_m**2 / spot2)
    return (-10 * np.log10(caught) + _positive("air_db", air_db, zero=True))[()]


def satellite_pass(altitude_km=500.0, *, highest_deg=90.0, lowest_deg=15.0, zenith_air_db=1.0, step_s=1.0, **telescopes):
    """A pass of a satellite on a circular orbit over an Earth that stands still.

    Parameters
    ----------
    altitude_km : float
    highest_deg : float
        Elevation in the middle of the pass.
    lowest_deg : float
        Below it nothing is sent.
    zenith_air_db : float
        Loss of the air straight up; at elevation e it is ``1 / sin(e)`` times that.
    step_s : float
    **telescopes
        As of :func:`beam_loss_db`.

    Returns
    -------
    Pass

    Raises
    ------
    BadInput
        Naming the field.
    """
    radius = EARTH_KM + _positive("altitude_km", altitude_km)
    if not 1 <= lowest_deg < highest_deg <= 90:
        raise BadInput(f"must lie above lowest_deg = {lowest_deg:g} (at least 1) and within 90", field="highest_deg",
                       value=highest_deg)
    closest, furthest = (_central_angle(radius, e) for e in (highest_deg, lowest_deg))
    rate = math.sqrt(MU_KM3_S2 / radius**3)
    half_s = math.acos(math.cos(furthest) / math.cos(closest)) / rate
    steps = math.floor(half_s / _positive("step_s", step_s))
    time_s = step_s * np.arange(-steps, steps + 1)
    cosine = math.cos(closest) * np.cos(rate * time_s)
    distance = np.sqrt(EARTH_KM**2 + radius**2 - 2 * EARTH_KM * radius * cosine)
    sine = (radius * cosine - EARTH_KM) / distance
    loss = beam_loss_db(distance, air_db=_positive("zenith_air_db", zenith_air_db, zero=True) / sine, **telescopes)
    return Pass(time_s, np.degrees(np.arcsin(np.minimum(sine, 1))), distance, loss)


def _central_angle(radius, elevation_deg):
    """Angle at the Earth's centre between the station and the satellite that it sees at this elevation."""
    e = math.radians(elevation_deg)
    return math.acos(EARTH_KM / radius * math.cos(e)) - e


def _positive(field, value, zero=False):
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        array = np.array(math.nan)
    if not (np.isfinite(array) & ((array >= 0) if zero else (array > 0))).all():
        raise BadInput(f"{'numbers of at least 0' if zero else 'numbers above 0'} are expected", field=field, value=value)
    return array
