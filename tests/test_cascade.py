import numpy as np
import pytest
from reference import cascade as reference


def words_of(bits):
    packed = np.packbits(bits, bitorder="little")
    return np.pad(packed, (0, -len(packed) % 8)).view(np.uint64)


def keys(frame_bits, errors, rng):
    """Alice's and Bob's words; `errors` is a rate or a function of the length."""
    n = int(np.sum(frame_bits))
    alice = rng.integers(0, 2, n, dtype=np.uint8)
    wrong = rng.random(n) < errors if isinstance(errors, float) else errors(n)
    return words_of(alice), words_of(alice ^ wrong)


def both(module, plan, alice, bob):
    return module.Party(plan, alice, False), module.Party(plan, bob, True)


def one_round(alice, bob):
    """What the two say in one round; None at the end."""
    size = bob.asked()[1]
    assert alice.asked() == bob.asked()
    if not size:
        return None
    told, odd = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    alice.say(told)
    bob.say(odd)
    odd ^= told
    alice.learn(odd)
    bob.learn(odd)
    return told.tobytes(), odd.tobytes()


CASES = [
    # frame_bits, error rate, log2 of block sizes, checks, sorted second pass
    ([1], 1.0, [1, 3], 3, False),
    ([63], 0.1, [3, 5], 20, False),
    ([64], 0.1, [0, 4], 20, False),
    ([65], 0.2, [2, 6], 20, False),
    ([1000], 0.02, [6, 9], 20, False),
    ([1000], 0.0, [6, 9], 20, False),
    ([4096], 0.03, [5, 8, 11], 20, False),
    ([4097], 0.05, [4, 8], 32, False),
    ([8192, 4096, 77], 0.08, [3, 7], 20, False),
    ([12288, 8192, 8192, 5001], 0.01, [7, 10, 13], 20, False),
    ([10000], 0.02, [6], 20, False),                    # many errors are left to the checks
    ([5000], 0.01, [12, 12, 1], 0, False),
    ([40960], 0.02, [6, 9], 20, False),
    ([20000], 0.0005, [17, 17], 20, False),
    ([64], 0.1, [2, 6], 20, True),
    ([5000], 0.03, [6, 9], 20, True),
    ([4097], 0.02, [6, 9, 10], 20, True),
    ([8192, 8192, 77], 0.02, [6, 9], 20, True),
    ([40960], 0.01, [7, 10], 20, True),
    ([40000], 0.01, [7, 11], 20, True),
    ([36864, 30001], 0.04, [4, 8], 20, True),
    ([24576], 0.0, [7, 10], 20, True),           # no word has an error
    ([8192], 0.3, [6, 9], 20, True),             # each word has
]


@pytest.mark.parametrize("frame_bits, rate, log_blocks, checks, sorts", CASES)
def test_rounds_equal_twin(kernel, frame_bits, rate, log_blocks, checks, sorts):
    fast = kernel("cascade")
    seed = 2**63 + len(frame_bits)
    agreed = np.array(frame_bits, np.int64), np.array(log_blocks, np.int64), checks, sorts
    alice, bob = keys(frame_bits, rate, np.random.default_rng(sum(frame_bits)))
    plan = fast.Plan(seed, *agreed)
    ours, twins = both(fast, plan, alice, bob), both(reference, reference.Plan(seed, *agreed), alice, bob)
    rounds = leak = size = 0
    while True:
        leak += ours[0].asked()[0]
        size += 2 * ours[0].asked()[1]
        said = one_round(*ours)
        assert said == one_round(*twins)
        if said is None:
            break
        rounds += 1
    corrected = np.zeros_like(bob), np.zeros_like(bob)
    ours[1].words(corrected[0])
    twins[1].words(corrected[1])
    assert np.array_equal(*corrected)
    assert ours[0].corrected() == ours[1].corrected() == twins[1].corrected() \
        == int(np.bitwise_count(bob ^ corrected[0]).sum())
    if checks:
        assert np.array_equal(corrected[0], alice)

    at_once, counts = bob.copy(), np.zeros((len(frame_bits), 4), np.int64)
    half = len(frame_bits) // 2
    fast.run(plan, alice, at_once, counts, 0, half)
    fast.run(plan, alice, at_once, counts, half, len(frame_bits))
    assert np.array_equal(at_once, corrected[0])
    assert [counts[:, 0].sum(), counts[:, 1].sum(), counts[:, 2].max(), counts[:, 3].sum()] \
        == [leak, size, rounds, ours[1].corrected()]


def sparse(patterns):
    """Errors of frames (arrays of bool) as the kernel takes them."""
    positions = [np.flatnonzero(pattern) for pattern in patterns]
    return np.concatenate(positions).astype(np.uint32), np.cumsum([len(p) for p in positions], dtype=np.int64)


@pytest.mark.parametrize("frame_bits, rate, log_blocks, checks, sorts", CASES)
def test_errors_alone_equal_twin(kernel, frame_bits, rate, log_blocks, checks, sorts):
    rng = np.random.default_rng(sum(frame_bits) + checks)
    agreed = 7, np.array(frame_bits, np.int64), np.array(log_blocks, np.int64), checks, sorts
    errors, ends = sparse([rng.random(bits) < rate for _ in range(2) for bits in frame_bits])
    ours, twins = np.full((2, 2, 4), -1, np.int64)
    kernel("cascade").run_sparse(kernel("cascade").Plan(*agreed), errors, ends, ours)
    reference.run_sparse(reference.Plan(*agreed), errors, ends, twins)
    assert np.array_equal(ours, twins)


