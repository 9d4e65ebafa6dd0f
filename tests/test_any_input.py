"""Whatever comes in, a function above a kernel answers or refuses with a ValueError. Made for `make sanitize`."""

import contextlib

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkdlab import streams
from qkdlab.bits import Bits
from qkdlab.choices import DrawnChoices
from qkdlab.datatypes import Clicks, ReceiverSettings, SourceSettings, SynchronisationSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.postprocessing import sift
from qkdlab.postprocessing.amplify import amplify
from qkdlab.postprocessing.cascade_plan import VARIANTS
from qkdlab.postprocessing.monte_carlo import correct_patterns
from qkdlab.postprocessing.reconcile import Corrector, Reference, reconcile
from qkdlab.postprocessing.synchronise import Synchroniser
from qkdlab.postprocessing.verify import tag
from qkdlab.simulation.link import link_from_tables
from qkdlab.simulation.settings import ChannelSettings, DetectorSettings, EveSettings

anything = hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
lengths = st.one_of(st.integers(0, 200), st.integers(0, 20_000), st.sampled_from([4095, 4096, 4097, 8192]))
seeds = st.integers(0, 2**64 - 1)
rates = st.floats(1e-9, 0.4999)
whole = st.integers(-(2**62), 2**62)


def bits(n, seed, density=0.5):
    return Bits.from_numpy(np.random.default_rng(seed).random(n) < density)


def refused(call, *arguments, **named):
    """The call's answer, or None where it is refused."""
    with contextlib.suppress(BadInput):
        return call(*arguments, **named)


@anything
@given(lengths, seeds, rates, st.floats(0, 1), st.sampled_from(sorted(VARIANTS)), st.integers(1, 30_000))
def test_reconcile(n, seed, estimate, density, variant, frame_bits):
    alice, wrong = bits(n, seed), bits(n, seed + 1, density)
    done = reconcile(alice, alice ^ wrong, estimate, seed=seed, variant=variant, frame_bits=frame_bits)
    assert done.verified == (done.bits == alice)
    positions = np.flatnonzero(wrong.to_numpy())
    if n:
        counted = correct_patterns(n, positions, [len(positions)], estimate, seed=seed, variant=variant,
                                   frame_bits=frame_bits)
        assert (int(counted.leak_bits[0]), int(counted.rounds[0]), counted.failures) \
            == (done.leak_bits, done.rounds, not done.verified)


@anything
@given(lengths, seeds, rates, st.data())
def test_what_the_other_party_says(n, seed, qber, data):
    """Bytes of the right length or not, a few rounds of them."""
    alice, bob = Reference(bits(n, 1), qber, seed=seed), Corrector(bits(n, 2), qber, seed=seed)
    question = bob.ask()
    for _ in range(20):
        if question is None:
            break
        answer = refused(alice.answer, question)
        said = data.draw(st.one_of(st.none(), st.binary(max_size=9)))
        if refused(bob.hear, answer[0] if said is None and answer else said or b"") is None and bob.waiting:
            break
        question = bob.ask()
        if said is not None and question:
            refused(alice.answer, question[:4] + said)


@anything
@given(lengths, st.floats(0, 1), seeds)
def test_amplify(n, share, seed):
    length = int(share * n)
    key, randomness = bits(n, seed), bits(max(n + length - 1, 0), seed + 1)
    assert len(amplify(key, length, randomness)) == length
    with pytest.raises(BadInput):
        amplify(key, length, bits(len(randomness) + 1, 1))


@anything
@given(lengths, st.binary(min_size=32, max_size=32), st.integers(1, 128))
def test_tag(n, seed, size):
    assert len(tag(bits(n, 1), seed, size)) == (size + 7) // 8


@anything
@given(st.binary(max_size=300), st.binary(max_size=100), st.integers(1, 8))
def test_messages_of_sifting(announced, answered, n_intensities):
    refused(sift.decode_slots, announced)
    heard = refused(sift.read_announcement, announced)
    basis = heard[1] if heard else np.unpackbits(np.frombuffer(announced, np.uint8))
    refused(sift.read_answer, answered, basis, n_intensities)


@anything
@given(st.lists(st.integers(0, 2**63 - 1), unique=True).map(sorted), st.integers(0, 2**32))
def test_announcement_comes_back(slots, seed):
    rng, n = np.random.default_rng(seed), len(slots)
    clicks = Clicks(np.array(slots, np.int64), *rng.integers(0, 2, (2, n), dtype=np.uint8))
    slot, basis = sift.read_announcement(sift.announce(clicks))
    assert np.array_equal(slot, clicks.slot)
    assert np.array_equal(basis, clicks.basis)
    key = sift.sifted(clicks.slot, clicks.outcome, clicks.basis, rng.integers(0, 8, n, dtype=np.uint8), code=0)
    assert len(key) == np.count_nonzero(basis == 0)


@anything
@given(st.lists(st.lists(st.tuples(whole, st.integers(0, 255)), max_size=60), max_size=4), st.booleans(), st.integers(0, 99))
def test_synchroniser(stretches, in_order, seed):
    """Tags at any time and of any channel, before and after real ones."""
    source = SourceSettings(clock_hz=1e8)
    machine = Synchroniser(source, SynchronisationSettings(), ReceiverSettings(), np.random.default_rng(seed))
    for stretch in stretches:
        stretch = sorted(stretch) if in_order else stretch
        columns = np.array(stretch, np.int64).reshape(-1, 2).T
        machine.push(TimeTags(columns[0], columns[1].astype(np.uint8)))
    machine.finish()


times = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50).map(lambda t: np.array(sorted(t), np.int64))


@anything
@given(times, times, st.integers(0, 2**63), st.integers(-(2**63), 2**63))
def test_streams(a, b, window, delay):
    merged = streams.merge(*(TimeTags(t, np.zeros(len(t), np.uint8)) for t in (a, b)))
    assert np.array_equal(merged.time_ps, np.sort(np.concatenate([a, b])))
    refused(streams.coincidences, a, b, window, delay)


@anything
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), st.integers(-5, 2**62), st.integers(-1, 5000))
def test_choices(slots, first, n):
    choices = DrawnChoices(SourceSettings(), SynchronisationSettings(), bytes(32))
    refused(choices.at, slots)
    refused(choices.train, first, n)


@anything
@given(st.lists(st.integers(-3, 40), max_size=30), st.lists(st.integers(-3, 30), max_size=5), st.integers(1, 40))
def test_error_patterns(positions, ends, n):
    refused(correct_patterns, n, np.array(positions, np.int64), np.array(ends, np.int64), 0.1, seed=1)


@hypothesis.settings(anything, max_examples=hypothesis.settings.default.max_examples // 5)
@given(st.floats(0, 200), st.floats(0, 1e6), st.integers(0, 10**7), st.floats(0, 0.5), st.floats(0, 1e8), st.floats(0, 1),
       st.integers(0, 2**32))
def test_simulated_link(distance, dark_hz, dead_ps, afterpulses, decay_ps, intercepted, seed):
    detectors = DetectorSettings(dark_rate_hz=dark_hz, dead_time_ps=dead_ps, afterpulse_probability=afterpulses,
                                 afterpulse_decay_ps=decay_ps)
    link = link_from_tables({"channel": ChannelSettings(distance_km=distance), "detectors": detectors,
                             "eve": EveSettings(intercept_fraction=intercepted)}, seed=seed)
    for block in link.blocks(2e-5, 1e-5):
        assert np.all(np.diff(block.time_ps) >= 0)
