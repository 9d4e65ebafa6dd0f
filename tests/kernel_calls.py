"""Arguments for every kernel function, of a given size: for tests that call them all."""

import numpy as np


def calls(n, frame_tiles=25):
    """Functions of a kernel module that give arguments for a call, by ``"module.function"``.

    Each may be called again with the same arguments, whatever it wrote the first time.
    """
    rng = np.random.default_rng(1)

    def words(length):
        return rng.integers(0, 2**64, length, dtype=np.uint64)

    def small(length, top, dtype=np.uint8):
        return rng.integers(0, top, length, dtype=dtype)

    def room(*shape, dtype=np.int64):
        return np.zeros(shape, dtype)

    def tags():
        return np.sort(small(n, 10**12, np.int64)), small(n, 4)

    def cascade_run(module):
        plan = module.Plan(1, np.full(8, 4096 * frame_tiles), np.array([6, 9]), 20)
        alice = words(plan.words)
        return plan, alice, alice.copy(), room(8, 4), 0, 8

    def cascade_run_sparse(module):
        plan = module.Plan(1, np.array([4096 * frame_tiles]), np.array([6, 9]), 20)
        errors = np.arange(0, 4000 * frame_tiles, 50, dtype=np.uint32)
        return plan, np.tile(errors, 8), len(errors) * np.arange(1, 9), room(8, 4)

    def channel_detect(module):
        return (np.arange(n) * 100_000, small(n, 4), 1 << 62, 50_000, np.full(n, -1), np.full(4, -(1 << 62)), room(64),
                room(64, dtype=np.uint8), 0, room(n), room(n, dtype=np.uint8), room(n))

    def records(*arguments, dtime=False):
        outputs = (room(n), room(n, dtype=np.uint16)) if dtime else (room(n),)
        return lambda module: (small(n, 2**24, np.uint32), *arguments, 2**62, room(module.STATE), *outputs,
                               room(n, dtype=np.uint8))

    def records_encode(module):
        ticks = np.arange(n) * 100        # all within one overflow period: the state stays as it is
        return ticks, small(n, 4), room(module.STATE), room(module.length_t2(ticks, 0), dtype=np.uint32)

    rule = small(8, 9, np.uint32), np.array([5, 65536])
    settings = np.tile([0.5, 0.1, 1e-3, 0.7, 0.2, 0.1, 0.9], (500, 1))
    link = np.array([[1.0, 1e-3, 1e-6]]), np.array([0.01, 0.0, 0.0, -1.0]), False, 1e10, False
    price = np.array([20.0, 100.0, 1.16]), True, False, True

    return {
        "cascade.run": cascade_run,
        "cascade.run_sparse": cascade_run_sparse,
        "channel.detect": channel_detect,
        "correlate.lags": lambda m: (tags()[0], 1, 10**9, 5, 2**60, 8, room(5000)),
        "correlate.pattern": lambda m: (tags()[0] // 10**9, small(300, 2).astype(np.int8), -500, room(1000, dtype=np.int32)),
        "decoy.tally": lambda m: (small(n, 3), small(n, 2), small(n, 2), room(2, 3, 2)),
        "decoy.expect": lambda m: (settings, *link, room(500, 13, dtype=float)),
        "decoy.bounds": lambda m: (settings, np.full((500, 13), 1e6), *price, room(500, 9, dtype=float)),
        "decoy.worth": lambda m: (settings, *link, *price, room(500, dtype=float)),
        "decoy.climb": lambda m: (room(9, 5, dtype=float), np.array([link[0]] * 9), *link[1:3], np.full(9, 1e10), link[4],
                                  *price, np.full(5, 0.5), 1.0, 1e-3, 100, 1e-9, room(9, dtype=float),
                                  room(9, 7, dtype=float)),
        "encode.symbols": lambda m: (rule[0], 0, 5, rule[1], room(n, dtype=np.uint8)),
        "encode.symbols_at": lambda m: (rule[0], np.arange(n), 5, rule[1], room(n, dtype=np.uint8)),
        "hashing.product": lambda m: (words(800), words(400), words(400)),
        "hashing.polynomial": lambda m: (words(20_000), 1, words(4), words(2)),
        "hashing.move": lambda m: (words(n), 3, words(n)),
        "hashing.transform": lambda m: (words(1024), 0, words(8192), room(256, 1, 128, dtype=np.uint8), 0),
        "hashing.interpolate": lambda m: (room(256, 1, 128, dtype=np.uint8), 0, words(8192), words(2048)),
        "hashing.multiply_add": lambda m: tuple(room(256, blocks, 128, dtype=np.uint8) for blocks in (41, 40, 2)),
        "lines.table": lambda m: (np.frombuffer(b"123,4\n" * n, np.uint8), False, 2, room(2 * n)),
        "match.inputs": lambda m: (*tags(), small(256, 9), room(n, dtype=np.uint8)),
        "match.phasors": lambda m: (*tags(), 0, 2**54, 10**12, room(1024, dtype=np.int32), room(4, 1, 2), room(4)),
        "match.histogram": lambda m: (*tags(), room(4), 0, 0, 2**54, room(4, 512, dtype=np.int32)),
        "match.moments": lambda m: (room(512) + 3, room(4, 512, dtype=np.int32), 500, 100, 30, room(4)),
        "match.gate": lambda m: (*tags(), room(4), 0, 0, 0, 2**54, 0, 2**63, room(n), room(n, dtype=np.uint8),
                                 room(4, 512, dtype=np.int32)),
        "match.strays": lambda m: (*tags(), room(4), 0, 0, 0, 2**54, 2**62, 2**63, room(n), room(n, dtype=np.uint8)),
        "match.blank": lambda m: (tags()[0], tags()[0], -5, 3, room(n, dtype=np.uint8)),
        "match.tally": lambda m: (*tags(), room(4, 1000, dtype=np.int32)),
        "match.place": lambda m: (*tags(), room(4), 1000, 100, small(100, 2), room(n), room(n, dtype=np.uint8), room(2)),
        "match.settle": lambda m: tags(),
        "match.combine": lambda m: (*tags(), room(n), room(n, dtype=np.uint8)),
        "match.several": lambda m: (small(n, 16), room(n, dtype=np.uint8)),
        "match.decide": lambda m: (small(n, 16), small((16, 4), 4), small(n, 4), *room(2, n, dtype=np.uint8)),
        "match.matches": lambda m: (room(2000), room(2000), words((100, 1)), 0, room(100), room(100)),
        "packed.differences": lambda m: (small(n, 2**32, np.uint32), 0, 17, 1, 0, room(n), room(n, dtype=np.uint8)),
        "records.hydraharp_t2": records(2**25, True),
        "records.picoharp_t2": records(),
        "records.hydraharp_t3": records(True, dtime=True),
        "records.picoharp_t3": records(dtime=True),
        "records.encode_t2": records_encode,
        "sift.select": lambda m: (small(n, 2), 1, room(n), small(n, 2), small(n, 3), room(n),
                                  room((n + 63) // 64, dtype=np.uint64), room(n, dtype=np.uint8)),
        "sift.encode_slots": lambda m: (np.arange(n) * 100, room(2 * n, dtype=np.uint8)),
        "sift.decode_slots": lambda m: (small(n, 128), room(n)),
        "streams.merge": lambda m: (*tags(), *tags(), room(2 * n), room(2 * n, dtype=np.uint8)),
        "streams.coincidences": lambda m: (tags()[0], tags()[0], -10, 10),
    }
