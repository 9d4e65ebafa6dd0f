import math
import random
import socket
import threading

import numpy as np
import pytest

from qkdlab.bits import Bits
from qkdlab.classical_channel import LocalChannel, SocketChannel
from qkdlab.errors import BadInput
from qkdlab.postprocessing.cascade_plan import VARIANTS, Agreement
from qkdlab.postprocessing.reconcile import (
    Corrector,
    Reference,
    expected_efficiency,
    reconcile,
    run_alice,
    run_bob,
)


def keys(n, qber, seed=0):
    rng = np.random.default_rng(seed)
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    wrong = rng.random(n) < qber
    return Bits.from_numpy(alice), Bits.from_numpy(alice ^ wrong), int(wrong.sum())


def entropy(q):
    return -q * math.log2(q) - (1 - q) * math.log2(1 - q)


# ------------------------------------------------------------------------------------------------- both in this process


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 1000, 4096, 4097, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("variant", VARIANTS)
def test_any_length(n, variant):
    alice, bob, errors = keys(n, 0.05, seed=n)
    done = reconcile(alice, bob, 0.05, seed=n, variant=variant)
    assert done.bits == alice
    assert done.verified is True
    assert done.corrected == errors
    assert done.transcript_bits > 2 * done.leak_bits > 0


def test_all_wrong_and_one_bit():
    for n in (1, 64, 100, 5000):
        alice = Bits.from_numpy(np.ones(n, np.uint8))
        done = reconcile(alice, Bits.from_numpy(np.zeros(n, np.uint8)), 0.4, seed=1)
        assert done.bits == alice
        assert done.corrected == n


def test_empty():
    nothing = Bits.from_numpy([])
    done = reconcile(nothing, nothing, 0.02, seed=0)
    assert (len(done.bits), done.leak_bits, done.transcript_bits, done.rounds, done.verified) == (0, 0, 0, 0, True)


