"""Detectors of known dead time, afterpulsing, dark rate and jitter, read back from their tags alone."""

import json
import pathlib

import numpy as np
import pytest

import qkdlab
from qkdlab import simulation
from qkdlab.cli import main
from qkdlab.datatypes import SourceSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.postprocessing.characterise import Characteriser, characterise
from qkdlab.postprocessing.lags import LagCounts, dead_time, lag_period_hz
from qkdlab.simulation import ChannelSettings, ClockSettings, DetectorSettings, EveSettings, SimulatedLink

SPAD = "timetags/libpicoquant/v30_t2.ptu"
PULSED = "timetags/eta/200204_HH400_T2_320MHz_HBT.timeres"


def steady(seconds, seed=1, **detectors):
    """Light at random, as dark counts: four alike detectors."""
    channel = ChannelSettings(extra_loss_db=200)
    link = SimulatedLink(SourceSettings(), None, channel, DetectorSettings(**detectors), ClockSettings(offset_ps=0),
                         EveSettings(), simulation.SECTIONS["receiver"](), seed=seed)
    return list(link.blocks(seconds))


def pulsed(seconds, clock_hz, seed=1, distance_km=50, pulse_fwhm_ps=0, drift_per_s=3e-9, **detectors):
    source = SourceSettings(clock_hz=clock_hz, intensities=(0.5,), probabilities=(1.0,))
    link = SimulatedLink(source, None, ChannelSettings(distance_km=distance_km, pulse_fwhm_ps=pulse_fwhm_ps),
                         DetectorSettings(key_basis_probability=0.5, **detectors),
                         ClockSettings(offset_ppm=3, drift_per_s=drift_per_s), EveSettings(),
                         simulation.SECTIONS["receiver"](), seed=seed)
    return list(link.blocks(seconds))


def close(own, name, truth, sigmas=4.5):
    assert abs(own[name] - truth) < sigmas * own["errors"][name], (name, own[name], truth, own["errors"][name])


@pytest.mark.parametrize("rate_hz, seconds, dead_ps, probability, decay_ps", [
    (1e5, 2.0, 50_000, 0.02, 5e5),
    (3e4, 3.0, 80_000, 0.005, 1e5),
    (2e4, 4.0, 10_000_000, 0.05, 5e6),              # InGaAs with a long hold-off, dead for a sixth of the time
    (1e6, 0.3, 100_000, 0.03, 2e5),
])
def test_steady_light(rate_hz, seconds, dead_ps, probability, decay_ps):
    table = characterise(steady(seconds, dark_rate_hz=rate_hz, dead_time_ps=dead_ps, afterpulse_probability=probability,
                                afterpulse_decay_ps=decay_ps))
    for own in table["detectors"].values():
        close(own, "dead_time_ps", dead_ps, 6)
        assert own["errors"]["dead_time_ps"] < 0.01 * dead_ps and abs(own["ready_ps"] / dead_ps - 1) < 0.01
        close(own, "afterpulse_probability", probability)
        assert own["errors"]["afterpulse_probability"] < max(0.4 * probability, 2e-3)
        assert own["afterpulse_decay_ps"] and abs(np.log(own["afterpulse_decay_ps"][-1] / decay_ps)) < 0.8
        load = own["rate_hz"] * dead_ps * 1e-12
        assert own["dead_share"] == pytest.approx(load, rel=0.01)
        assert own["light_rate_hz"] == pytest.approx(own["rate_hz"] / (1 - load), rel=0.01)
    mean = np.mean([own["afterpulse_probability"] for own in table["detectors"].values()])
    spread = np.mean([own["errors"]["afterpulse_probability"] for own in table["detectors"].values()]) / 2
    assert abs(mean - probability) < 4 * spread
    assert table["pulse_rate_hz"] is None and "not pulsed" in table["reasons"]["pulse_rate_hz"]
    assert table["dark_rate_hz"] is None and "light off" in table["reasons"]["dark_rate_hz"]


def test_saturation():
    table = characterise(steady(0.05, dark_rate_hz=1e7, dead_time_ps=200_000, afterpulse_probability=0.0))
    assert table["dead_share"] == pytest.approx(2 / 3, rel=0.01) and table["light_rate_hz"] == pytest.approx(1e7, rel=0.02)
    close(table, "dead_time_ps", 200_000, 6)
    assert table["afterpulse_probability"] is None and "attenuate" in table["reasons"]["afterpulse_probability"]