@pytest.mark.parametrize("errors, ends", [
    ([5, 5], [2, 2]), ([6, 5], [2, 2]), ([4000], [0, 1]), ([4096], [1, 1]), ([1, 2], [2, 1]), ([1], [2, 2]), ([1], [-1, 1]),
    ([1], [1]), ([1], [1, 1, 1]),
])
def test_errors_out_of_order_or_place_are_refused(kernel, errors, ends):
    plan = kernel("cascade").Plan(1, np.array([4096, 4000]), np.array([4, 8]), 20)
    with pytest.raises(ValueError, match="order|ends|expected"):
        kernel("cascade").run_sparse(plan, np.array(errors, np.uint32), np.array(ends), np.zeros((1, 4), np.int64))


@pytest.mark.parametrize("tiles", [1, 2, 3, 25, 64])
def test_orders_equal_twin_and_lose_no_bit(kernel, tiles):
    rng = np.random.default_rng(tiles)
    words = rng.integers(0, 2**64, 64 * tiles, dtype=np.uint64)
    agreed = 5, np.array([4096 * tiles], np.int64), np.array([1, 1, 1], np.int64), 0
    fast, slow = kernel("cascade").Plan(*agreed), reference.Plan(*agreed)
    orders = []
    for p in (1, 2):
        outs = np.zeros((2, 64 * tiles), np.uint64)
        fast.reorder(words, p, outs[0])
        slow.reorder(words, p, outs[1])
        assert np.array_equal(*outs)
        assert sorted(slow.orders[tiles, p]) == list(range(4096 * tiles))
        orders.append(slow.orders[tiles, p])
    assert not np.array_equal(*orders)


def test_orders_scatter_like_random_ones():
    """The bits of a word (an error burst) meet in few words of the new order, and those words share few other blocks:
    two errors in one block that hide together with two of another are as rare as in a random order."""
    tiles, rng = 25, np.random.default_rng(1)
    wanted = {}
    for name, order in ("ours", reference.make_order(3, tiles, 1)), ("random", rng.permutation(4096 * tiles)):
        word = np.argsort(order) // 64                           # of the new order, for each bit as it came
        meetings = 64 - np.mean([len(set(w)) for w in word.reshape(-1, 64)])
        blocks = word.reshape(-1, 8)                             # pass 1, blocks of 8
        pairs = np.sort(np.concatenate([blocks[:, [i, j]] for i in range(8) for j in range(i)]), axis=1)
        _, times = np.unique(pairs, axis=0, return_counts=True)
        wanted[name] = meetings, (times * (times - 1)).sum() / len(pairs)
    assert wanted["ours"] == pytest.approx(wanted["random"], rel=0.15)


@pytest.mark.parametrize("frame_bits, log_blocks", [([8192, 3000], [4, 8]), ([5 * 4096], [14, 14]), ([9 * 4096], [17])])
@pytest.mark.parametrize("seed", range(10))
def test_claims_that_contradict_each_other_are_refused(kernel, frame_bits, log_blocks, seed):
    """What a liar may say about parities ends soon, and leads to no place outside the frame."""
    fast, rng = kernel("cascade"), np.random.default_rng(seed)
    plan = fast.Plan(1, np.array(frame_bits, np.int64), np.array(log_blocks, np.int64), 20)
    party = fast.Party(plan, np.zeros(plan.words, np.uint64), bool(seed % 2))
    only = len(frame_bits) == 1
    with pytest.raises(ValueError, match="contradict"):
        while True:
            n, size = party.asked()
            assert n, "random claims must contradict each other"
            odd = rng.integers(0, 256, size, dtype=np.uint8) & (255 if only else 1)
            if only and n % 8:
                odd[-1] &= (1 << n % 8) - 1
            party.learn(odd)


@pytest.mark.parametrize("wrong", [
    dict(frame_bits=[]), dict(frame_bits=[0]), dict(frame_bits=[65, 64]), dict(frame_bits=[4096 * 64 + 1]),
    dict(log_blocks=[]), dict(log_blocks=[18]), dict(log_blocks=[-1]), dict(log_blocks=[1] * 9),
    dict(checks=-1), dict(checks=33),
])
def test_plans_out_of_range_are_refused(kernel, wrong):
    given = dict(frame_bits=[64], log_blocks=[2, 4], checks=20) | wrong
    with pytest.raises(ValueError, match="expected"):
        kernel("cascade").Plan(1, np.array(given["frame_bits"], np.int64), np.array(given["log_blocks"], np.int64),
                               given["checks"])


def test_lengths_are_checked(kernel):
    fast = kernel("cascade")
    plan = fast.Plan(1, np.array([128], np.int64), np.array([2, 4], np.int64), 20)
    words = np.zeros(2, np.uint64)
    party = fast.Party(plan, words, True)
    for call in (lambda: fast.Party(plan, np.zeros(1, np.uint64), True), lambda: party.say(np.zeros(3, np.uint8)),
                 lambda: party.learn(np.zeros(5, np.uint8)), lambda: party.words(np.zeros(3, np.uint64)),
                 lambda: plan.reorder(words, 1, words.copy()),
                 lambda: plan.reorder(np.zeros(64, np.uint64), 2, np.zeros(64, np.uint64)),
                 lambda: fast.run(plan, words, np.zeros(1, np.uint64), np.zeros((1, 4), np.int64), 0, 1),
                 lambda: fast.run(plan, words, words.copy(), np.zeros((1, 4), np.int64), 0, 2)):
        with pytest.raises(ValueError, match="expected|plan|not in"):
            call()
    bad = np.zeros(4, np.uint8)
    party.learn(bad)                             # 32 blocks, all even
    n, size = party.asked()
    assert (n, size) == (256, 32)                # the second order is padded to a tile