def test_identical_keys_cost_only_the_blocks():
    alice, _, _ = keys(100_000, 0)
    done = reconcile(alice, alice, 0.02, seed=3)
    assert done.corrected == 0
    assert done.bits == alice
    blocks = [math.ceil(100_000 / 64), 25 * 4096 // 512]
    assert done.leak_bits == sum(blocks) + VARIANTS["default"].checks
    assert done.rounds == 3


@pytest.mark.parametrize("estimate", [0.7, 1.3])
@pytest.mark.parametrize("qber", [0.01, 0.03, 0.08])
def test_a_wrong_estimate_costs_leak_not_correctness(qber, estimate):
    alice, bob, errors = keys(200_000, qber, seed=5)
    done = reconcile(alice, bob, estimate * qber, seed=6)
    assert done.bits == alice
    assert done.leak_bits < 1.12 * 200_000 * entropy(errors / 200_000)


@pytest.mark.parametrize("estimate", [1e-9, 0.499])
def test_a_wild_estimate_still_ends_well(estimate):
    alice, bob, _ = keys(20_000, 0.03, seed=7)
    assert reconcile(alice, bob, estimate, seed=8).bits == alice


def test_bursts():
    """Errors that come together, as after a fading link, are corrected as well."""
    alice, _, _ = keys(100_000, 0)
    wrong = np.zeros(100_000, np.uint8)
    wrong[5000:7000] = 1
    assert reconcile(alice, alice ^ Bits.from_numpy(wrong), 0.02, seed=9).bits == alice


def test_deterministic_in_the_seed():
    alice, bob, _ = keys(50_000, 0.03)
    assert reconcile(alice, bob, 0.03, seed=1) == reconcile(alice, bob, 0.03, seed=1)
    assert reconcile(alice, bob, 0.03, seed=1).leak_bits != reconcile(alice, bob, 0.03, seed=2).leak_bits


@pytest.mark.parametrize("qber, limit", [(0.01, 1.031), (0.02, 1.033), (0.03, 1.036), (0.05, 1.042), (0.08, 1.058)])
def test_efficiency(qber, limit):
    """Mean f over 40 keys of 1e5 bits: means measured over hundreds are 1.028, 1.030, 1.033, 1.038, 1.054."""
    leak, least = 0, 0.0
    for seed in range(40):
        alice, bob, errors = keys(100_000, qber, seed)
        done = reconcile(alice, bob, qber, seed=seed)
        assert done.verified
        leak += done.leak_bits
        least += 100_000 * entropy(errors / 100_000)
    assert leak / least < limit
    assert leak / least == pytest.approx(expected_efficiency(qber, 100_000), abs=0.008)


def test_few_rounds_trades_leak_for_rounds():
    alice, bob, _ = keys(100_000, 0.02, seed=4)
    default, few = (reconcile(alice, bob, 0.02, seed=1, variant=v) for v in ("default", "few-rounds"))
    assert few.rounds < default.rounds / 4
    assert default.leak_bits < few.leak_bits < 1.04 * default.leak_bits


def frames_that_fail(count, seed):
    """Of `count` frames of 1e4 bits at 1 to 8 %, half of them with the error rate mis-estimated by up to 30 %."""
    rng = np.random.default_rng(seed)
    zeros = Bits.from_numpy(np.zeros(10_000, np.uint8))
    failed = 0
    for i in range(count):
        qber = rng.uniform(0.01, 0.08)
        estimate = qber * rng.uniform(0.7, 1.3) if i % 2 else qber
        done = reconcile(zeros, Bits.from_numpy(rng.random(10_000) < qber), estimate, seed=int(rng.integers(2**63)))
        assert done.verified == (done.bits == zeros)
        failed += not done.verified
    return failed


def test_no_frame_fails():
    assert frames_that_fail(2000, seed=1) == 0


@pytest.mark.slow
def test_no_frame_fails_in_many():
    assert frames_that_fail(300_000, seed=2) <= 2           # below 1e-5: one in a million is expected


@pytest.mark.parametrize("changed", [
    {"qber": 0}, {"qber": 0.5}, {"qber": -0.1}, {"qber": math.nan}, {"qber": "0.1"}, {"qber": None}, {"qber": [0.1]},
    {"seed": -1}, {"seed": 2**64}, {"seed": 1.5}, {"seed": None}, {"seed": True},
    {"variant": "defualt"}, {"variant": None}, {"frame_bits": 0}, {"frame_bits": 1e5}, {"bob": np.zeros(100, np.uint8)},
    {"alice": b"0" * 100}, {"bob": Bits.from_numpy(np.zeros(99, np.uint8))},
])
def test_bad_arguments(changed):
    bits = Bits.from_numpy(np.zeros(100, np.uint8))
    given = {"alice": bits, "bob": bits, "qber": 0.02, "seed": 1} | changed
    with pytest.raises(BadInput, match="reconcile: "):
        reconcile(given.pop("alice"), given.pop("bob"), given.pop("qber"), **given)


# ------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("n, frame_bits", [(1, 1), (4096, 1), (10_000, 64), (100_000, 100_000), (100_001, 100_000),
                                           (1_000_000, 100_000), (999_999, 30_000), (3_000_000, 10**9)])
def test_frames_are_near_equal(n, frame_bits):
    lengths = Agreement(n, 0.02, 0, frame_bits=frame_bits).frame_lengths()
    assert sum(lengths) == n
    assert max(lengths) <= 64 * 4096
    assert max(lengths[:-1], default=0) - min(lengths[:-1], default=0) <= 4096
    assert 0 < lengths[-1] <= lengths[0]
    assert lengths[0] - lengths[-1] < 2 * 4096
    assert all(length % 4096 == 0 for length in lengths[:-1])
    assert max(lengths) < max(frame_bits, 1) + 4096 or len(lengths) == 1


def test_frames_share_rounds():
    alice, bob, _ = keys(400_000, 0.03)
    whole = reconcile(alice, bob, 0.03, seed=1)
    parts = [reconcile(alice[i : i + 102_400], bob[i : i + 102_400], 0.03, seed=1) for i in range(0, 307_200, 102_400)]
    assert whole.rounds < sum(p.rounds for p in parts)


def test_expected_efficiency_is_smooth_and_sane():
    rates = np.linspace(0.001, 0.3, 300)
    f = np.array([expected_efficiency(q, 10**6) for q in rates])
    assert np.all((1.02 < f) & (f < 1.2))
    assert np.abs(np.diff(f)).max() < 0.02
    assert expected_efficiency(0.02, 10**4) > expected_efficiency(0.02, 10**5) > expected_efficiency(0.02, 10**7)
    for qber, n in (0, 10), (0.5, 10), (0.1, 0), (0.1, 1.5):
        with pytest.raises(BadInput):
            expected_efficiency(qber, n)