def test_two_time_constants():
    fast, slow = (steady(4.0, seed, dark_rate_hz=3e4, dead_time_ps=20_000, afterpulse_probability=0.04,
                         afterpulse_decay_ps=decay) for seed, decay in ((1, 1e5), (2, 3e6)))
    lags = [LagCounts(10**8, 1 << 20, 5) for _ in range(2)]
    from qkdlab.postprocessing.lags import afterpulsing

    clicks = 0
    for blocks, own in zip((fast, slow), lags, strict=True):
        time_ps = np.concatenate([b.time_ps[b.channel == 0] for b in blocks])
        own.push(time_ps)
        clicks += len(time_ps)
    lags[0].counts += lags[1].counts                # as if it were one detector with both traps
    found = afterpulsing(lags[0], clicks, 8e12, 20_000)
    assert len(found.decay_ps) == 2 and abs(found.probability - 0.04) < 5 * found.error < 0.02
    assert np.allclose(np.log(np.array(found.decay_ps) / [1e5, 3e6]), 0, atol=0.8) and 0.3 < found.shares[0] < 0.7


def test_no_afterpulses_are_none():
    own = characterise(steady(2.0, dark_rate_hz=5e4, afterpulse_probability=0))
    assert own["detectors"]
    for detector in own["detectors"].values():
        assert detector["afterpulse_probability"] < 4 * detector["errors"]["afterpulse_probability"] < 0.01
        assert detector["afterpulse_decay_ps"] is None and "no significant" in detector["reasons"]["afterpulse_decay_ps"]


@pytest.mark.parametrize("clock_hz, seconds, jitter_ps, dark_hz", [(1e9, 0.25, 120, 2000), (1e8, 1.0, 400, 5000)])
def test_pulsed_light(clock_hz, seconds, jitter_ps, dark_hz):
    delays = (0, 100, -150, 60)
    table = characterise(pulsed(seconds, clock_hz, jitter_fwhm_ps=jitter_ps, pulse_fwhm_ps=50, dark_rate_hz=dark_hz,
                                delay_ps=delays, afterpulse_probability=0.005, afterpulse_decay_ps=3e5))
    assert abs(table["pulse_rate_hz"] - clock_hz / (1 + 3e-6)) < 0.01 * clock_hz * 1e-6 and table["visibility"] > 0.8
    for c, own in table["detectors"].items():
        close(own, "jitter_fwhm_ps", np.hypot(jitter_ps, 50))
        assert own["errors"]["jitter_fwhm_ps"] < 0.05 * jitter_ps
        close(own, "dark_rate_hz", dark_hz)
        close(own, "afterpulse_probability", 0.005)
        assert abs(own["delay_ps"] - (delays[int(c)] - delays[0])) < 10
        # the gaps are multiples of the period: known to within it
        assert abs(own["dead_time_ps"] - 50_000) < max(5 * own["errors"]["dead_time_ps"], 1e12 / clock_hz)


def test_slow_pulses_hide_the_dead_time():
    table = characterise(pulsed(2.0, 2e6, distance_km=0, dark_rate_hz=0, afterpulse_probability=0))
    assert table["pulse_rate_hz"] == pytest.approx(2e6, rel=1e-5)
    assert table["dead_time_ps"] is None and "shorter than the pulse period" in table["reasons"]["dead_time_ps"]
    assert table["dead_share"] is None and table["reasons"]["dead_share"]


def test_balance():
    blocks = steady(1.0, dark_rate_hz=5e4, dead_time_ps=1_000_000, afterpulse_probability=0)
    rng = np.random.default_rng(1)
    weaker = []
    for block in blocks:
        kept = (block.channel != 1) | (rng.random(len(block)) < 0.8)
        weaker.append(TimeTags(block.time_ps[kept], block.channel[kept]))
    pairs = characterise(weaker, pairs=[(0, 1), (2, 3)])["balance"]
    assert abs(pairs[0]["ratio"] - 0.8) < 0.05 and pairs[0]["channels"] == [0, 1]
    assert 1 - pairs[1]["ratio"] < 4 * pairs[1]["error"]
    assert characterise(weaker)["balance"] is None


def flickering(seed, n=2):
    """Light that goes on and off within microseconds, on detectors with a dead time of 50 ns and no afterpulses."""
    rng = np.random.default_rng(seed)
    time_ps = np.sort(rng.integers(0, 10**12, 600_000))
    switch = np.cumsum(rng.exponential(5e6, 250_000)).astype(np.int64)
    time_ps = time_ps[np.searchsorted(switch, time_ps) % 2 == 0]
    detector = rng.integers(0, n, len(time_ps)).astype(np.uint8)
    keep = np.ones(len(time_ps), bool)
    for d in range(n):
        mine = np.flatnonzero(detector == d)
        keep[mine[1:][np.diff(time_ps[mine]) < 50_000]] = False
    return TimeTags(time_ps[keep], detector[keep])


