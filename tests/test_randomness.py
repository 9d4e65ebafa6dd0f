"""Random bytes on trial: exact false-alarm levels, and what a fault of the source does to a key."""

import json
import math
from fractions import Fraction
from math import comb

import numpy as np
import pytest

from qkdlab import simulation
from qkdlab.cli import main
from qkdlab.datatypes import SourceSettings
from qkdlab.errors import BadInput
from qkdlab.instruments import quantis_appliance, quantis_device
from qkdlab.instruments.errors import InstrumentTimeout
from qkdlab.instruments.random_health import PROPORTION, REPEATS, WINDOW
from qkdlab.instruments.servers import SimulatedBench, World
from qkdlab.live import LiveLink
from qkdlab.randomness import SourcedChoices, _coin, _lags, assess, health_levels, watched
from qkdlab.session import Session


class Source:
    """Seeded bytes; `spoil(bytes) -> bytes` makes them bad."""

    def __init__(self, seed=1, simulated=True, spoil=lambda data: data):
        self._rng, self.simulated, self.spoil = np.random.default_rng(seed), simulated, spoil

    def read(self, n_bytes):
        return self.spoil(self._rng.bytes(n_bytes))


def biased(p, n=1 << 16, seed=2):
    return np.packbits(np.random.default_rng(seed).random(8 * n) < p).tobytes()


# ----------------------------------------------------------------------------------------------- levels, exactly


def test_the_cut_offs_of_the_health_tests_by_exact_binomials():
    def at_most(c):                                      # P(Binomial(512, 1/256) <= c), in whole numbers
        return sum(comb(WINDOW, k) * 255 ** (WINDOW - k) for k in range(c + 1))

    wanted = (1 - Fraction(1, 1 << 40)) * 256**WINDOW
    smallest = next(c for c in range(WINDOW) if at_most(c) >= wanted)
    assert PROPORTION == 1 + smallest and REPEATS == 1 + math.ceil(40 / 8)
    levels = health_levels()
    assert levels["repetition"] == (6, 2.0**-40)
    # the first byte of a window and at least 18 more of the 511
    above = 1 - Fraction(sum(comb(511, k) * 255 ** (511 - k) for k in range(PROPORTION - 1)), 256**511)
    assert levels["proportion"][1] == pytest.approx(float(above), rel=1e-6, abs=0)
    assert Fraction(1, 1 << 38) < above < Fraction(1, 1 << 37)


@pytest.mark.parametrize("n", [1, 2, 10, 41])
def test_the_chance_of_so_many_heads_is_exact(n):
    for heads in range(n + 1):
        low = min(heads, n - heads)
        tail = sum(comb(n, k) for k in range(low + 1))
        assert _coin(heads, n)["p"] == pytest.approx(min(1.0, 2 * tail / 2**n), rel=1e-12)


def test_equal_bits_at_a_lag_are_a_coin_for_every_sequence():
    n, lag = 10, 3
    bits = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
    equal = (bits[:, lag:] == bits[:, :-lag]).sum(axis=1)
    assert np.bincount(equal).tolist() == [comb(n - lag, k) * 2**lag for k in range(n - lag + 1)]


def test_false_alarms_are_as_rare_as_stated():
    rng, failed, runs = np.random.default_rng(11), 0, 200
    for _ in range(runs):
        failed += not assess(rng.bytes(2000), alpha=0.2)["passed"]
    # at most alpha each: 200 runs fail 40 times, and more than 70 times once in a million
    assert 0 < failed < 70


# ----------------------------------------------------------------------------------------------------- the suite


def test_good_bytes_pass_with_nearly_full_entropy():
    found = assess(np.random.default_rng(5).bytes(1 << 18))
    assert found["passed"] and found["reason"] is None and found["health"] is None
    entropy = found["min_entropy_per_bit"]
    assert entropy["most_common_value"] > 0.99 and entropy["markov"] > 0.98 and entropy["collision"] > 0.9
    assert entropy["least"] == min(v for k, v in entropy.items() if k != "least")
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_what_each_fault_is_caught_by():
    rng = np.random.default_rng(6)
    fair = np.unpackbits(np.frombuffer(rng.bytes(1 << 16), np.uint8))
    slow = fair.copy()
    keep = rng.random(len(fair)) < 0.05                  # one bit in twenty repeats the one 8 before it
    slow[8:][keep[8:]] = fair[:-8][keep[8:]]
    sticky = np.cumsum(rng.random(len(fair)) < 0.48) % 2                 # changes too rarely
    even = np.frombuffer(rng.bytes(1 << 16), np.uint8) % 251             # some bytes never come
    for data, test in ((biased(0.51), "monobit"), (np.packbits(sticky.astype(np.uint8)).tobytes(), "runs"),
                       (np.packbits(slow).tobytes(), "lag correlation"), (even.tobytes(), "byte chi-square")):
        found = assess(data)
        assert not found["passed"] and found["tests"][test]["p"] < found["tests"][test]["threshold"], test
    assert assess(np.packbits(slow).tobytes())["tests"]["lag correlation"]["lag"] == 8
    assert "stuck" in assess(bytes(4000))["health"]