@pytest.mark.parametrize("n, repeats", [(10_000, 40), (30_000, 20)])
def test_expected_efficiency_is_what_comes(n, repeats):
    for qber in (0.01, 0.04, 0.1):
        leak = least = 0.0
        for seed in range(repeats):
            alice, bob, errors = keys(n, qber, seed)
            leak += reconcile(alice, bob, qber, seed=seed).leak_bits
            least += n * entropy(errors / n)
        assert leak / least == pytest.approx(expected_efficiency(qber, n), abs=0.015)


# -------------------------------------------------------------------------------------------------------- two parties


def converse(alice, bob):
    """Exchange bytes until Bob has nothing more to ask: all questions and answers, and Alice's count of her leak."""
    said, leak = [], 0
    while (question := bob.ask()) is not None:
        answer, key_bits = alice.answer(question)
        assert 8 * len(answer) >= key_bits
        leak += key_bits
        bob.hear(answer)
        said += [question, answer]
    return said, leak


@pytest.mark.parametrize("n, frame_bits", [(1, 100), (65, 100), (10_000, 100_000), (50_000, 10_000),
                                           (250_000, 100_000)])
@pytest.mark.parametrize("variant", VARIANTS)
def test_two_parties_equal_one_process(n, frame_bits, variant):
    alice_bits, bob_bits, _ = keys(n, 0.04, seed=n)
    agreed = dict(seed=17, variant=variant, frame_bits=frame_bits)
    alice, bob = Reference(alice_bits, 0.04, **agreed), Corrector(bob_bits, 0.04, **agreed)
    said, leak = converse(alice, bob)
    once = reconcile(alice_bits, bob_bits, 0.04, **agreed)
    assert alice.done
    assert alice.bits is alice_bits
    assert bob.bits == once.bits == alice_bits
    assert leak == alice.leak_bits == bob.leak_bits == once.leak_bits
    assert alice.rounds == bob.rounds == once.rounds == len(said) // 2 - 1
    assert alice.corrected == bob.corrected == once.corrected
    assert 8 * sum(map(len, said)) == alice.transcript_bits == bob.transcript_bits == once.transcript_bits


def test_messages_are_the_same_again():
    """The protocol is a function of its arguments: the bytes of every message are, on any path and machine."""
    alice, bob, _ = keys(20_000, 0.03)
    said, _ = converse(Reference(alice, 0.03, seed=5), Corrector(bob, 0.03, seed=5))
    again, _ = converse(Reference(alice, 0.03, seed=5), Corrector(bob, 0.03, seed=5))
    assert said == again


def test_alice_answers_from_her_bits_only():
    """Her first answer does not depend on Bob, and says the parities of her blocks."""
    alice_bits, bob_bits, _ = keys(6400, 0.1)
    answers = []
    for bits in (bob_bits, alice_bits, Bits.from_numpy(np.zeros(6400, np.uint8))):
        answers.append(Reference(alice_bits, 0.1, seed=1).answer(Corrector(bits, 0.1, seed=1).ask()))
    assert answers[0] == answers[1] == answers[2]
    payload, key_bits = answers[0]
    parities = np.bitwise_count(alice_bits.to_numpy().reshape(-1, 8)).sum(axis=1) & 1
    assert payload == np.packbits(parities.astype(np.uint8), bitorder="little").tobytes()
    assert key_bits == 800


def over(channels, alice, bob):
    """Alice on a thread of her own, Bob here."""
    results = {}
    thread = threading.Thread(target=lambda: results.update(alice=run_alice(channels[0], alice)))
    thread.start()
    results["bob"] = run_bob(channels[1], bob)
    thread.join(timeout=120)
    assert not thread.is_alive()
    return results["alice"], results["bob"]