def test_flickering_light_is_not_afterpulsing():
    two = characterise(flickering(1))
    for own in two["detectors"].values():
        assert own["afterpulse_probability"] < 4 * own["errors"]["afterpulse_probability"] < 0.08
    one = characterise(flickering(1, n=1))
    assert one["afterpulse_probability"] is None and "flicker" in one["reasons"]["afterpulse_probability"]
    # one of the two, with the other to compare
    alone = characterise(flickering(1), channel=1)
    assert alone["afterpulse_probability"] == two["detectors"]["1"]["afterpulse_probability"]


def test_strays_do_not_shorten_the_dead_time():
    block = characterise_first(steady(1.0, dark_rate_hz=1e5))
    rng = np.random.default_rng(3)
    double = rng.random(len(block)) < 1e-4
    time_ps = np.concatenate([block, block[double] + rng.integers(0, 20_000, double.sum())])
    table = characterise(TimeTags(np.sort(time_ps), np.zeros(len(time_ps), np.uint8)))
    assert abs(table["dead_time_ps"] - 50_000) < 500 and table["stray_gaps"] >= double.sum()


def characterise_first(blocks):
    return np.concatenate([b.time_ps[b.channel == 0] for b in blocks])


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_few_tags_tell_little_and_say_so(n):
    table = characterise(TimeTags(np.sort(np.random.default_rng(1).integers(0, 10**10, n)), np.zeros(n)))
    json.dumps(table, allow_nan=False)
    for name in ("dead_time_ps", "afterpulse_probability", "pulse_rate_hz", "visibility", "jitter_fwhm_ps", "dark_rate_hz"):
        assert table[name] is None and table["reasons"][name]


def test_every_none_has_its_reason_and_every_estimate_its_error():
    for blocks in (steady(0.3, dark_rate_hz=1e5), pulsed(0.2, 1e9), steady(0.1, dark_rate_hz=100)):
        for table in (t := characterise(blocks), *t["detectors"].values()):
            for name, value in table.items():
                assert value is not None or table["reasons"][name], name
            for name in table["errors"]:
                assert table[name] is not None and table["errors"][name] >= 0, name


@pytest.mark.parametrize("size", [1, 1000])
def test_how_the_tags_are_cut_makes_no_difference(size):
    whole = steady(0.005, dark_rate_hz=2e5, dead_time_ps=100_000)
    time_ps, channel = (np.concatenate([getattr(b, n) for b in whole]) for n in ("time_ps", "channel"))
    machine = Characteriser()
    for i in range(0, len(time_ps), size):
        machine.push(TimeTags(time_ps[i : i + size], channel[i : i + size]))
    assert machine.finish() == characterise(whole)


def test_long_recordings_in_bounded_memory(monkeypatch):
    """The stretches after the probe are counted and dropped, and give what the whole would."""
    from qkdlab.postprocessing import characterise as module

    blocks = pulsed(0.2, 1e9, dark_rate_hz=3000)
    whole = characterise(blocks)
    monkeypatch.setattr(module, "PROBE_TAGS", 20_000)
    monkeypatch.setattr(module, "MOST_TAGS", 30_000)
    machine, most = Characteriser(), 0
    for block in blocks:
        for i in range(0, len(block), 5000):
            machine.push(TimeTags(block.time_ps[i : i + 5000], block.channel[i : i + 5000]))
            most = max(most, machine._n_waiting)
    parts = machine.finish()
    assert most < 40_000 < whole["tags"] == parts["tags"]
    assert parts["dead_time_ps"] == whole["dead_time_ps"]
    assert abs(parts["pulse_rate_hz"] - whole["pulse_rate_hz"]) < 20 and parts["visibility"] > 0.8
    for c, own in whole["detectors"].items():
        close(parts["detectors"][c], "jitter_fwhm_ps", own["jitter_fwhm_ps"], 2)
        close(parts["detectors"][c], "afterpulse_probability", own["afterpulse_probability"], 2)


def test_bad_input():
    tags = TimeTags(np.arange(10), np.zeros(10))
    for wrong in ({"channel": 3}, {"channel": -1}, {"channel": 256}, {"nominal_hz": 1.0}):
        with pytest.raises(BadInput):
            characterise(tags, **wrong)
    with pytest.raises(BadInput, match="time order"):
        characterise(TimeTags([3, 2, 1], [0, 0, 0]))
    with pytest.raises(BadInput, match="no tags"):
        characterise([])
    with pytest.raises(BadInput, match="time order"):
        characterise([tags, tags])


