"""Cascade in plain NumPy: intervals are pairs of numbers, a question is an array of bit indices."""

import bisect

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15
WORD = 2**64 - 1


def mixed(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB & WORD
    return x ^ x >> 31


def draw(seed, stream, n):
    start = mixed(seed ^ mixed(stream + 1))
    return [mixed(start + GOLDEN * (i + 1) & WORD) for i in range(n)]


def unpack(words):
    return np.unpackbits(np.ascontiguousarray(words).view(np.uint8), bitorder="little")


def pack(bits):
    return np.packbits(bits, bitorder="little")


def make_order(seed, tiles, p, word_at=None, clean=0):
    """Which bit stands at each place; with `word_at` that many words `clean` come first and stay among themselves."""
    words = 64 * tiles
    random = draw(seed, 16 * tiles + p, words)
    place = list(range(words))
    for i in range(words - 1, 0, -1):
        j = (random[i] >> 32) * (i + 1) >> 32
        place[i], place[j] = place[j], place[i]
    turn_in, turn_out = np.array([r & 63 for r in random]), np.array([r >> 6 & 63 for r in random])

    def turn_and_transpose(bits, turn):
        turned = np.array([np.roll(row, by) for row, by in zip(bits, turn, strict=True)])
        return turned.reshape(tiles, 64, 64).transpose(0, 2, 1).reshape(words, 64)

    if word_at is not None:
        column_at = np.argsort(place)
        first = (clean + 32) // 64 * 64
        column_at = np.concatenate([column_at[column_at < first], column_at[column_at >= first]])
        place = np.argsort(column_at)
    bits = np.arange(64 * words).reshape(words, 64)
    columns = turn_and_transpose(bits if word_at is None else bits[word_at], turn_in)
    middle = np.empty_like(columns)
    middle[place] = columns
    return turn_and_transpose(middle, turn_out).ravel()


class Plan:
    def __init__(self, seed, frame_bits, log_blocks, checks, sorts=False):
        self.seed, self.sorts = seed, sorts
        self.frame_bits, self.log_blocks, self.checks = [int(b) for b in frame_bits], list(log_blocks), checks
        self.frames, self.words = len(frame_bits), sum((int(b) + 63) // 64 for b in frame_bits)
        self.most_tiles = max((b + 4095) // 4096 for b in self.frame_bits)
        self.subset = unpack(np.array(draw(seed, 0, 64 * self.most_tiles + 1), np.uint64))
        self.orders = {(tiles, p): make_order(seed, tiles, p) for tiles in {(b + 4095) // 4096 for b in self.frame_bits}
                       for p in range(1, len(log_blocks))}

    def reorder(self, words, p, out):
        out[:] = pack(unpack(words)[self.orders[len(words) // 64, p]]).view(np.uint64)


class Frame:
    """One frame of one party; `talk` yields questions (arrays of bit indices) and is sent which parities are odd."""

    def __init__(self, plan, bits, corrects):
        self.plan, self.corrects, self.n = plan, corrects, len(bits)
        tiles = (self.n + 4095) // 4096
        self.size = 4096 * tiles
        self.bits = np.concatenate([bits, np.zeros(self.size - self.n, np.uint8)])
        self.orders = [np.arange(self.size)] + [plan.orders[tiles, p] for p in range(1, len(plan.log_blocks))]
        self.places = [np.argsort(order) for order in self.orders]
        self.starts, self.lengths, self.odd = [], [], []      # per pass: sorted list, dict by start, set of starts
        self.masks, self.wrong, self.flipped = [], set(), set()
        self.steps = self.talk()
        self.questions = next(self.steps)

    def learn(self, odd):
        try:
            self.questions = self.steps.send(odd)
        except StopIteration:
            self.questions = []

    def talk(self):
        for p, log_block in enumerate(self.plan.log_blocks):
            if p == 1 and self.plan.sorts:
                self.sort()
            block, end = 1 << log_block, self.size if p else self.n
            starts = list(range(0, end, block))
            odd = yield [self.orders[p][s : s + block] for s in starts]
            self.starts.append(starts)
            self.lengths.append(dict.fromkeys(starts, block))
            self.odd.append({s for s, o in zip(starts, odd, strict=True) if o})
            yield from self.search()
        if self.plan.checks:
            masks = [self.plan.subset[k : k + self.size].astype(bool) for k in range(self.plan.checks)]
            odd = yield [np.flatnonzero(mask) for mask in masks]
            self.masks, self.wrong = masks, {k for k, o in enumerate(odd) if o}
            yield from self.search()

    def sort(self):
        words = np.arange(self.size // 64)
        other = np.isin(words, [bit // 64 for bit in self.flipped]) | (words >= (self.n + 63) // 64)
        self.orders[1] = make_order(self.plan.seed, self.size // 4096, 1, np.argsort(other, kind="stable"),
                                    np.count_nonzero(~other))
        self.places[1] = np.argsort(self.orders[1])

    def search(self):
        while True:
            p = next((p for p, odd in enumerate(self.odd) if odd), None)
            if p is not None:
                intervals = [[s, self.lengths[p][s]] for s in self.odd[p]]
                self.odd[p] = set()
                yield from self.bisect(p, intervals, self.orders[p])
            elif self.wrong:
                mask = self.masks[min(self.wrong)]
                length = 4096
                while length < self.size:
                    length *= 2
                yield from self.bisect(None, [[0, length]], np.where(mask, self.orders[0], -1))
            else:
                return

    def bisect(self, p, intervals, order):
        intervals.sort(key=lambda v: (-v[1], v[0]))
        whole, length = [v[1] for v in intervals], intervals[0][1]
        while length > 1:
            active = [v for v, w in zip(intervals, whole, strict=True) if w >= length]
            half = length // 2
            left = [order[s : s + half] for s, _ in active]
            odd = yield [q[q >= 0] for q in left]
            for v, o in zip(active, odd, strict=True):
                if p is not None:
                    bisect.insort(self.starts[p], v[0] + half)
                    self.lengths[p][v[0]] = self.lengths[p][v[0] + half] = half
                v[:] = v[0] + (0 if o else half), half
            length = half
        for start, _ in intervals:
            self.correct(p, int(self.orders[p or 0][start]))

    def correct(self, current, bit):
        if bit >= self.n or bit in self.flipped:
            raise ValueError("the parities contradict each other")
        self.flipped.add(bit)
        if self.corrects:
            self.bits[bit] ^= 1
        for p in range(len(self.starts)):
            if p != current:
                start = self.starts[p][bisect.bisect_right(self.starts[p], self.places[p][bit]) - 1]
                self.odd[p] ^= {start}
        self.wrong ^= {k for k, mask in enumerate(self.masks) if mask[bit]}


class Party:
    def __init__(self, plan, words, corrects):
        self.plan, bits, at = plan, unpack(words), 0
        self.frames = []
        for n in plan.frame_bits:
            self.frames.append(Frame(plan, bits[at : at + n], corrects))
            at += (n + 63) // 64 * 64

    def asked(self):
        counts = [len(f.questions) for f in self.frames]
        return sum(counts), sum((n + 7) // 8 for n in counts)

    def say(self, out):
        parts = [pack(np.array([f.bits[q].sum() & 1 for q in f.questions], np.uint8)) for f in self.frames]
        out[:] = np.concatenate(parts)

    def learn(self, odd):
        at = 0
        for frame in self.frames:
            n = len(frame.questions)
            if n:
                frame.learn(np.unpackbits(odd[at : at + (n + 7) // 8], count=n, bitorder="little"))
                at += (n + 7) // 8

    def corrected(self):
        return sum(len(f.flipped) for f in self.frames)

    def words(self, out):
        parts = [pack(f.bits).view(np.uint64)[: (f.n + 63) // 64] for f in self.frames]
        out[:] = np.concatenate(parts)


def run_sparse(plan, errors, ends, counts):
    start = 0
    counts[:] = 0
    for i, end in enumerate(ends):
        key, f = divmod(i, plan.frames)
        bits = np.zeros(plan.frame_bits[f], np.uint8)
        bits[errors[start:end]] = 1
        frame, rounds = Frame(plan, bits, True), 0
        while frame.questions:
            counts[key, 0] += len(frame.questions)
            counts[key, 1] += 2 * ((len(frame.questions) + 7) // 8)
            rounds += 1
            frame.learn(np.array([frame.bits[q].sum() & 1 for q in frame.questions], np.uint8))
        counts[key, 2] = max(counts[key, 2], rounds)
        counts[key, 3] += len(frame.flipped)
        start = end