@pytest.mark.parametrize("kind", ["local", "socket"])
def test_over_a_classical_channel(kind):
    ends = LocalChannel.pair() if kind == "local" else tuple(map(SocketChannel, socket.socketpair()))
    alice_bits, bob_bits, _ = keys(130_000, 0.02)
    try:
        at_alice, at_bob = over(ends, Reference(alice_bits, 0.02, seed=3), Corrector(bob_bits, 0.02, seed=3))
    finally:
        for end in ends:
            end.close()
    once = reconcile(alice_bits, bob_bits, 0.02, seed=3)
    for end in ends:
        assert end.leaked["cascade-answer"] == once.leak_bits
        said = sum(end.sent.values()) + sum(end.heard.values())
        assert 8 * said == once.transcript_bits
        assert end.messages == 2 * once.rounds + 1
    assert at_alice.bits == alice_bits
    assert at_bob.bits == once.bits
    assert not at_alice.verified
    assert not at_bob.verified                    # a hash is compared in another step
    for name in ("leak_bits", "transcript_bits", "rounds", "corrected"):
        assert getattr(at_alice, name) == getattr(at_bob, name) == getattr(once, name)


def test_nothing_to_say_about_nothing():
    nothing = Bits.from_numpy([])
    alice_end, bob_end = LocalChannel.pair()
    assert run_alice(alice_end, Reference(nothing, 0.02, seed=1)).leak_bits == 0
    assert run_bob(bob_end, Corrector(nothing, 0.02, seed=1)).rounds == 0
    assert alice_end.messages == bob_end.messages == 0


@pytest.mark.parametrize("bobs", [dict(seed=2), dict(qber=0.2), dict(n=8999), dict(variant="few-rounds"),
                                  dict(frame_bits=4096)])
def test_parties_that_disagree_notice(bobs):
    alice = Reference(Bits.from_numpy(np.zeros(9000, np.uint8)), 0.02, seed=1)
    given = {"qber": 0.02, "seed": 1} | bobs
    bob = Corrector(Bits.from_numpy(np.zeros(given.pop("n", 9000), np.uint8)), **given)
    with pytest.raises(BadInput, match="differ from Alice's"):
        alice.answer(bob.ask())


def test_malformed_questions_are_refused():
    alice_bits, bob_bits, _ = keys(5000, 0.05)
    first = Corrector(bob_bits, 0.05, seed=1).ask()
    for wrong in (b"", b"\0", first[:-1], first + b"\0", bytes(len(first)), b"\1" + first[1:], "text", None, 7):
        with pytest.raises(BadInput):
            Reference(alice_bits, 0.05, seed=1).answer(wrong)
    alice, bob = Reference(alice_bits, 0.05, seed=1), Corrector(bob_bits, 0.05, seed=1)
    answer, _ = alice.answer(bob.ask())
    for wrong in (b"", answer[:-1], answer + b"\0", None):
        with pytest.raises(BadInput, match="bytes are expected"):
            bob.hear(wrong)
    bob.hear(answer)
    second = bob.ask()
    for wrong in (first, second[:-1], second + b"\0", b"\2" + second[1:], second[:-1] + b"\xff"):
        with pytest.raises(BadInput):
            alice.answer(wrong)
    alice.answer(second)                          # what was refused did no harm
    with pytest.raises(RuntimeError, match="not answered"):
        bob.ask()


def test_an_alice_who_lies_is_found_out():
    chance = random.Random(1)
    alice_bits, bob_bits, _ = keys(20_000, 0.05)
    alice, bob = Reference(alice_bits, 0.05, seed=1), Corrector(bob_bits, 0.05, seed=1)
    with pytest.raises(BadInput, match="contradict"):
        while (question := bob.ask()) is not None:
            answer = bytearray(alice.answer(question)[0])
            if answer:
                answer[0] ^= chance.getrandbits(1)
            bob.hear(answer)


def test_a_bob_who_lies_is_found_out():
    """He has no key and says what he likes, in messages of the right length: Alice stops him, and soon."""
    chance = random.Random(2)
    alice_bits, bob_bits, _ = keys(20_000, 0.05)
    alice, question, told = Reference(alice_bits, 0.05, seed=1), Corrector(bob_bits, 0.05, seed=1).ask(), 0
    with pytest.raises(BadInput, match="contradict"):
        for turn in range(1, 100_000):
            answer, key_bits = alice.answer(question)
            told += key_bits
            full, rest = divmod(key_bits, 8)
            claims = bytes(chance.getrandbits(8) for _ in range(full)) + bytes([chance.getrandbits(rest)] * (rest > 0))
            question = turn.to_bytes(4, "little") + claims
    assert alice.leak_bits == told                # what she gave away until then is counted
    with pytest.raises(BadInput):
        alice.answer(question)