def test_the_period_of_lags_needs_no_guess():
    for clock_hz in (2e6, 80e6, 1.25e9):
        blocks = pulsed(min(0.2, 2e7 / clock_hz), clock_hz, distance_km=10, jitter_fwhm_ps=50)
        time_ps, channel = (np.concatenate([getattr(b, n) for b in blocks]) for n in ("time_ps", "channel"))
        assert lag_period_hz(time_ps, channel) == pytest.approx(clock_hz, rel=8e-6)
    rng = np.random.default_rng(1)
    assert lag_period_hz(np.sort(rng.integers(0, 10**12, 10**5)), np.zeros(10**5, np.uint8)) is None


def test_no_edge_no_dead_time():
    gaps = LagCounts(1 << 43, 1, 10)
    gaps.push(np.sort(np.random.default_rng(1).integers(0, 10**14, 10**5)))
    assert dead_time(gaps) is None


def test_the_tick_of_a_coarse_clock_is_no_dead_time():
    time_ps = np.sort(np.random.default_rng(1).integers(0, 10**11, 10**6)) // 97 * 97
    assert characterise(TimeTags(time_ps, np.zeros(10**6)))["dead_time_ps"] is None


def test_real_spad(shared, capsys):
    assert main(["characterise", str(shared / SPAD), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert abs(table["dead_time_ps"] - 81_000) < 500 and 0.007 < table["afterpulse_probability"] < 0.012
    assert table["errors"]["afterpulse_probability"] < 0.001 and abs(table["rate_hz"] - 61_113.7) < 0.1
    assert table["pulse_rate_hz"] is None and table["visibility"] is None and table["reasons"]["visibility"]
    assert main(["characterise", str(shared / SPAD)]) == 0
    out = capsys.readouterr().out
    assert "dead time" in out and "81." in out and "ns" in out and "not pulsed" in out


def test_real_pulsed_light(shared, capsys):
    for more in ([], ["--channel", "0"], ["--channel", "1"]):
        assert main(["characterise", str(shared / PULSED), "--json", *more]) == 0
        table = json.loads(capsys.readouterr().out)
        assert abs(table["pulse_rate_hz"] - 319_678_167.6) < 0.5 and table["visibility"] > 0.95
        # the light itself bunches over microseconds, which both detectors see
        assert table["afterpulse_probability"] < 0.02 and abs(table["dead_time_ps"] - 79_500) < 2000
        assert 200 < table["jitter_fwhm_ps"] < 400 and table["background_hz"] < 200
    assert len(table["detectors"]) == 1 and table["channel"] == 1


def test_refused_in_one_line(shared, capsys, tmp_path):
    (tmp_path / "no.ptu").write_bytes(b"nothing of the kind")
    for argv in ([tmp_path / "no.ptu"], [tmp_path / "absent"], [shared / SPAD, "--channel", "9"],
                 [shared / SPAD, "--channel", "x"]):
        assert main(["characterise", *map(str, argv), "--json"]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1


def test_a_run_knows_its_pulse_rate_and_its_pairs(capsys):
    demo = pathlib.Path(qkdlab.__file__).parent / "datasets" / "demo"
    assert main(["characterise", str(demo), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["jitter_fwhm_ps"] == pytest.approx(np.hypot(100, 100), rel=0.03)
    assert table["pulse_rate_hz"] == pytest.approx(1e8 / (1 + 4.7e-6), rel=1e-8)
    assert [p["channels"] for p in table["balance"]] == [[0, 1], [2, 3]]
    assert all(p["ratio"] > 0.98 for p in table["balance"])
    close(table, "afterpulse_probability", 0.01)


def test_numbers_are_told_to_the_second_digit_of_their_uncertainty(capsys):
    demo = pathlib.Path(qkdlab.__file__).parent / "datasets" / "demo"
    main(["characterise", str(demo), "--json"])
    own = json.loads(capsys.readouterr().out)["detectors"]["0"]
    main(["characterise", str(demo)])
    words = capsys.readouterr().out
    assert f"{round(own['rate_hz'], -1):,.0f} ± {round(own['errors']['rate_hz'], -1):,.0f} Hz" in words
    assert f"{own['dead_time_ps'] * 1e-3:.3f} ± {own['errors']['dead_time_ps'] * 1e-3:.3f} ns" in words
    assert "e+" not in words, "no powers of ten"