@pytest.mark.parametrize("p", [0.5, 0.6, 0.75, 0.9])
def test_the_estimates_against_the_entropy_of_a_biased_coin(p):
    found, truth = assess(biased(p, 1 << 17))["min_entropy_per_bit"], -math.log2(max(p, 1 - p))
    for name in ("most_common_value", "markov", "collision"):
        low = truth - (0.12 if name == "collision" else 0.02)            # near 1/2 the collision estimate is a blunt one
        assert low < found[name] <= truth + 0.01, name


def test_a_markov_chain_has_the_entropy_of_its_likeliest_path():
    rng = np.random.default_rng(8)
    bits = np.cumsum(rng.random(1 << 20) < 0.25) % 2     # each bit equals the last one with 3/4
    found = assess(np.packbits(bits.astype(np.uint8)).tobytes())["min_entropy_per_bit"]
    assert found["markov"] == pytest.approx((1 - 127 * math.log2(0.75)) / 128, abs=0.01)
    assert found["most_common_value"] > 0.99             # which does not see it


@pytest.mark.parametrize("data, alpha", [(b"", 1e-6), (bytes(1279), 1e-6), ("text", 1e-6), (bytes(2000), 0.0),
                                         (bytes(2000), 2)])
def test_bad_input(data, alpha):
    with pytest.raises(BadInput):
        assess(data, alpha=alpha)


