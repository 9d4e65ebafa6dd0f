import numpy as np
import pytest

from qkdlab.postprocessing.pulse_rate import longest_span_s, pulse_rate


def photons(path):
    """Times (ps) and input fields of the photons in a HydraHarp V2 T2 recording."""
    raw = path.read_bytes()
    records = np.frombuffer(raw, "<u4", offset=raw.index(b"Header_End") + 48)
    special, channel, time = records >> 31, records >> 25 & 63, (records & 0x1FFFFFF).astype(np.int64)
    overflow = (special == 1) & (channel == 63)
    shown = np.cumsum(np.where(overflow, np.maximum(time, 1), 0)) * 33_554_432 + time
    return shown[special == 0], channel[special == 0].astype(np.uint8)


def pulsed(rate_hz, seconds, n, *, jitter_ps=60.0, noise=0, drift=0.0, seed=1, start=10**17):
    """Tags of a pulsed source: `n` in pulses, `noise` anywhere."""
    rng = np.random.default_rng(seed)
    t = rng.integers(0, int(seconds * rate_hz), n) / rate_hz + rng.normal(0, jitter_ps * 1e-12, n)
    t = np.concatenate([t - 0.5 * drift * t * t, rng.uniform(0, seconds, noise)])
    return start + np.sort(np.rint(t * 1e12).astype(np.int64))


def test_real_light_has_its_rate(shared):
    """Two SPADs, no sync channel: 319,678,167.6 Hz, as another fit of the same tags gave."""
    time_ps, field = photons(shared / "timetags/eta/200204_HH400_T2_320MHz_HBT.timeres")
    assert len(time_ps) == 384_019 and time_ps[-1] == 999_986_166_686
    for nominal_hz, ppm, detector in ((319.68e6, 20, field), (320e6, 2000, field), (319.68e6, 20, None)):
        found = pulse_rate(time_ps, nominal_hz, ppm, detector)
        assert abs(found.rate_hz - 319_678_167.6) < 0.5
        if detector is not None:
            assert found.visibility > 0.95
    for which in (0, 1):
        alone = pulse_rate(time_ps[field == which], 319.68e6)
        assert abs(alone.rate_hz - 319_678_167.57) < 0.02 and alone.visibility > 0.95


def test_real_light_at_a_wrong_nominal_rate_is_refused(shared):
    """Weak sidebands of the real laser are significant 26 kHz away, but they are not its pulses."""
    time_ps, field = photons(shared / "timetags/eta/200204_HH400_T2_320MHz_HBT.timeres")
    assert pulse_rate(time_ps, 319.70e6, 20, field) is None
    assert pulse_rate(time_ps, 300e6, 20, field) is None


@pytest.mark.parametrize("nominal_hz", [5e7, 1e9, 2.5e9])
@pytest.mark.parametrize("ppm", [-19, 0.3, 19])
def test_rate_within_its_error(nominal_hz, ppm):
    rate_hz = nominal_hz * (1 + ppm * 1e-6)
    time_ps = pulsed(rate_hz, 0.3, 3000, noise=2000)
    found = pulse_rate(time_ps, nominal_hz)
    assert abs(found.rate_hz - rate_hz) < 5 * found.rate_error_hz < 0.5
    assert 0.35 < found.visibility < 0.63


@pytest.mark.parametrize("drift", [-1e-8, 1e-8])
def test_drift_is_found_over_long_spans(drift):
    """At 1 GHz a drift of 1e-8/s bends the phase by 5 slots over one second."""
    time_ps = pulsed(1e9, 1.0, 500, noise=300, drift=drift, seed=5)
    found = pulse_rate(time_ps, 1e9)
    middle_s = (found.time_ps - 10**17) * 1e-12
    assert abs(found.rate_hz - 1e9 * (1 + drift * middle_s)) < 0.5
    assert abs(found.drift_hz_per_s - 1e9 * drift) < 2
    assert longest_span_s(1e9) > 1


def test_phase_belongs_to_the_pulses():
    """At ``time_ps`` a clock that shows ``turns`` shows whole numbers when pulses come."""
    for shift_ps in (0, 300, 900):
        time_ps = pulsed(1e9 * (1 + 7e-6), 0.05, 5000, start=10**17 + shift_ps)
        found = pulse_rate(time_ps, 1e9)
        shown = (time_ps - found.time_ps) * 1e-12 * found.rate_hz + found.turns[0]
        assert abs(np.angle(np.exp(2j * np.pi * shown).mean())) / (2 * np.pi) < 0.005


def test_detectors_with_opposite_phases_do_not_cancel():
    time_ps = pulsed(1e9, 0.01, 4000)
    detector = (np.arange(4000) % 2).astype(np.uint8)
    time_ps += 500 * detector.astype(np.int64)
    order = np.argsort(time_ps)
    found = pulse_rate(time_ps[order], 1e9, detector=detector[order])
    assert abs(found.rate_hz - 1e9) < 1 and found.visibility > 0.9
    assert abs(abs(found.turns[0] - found.turns[1]) - 0.5) < 0.02


def test_noise_has_no_rate():
    rng = np.random.default_rng(2)
    for n in (0, 1, 23, 24, 100, 3000):
        for seconds in (1e-4, 0.02, 0.5):
            time_ps = np.sort(rng.integers(0, int(seconds * 1e12), n))
            assert pulse_rate(time_ps, 1e9) is None


@pytest.mark.parametrize("ppm", [-400, -100, -30, 30, 41, 80, 100])
def test_a_rate_outside_of_the_search_is_not_folded_into_it(ppm):
    assert pulse_rate(pulsed(1e9 * (1 + ppm * 1e-6), 0.02, 200_000), 1e9) is None


def test_light_that_comes_late_is_located():
    """Bob records long before Alice sends: the middle of the light is not that of the tags."""
    light = pulsed(1e9, 0.05, 2000) + 2 * 10**11
    noise = 10**17 + np.random.default_rng(0).integers(0, 25 * 10**10, 300)
    found = pulse_rate(np.sort(np.concatenate([light, noise])), 1e9)
    assert abs(found.time_ps - 10**17 - 225 * 10**9) < 10**10
    assert abs(found.spread_s - 0.05 / np.sqrt(12)) < 0.012
    assert abs(found.rate_hz - 1e9) < 5 * found.rate_error_hz
