import numpy as np
import pytest
from reference import records as reference

LIMIT = 2**62
SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 1001]


def outputs(n, mode):
    arrays = [np.zeros(n, np.int64), np.zeros(n, np.uint16), np.zeros(n, np.uint8)]
    return arrays if mode == 3 else [arrays[0], arrays[2]]


DECODERS = {
    "hydraharp_t2 V2": ("hydraharp_t2", (33_554_432, True), 2),
    "hydraharp_t2 V1": ("hydraharp_t2", (33_552_000, False), 2),
    "picoharp_t2": ("picoharp_t2", (), 2),
    "hydraharp_t3 V2": ("hydraharp_t3", (True,), 3),
    "hydraharp_t3 V1": ("hydraharp_t3", (False,), 3),
    "picoharp_t3": ("picoharp_t3", (), 3),
}


def some_records(rng, n, special):
    """Photons, with a share of overflows, markers, syncs and of specials that mean nothing."""
    records = rng.integers(0, 2**31, n, dtype=np.uint32)
    kinds = np.array([63 << 25, 63 << 25 | 1, 63 << 25 | 5, 63 << 25 | 2**25 - 1, 0, 1 << 25 | 77, 15 << 25,
                      16 << 25 | 3, 0x70000000, 0x70000001, 0x7FFF0000], np.uint32) | np.uint32(1 << 31)
    return np.where(rng.random(n) < special, rng.choice(kinds, n), records)


def run(decoder, mode, records, arguments, blocks, limit=LIMIT):
    """Decode in blocks; what came out, and the state."""
    state, parts, used = np.zeros(reference.STATE, np.int64), [], 0
    for start in range(0, max(len(records), 1), blocks):
        block = records[start : start + blocks]
        out = outputs(len(block), mode)
        taken, photons = decoder(block, *arguments, limit, state, *out)
        parts.append([a[:photons] for a in out])
        used += taken
        if taken < len(block):
            break
    return used, state.tolist(), [np.concatenate(p).tolist() for p in zip(*parts, strict=True)]


@pytest.mark.parametrize("case", DECODERS)
@pytest.mark.parametrize("special", [0.0, 0.02, 0.5, 1.0])
def test_decoders_equal_their_twins(kernel, case, special):
    name, arguments, mode = DECODERS[case]
    for n in SIZES:
        records = some_records(np.random.default_rng(n), n, special)
        fast = run(getattr(kernel("records"), name), mode, records, arguments, n + 1)
        assert fast == run(getattr(reference, name), mode, records, arguments, n + 1)


@pytest.mark.parametrize("case", DECODERS)
@pytest.mark.parametrize("limit", [0, 10**6, 10**12, 2**54 - 1, 2**54, 2**57])
def test_decoders_stop_at_the_limit_like_their_twins(kernel, case, limit):
    name, arguments, mode = DECODERS[case]
    records = some_records(np.random.default_rng(5), 2000, 0.5)
    used, state, out = run(getattr(kernel("records"), name), mode, records, arguments, 2001, limit)
    assert (used, state, out) == run(getattr(reference, name), mode, records, arguments, 2001, limit)
    assert 0 <= state[0] <= limit
    assert used < 2000 or limit > 0


def test_random_words_never_make_times_negative(kernel):
    words = np.random.default_rng(9).integers(0, 2**32, 2_000_000, dtype=np.uint32)
    ticks, channel, state = np.zeros(len(words), np.int64), np.zeros(len(words), np.uint8), np.zeros(6, np.int64)
    used, photons = kernel("records").hydraharp_t2(words, 33_554_432, True, LIMIT, state, ticks, channel)
    assert used < len(words)
    assert ticks[:photons].min() >= 0 and state[0] <= LIMIT


@pytest.mark.parametrize("case", DECODERS)
@pytest.mark.parametrize("blocks", [1, 7, 1000])
def test_blocks_equal_the_whole(kernel, case, blocks):
    name, arguments, mode = DECODERS[case]
    records = some_records(np.random.default_rng(3), 3001, 0.1)
    decoder = getattr(kernel("records"), name)
    assert run(decoder, mode, records, arguments, blocks) == run(decoder, mode, records, arguments, 3001)


def some_tags(n):
    """Times with equal ones, gaps of every length and one beyond what a single overflow record can say."""
    rng = np.random.default_rng(n)
    ticks = np.cumsum(rng.choice([0, 0, 1, 1000, 2**25 - 1, 2**25, 2**25 + 1, 2**40], n))
    ticks[n // 2 :] += 3 * 2**50 + 17
    ticks[n - n // 4 :] += 2**61
    return ticks, rng.integers(0, 64, n).astype(np.uint8)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("blocks", [1, 7, 1000])
def test_encoder_equals_twin_and_decodes_to_the_same(kernel, n, blocks):
    ticks, channel = some_tags(n)
    words = []
    for module in (kernel("records"), reference):
        state, out = np.zeros(reference.STATE, np.int64), []
        for start in range(0, n, blocks):
            piece = slice(start, start + blocks)
            room = 2 * len(ticks[piece]) + int(ticks[piece][-1] - state[0]) // 2**50 + 1
            records = np.zeros(room, np.uint32)
            written = module.encode_t2(ticks[piece], channel[piece], state, records)
            out.append(records[:written])
        words.append(np.concatenate(out) if out else np.zeros(0, np.uint32))
    assert np.array_equal(*words)
    decoder = kernel("records").hydraharp_t2
    used, _, decoded = run(decoder, 2, words[0], (33_554_432, True), len(words[0]) + 1, 2**63 - 2**26)
    assert used == len(words[0])
    assert decoded == [ticks.tolist(), channel.tolist()]