def test_command_line(tmp_path, capsys):
    good, bad, short = (tmp_path / name for name in ("good", "bad", "short"))
    good.write_bytes(np.random.default_rng(9).bytes(40_000))
    bad.write_bytes(biased(0.55))
    short.write_bytes(b"abc")
    assert main(["randomness", str(good), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] is True
    assert main(["randomness", str(bad)]) == 1 and "FAILED: monobit" in capsys.readouterr().out
    assert main(["randomness", str(short)]) == 2 and "short" in capsys.readouterr().err
    assert main(["randomness", str(tmp_path / "none")]) == 2


# ----------------------------------------------------------------------------------------------- the sender's path

SOURCE = SourceSettings(intensities=(0.5, 0.15, 0.001), probabilities=(0.6, 0.25, 0.15), key_basis_probability=0.7,
                        clock_hz=2e7)


def choices_of(random, **options):
    return SourcedChoices(SOURCE, None, random, **options)


def test_choices_follow_the_stated_probabilities():
    choices = choices_of(Source())
    symbols = choices.train(0, 300_000).symbols
    assert choices.blocked() is None and choices.drawn >= 300_000
    share = np.bincount(symbols >> 2, minlength=3) / len(symbols)
    assert share == pytest.approx(SOURCE.achieved_probabilities, abs=0.006)
    assert np.mean((symbols >> 1) & 1) == pytest.approx(0.3, abs=0.006)
    assert np.mean(symbols & 1) == pytest.approx(0.5, abs=0.006)
    assert (choices.at([5, 70_000, 1]) == symbols[[5, 70_000, 1]]).all()
    assert choices.covers(np.array([0, choices.drawn - 1, choices.drawn])).tolist() == [True, True, False]


def test_slots_that_were_not_played_are_not_drawn_afterwards(monkeypatch):
    monkeypatch.setattr("qkdlab.randomness.MOST_AHEAD", 1 << 18)
    choices = choices_of(Source())
    assert not choices.covers(np.array([10])).any() and choices.drawn == 0
    lazy = choices_of(Source(), lazily=True)
    assert lazy.covers(np.array([10, 1 << 61])).tolist() == [True, False]        # nobody makes it draw for ever


def test_old_slots_are_forgotten():
    choices = choices_of(Source(), keep_slots=1 << 17)
    choices.train(0, 1 << 19)
    assert choices.covers(np.array([0, (1 << 19) - 1])).tolist() == [False, True]


def lagged(data):
    bits = np.frombuffer(data, "<u4").copy()
    often = np.random.default_rng(1).random(len(bits) - 1) < 0.1
    bits[1:] = np.where(often, bits[1:] & ~np.uint32(1) | bits[:-1] & 1, bits[1:])
    return bits.tobytes()


@pytest.mark.parametrize("spoil, why", [
    (lambda data: bytes(len(data)), "stuck"), (lambda data: biased(0.55, len(data)), "chi-square|biased"), (lagged, "lag 1"),
    (lambda data: data[:-1], ""), (lambda data: (_ for _ in ()).throw(OSError("pulled out")), "pulled out")])
def test_a_failing_source_blocks_with_the_reason_and_stays_blocked(spoil, why):
    source = Source()
    choices = choices_of(source)
    choices.train(0, 1 << 17)
    assert choices.blocked() is None
    source.spoil = spoil
    choices.train(1 << 17, 1 << 18)
    import re

    assert re.search(why, choices.blocked()) and choices.blocked().startswith("the random source failed")
    source.spoil = lambda data: data
    assert choices.blocked()                             # not trusted again


def test_a_source_that_fails_late_in_a_block_is_found(monkeypatch):
    monkeypatch.setattr("qkdlab.randomness.LAG_BITS", 1 << 17)           # of a stretch: else a block of minutes is drawn
    for spoil, why in ((lambda data: biased(0.55, len(data)), "chi-square"), (lagged, "lag 1")):
        source = Source()
        choices = choices_of(source)
        choices.train(0, 1 << 17)
        source.spoil = spoil
        choices.train(1 << 17, 1 << 17)
        assert why in choices.blocked()


def link(random, **detectors):
    tables = {name: cls() for name, cls in simulation.SECTIONS.items()}
    tables["source"] = SOURCE
    tables["synchronisation"] = tables["synchronisation"].replace(frame_slots=1 << 16, header_slots=1 << 12)
    tables["channel"] = tables["channel"].replace(distance_km=1.0)
    tables["detectors"] = tables["detectors"].replace(key_basis_probability=0.7, efficiency=0.9, dead_time_ps=20_000)
    choices = SourcedChoices(SOURCE, tables["synchronisation"], random, lazily=True)
    return simulation.simulate(tables, seed=4, choices=choices)


def test_a_simulated_link_makes_key_from_a_healthy_source_and_none_from_a_failing_one():
    report = Session(link(Source())).run(0.25)
    assert report["secret_bits"] > 0 and report["alice_key_sha256"] == report["bob_key_sha256"]
    source, taken = Source(), []
    source.spoil = lambda data: taken.append(1) or (data if len(taken) < 20 else bytes(len(data)))
    report = Session(link(source)).run(0.1)
    assert report["secret_bits"] == 0 and "random source failed" in report["reason"] and "stuck" in report["reason"]


def test_a_watched_source_that_failed_is_not_trusted_again_and_a_silent_one_only_waits():
    source = Source()
    blocked = watched("qrng", source)
    assert blocked() is None
    source.spoil = lambda data: (_ for _ in ()).throw(InstrumentTimeout("no answer"))
    assert "'qrng' could not be read: no answer" in blocked()
    source.spoil = lambda data: data
    assert blocked() is None
    source.spoil = lambda data: biased(0.55, len(data))
    assert "'qrng' failed" in blocked()
    source.spoil = lambda data: data
    assert "'qrng' failed" in blocked()


def test_a_blocker_stops_the_key_and_one_that_breaks_does_too():
    for blocker, why in ((lambda: "calibration: the bias is out of date", "out of date"),
                         (lambda: 1 / 0, "could not be told")):
        report = Session(link(Source()), blockers=[lambda: None, blocker]).run(0.05)
        assert report["secret_bits"] == 0 and why in report["reason"]


def test_a_simulated_source_never_feeds_a_key_marked_real():
    class Tagger:
        simulated = False

        def identity(self):
            return "a tagger"

    from qkdlab.accounting import Agreement
    from qkdlab.classical_channel import LocalChannel
    from qkdlab.datatypes import DistillSettings, ReceiverSettings, SynchronisationSettings
    from qkdlab.parties import Alice

    real = LiveLink(choices_of(Source(simulated=True)), ReceiverSettings(), Tagger())
    with pytest.raises(BadInput, match="simulated random source"):
        Session(real)
    agreement = Agreement(SOURCE, SynchronisationSettings(), ReceiverSettings(), DistillSettings())
    with pytest.raises(BadInput, match="simulated random source"):
        Alice(real.choices, agreement, LocalChannel.pair()[0])
    real.choices = choices_of(Source(simulated=False))
    assert Session(real).blocked() is None

    class Unsaid:
        read = Source().read

    assert choices_of(Unsaid()).simulated                # one that does not say is not trusted


@pytest.mark.parametrize("kind, driver", [("quantis_appliance", quantis_appliance), ("quantis_device", quantis_device)])
def test_a_source_on_the_wire_and_its_faults(kind, driver):
    with SimulatedBench(World(seed=3), [kind]) as bench, driver.connect(bench.address(kind), simulated=True) as random:
        choices = choices_of(random)
        choices.train(0, 1 << 16)
        assert choices.simulated and choices.blocked() is None
        if kind == "quantis_appliance":
            bench.fault(kind, "repeat")
            choices.train(1 << 16, 1 << 18)
            assert "random source failed" in choices.blocked()


def test_the_lag_is_named():
    found = _lags(np.resize(np.array([0, 0, 1, 0, 1], np.uint8), 200))
    assert found["lag"] == 5 and found["p"] == pytest.approx(64 * 2.0**-194, rel=1e-9, abs=0)
