# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Cascade over packed words: cascade_state.pxd has what the parties know of one frame, cascade_rounds.pxd its rounds,
cascade_say.pxd the parities said, cascade_order.pxd the orders of its bits, cascade_errors.pxd the same rounds from the
errors alone."""
import numpy as np

from cascade_errors cimport Sparse, make_sparse, run_errors
from cascade_order cimport Order, draw, fill_order, reorder
from cascade_rounds cimport learn, open_talk
from cascade_say cimport say, take_keys
from cascade_state cimport (
    MAX_CHECKS, MAX_PASSES, MAX_TILES, OUT_OF_MEMORY, Keys, Rules, Talk, close_talk, drop_keys, make_keys, make_talk,
)
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy


cdef extern from "cascade.h" nogil:
    void add "qkd_add"(uint8_t* to, const uint8_t* from_, Py_ssize_t n)


cdef class Plan:
    """What is agreed before the first round: frames, orders, blocks. Holds nothing secret; both parties may share one.

    Parameters
    ----------
    seed : int, 0 <= seed < 2^64
        Public.
    frame_bits : ndarray of int64
        Bits of each frame, 1 to 262144; all but the last are multiples of 64.
    log_blocks : ndarray of int64, at most 8
        log2 of each pass's block size, 0 to 17.
    checks : int, 0 to 32
        Parities of random subsets of the whole frame after the passes.
    sorts : bool
        The second pass takes the words in which the first found no error before the others.
    """
    cdef Rules rules
    cdef list tables
    cdef const int64_t[::1] frame_bits
    cdef readonly Py_ssize_t frames, words, most_tiles

    def __cinit__(self, uint64_t seed, const int64_t[::1] frame_bits, const int64_t[::1] log_blocks, int checks,
                  bint sorts=False):
        cdef uint64_t[::1] subset
        cdef Py_ssize_t f, bits
        cdef int p
        self.frame_bits, self.frames = frame_bits, frame_bits.shape[0]
        if not self.frames or not 1 <= log_blocks.shape[0] <= MAX_PASSES or not 0 <= checks <= MAX_CHECKS:
            raise ValueError("one frame, 1 to 8 passes and at most 32 checks are expected")
        for f in range(self.frames):
            bits = frame_bits[f]
            if not 1 <= bits <= 4096 * MAX_TILES or (bits % 64 and f + 1 < self.frames):
                raise ValueError(f"frames of 1 to {4096 * MAX_TILES} bits, whole words, are expected, got {bits}")
            self.words += (bits + 63) // 64
            self.most_tiles = max(self.most_tiles, (bits + 4095) // 4096)
        self.rules.n_passes, self.rules.n_checks = <int>log_blocks.shape[0], checks
        self.rules.sorts = sorts
        for p in range(self.rules.n_passes):
            if not 0 <= log_blocks[p] <= 17:
                raise ValueError(f"block sizes of 2^0 to 2^17 are expected, got 2^{log_blocks[p]}")
            self.rules.log_block[p] = <int>log_blocks[p]
        subset = np.empty(64 * self.most_tiles + 1, np.uint64)
        draw(seed, 0, &subset[0], 64 * self.most_tiles + 1)
        self.rules.subset = &subset[0]
        self.tables = [subset]
        for f in range(self.frames):
            bits = (frame_bits[f] + 4095) // 4096
            for p in range(1, self.rules.n_passes):
                if self.rules.orders[bits][p].place_of == NULL:
                    self.make_order(seed, bits, p)

    cdef make_order(self, uint64_t seed, Py_ssize_t tiles, int p):
        cdef uint64_t[::1] random = np.empty(64 * tiles, np.uint64)
        cdef uint16_t[:, ::1] places = np.empty((4, 64 * tiles), np.uint16)
        cdef uint8_t[:, ::1] turns = np.empty((2, 64 * tiles), np.uint8)
        cdef Order* order = &self.rules.orders[tiles][p]
        order.place_of, order.column_at = &places[0, 0], &places[1, 0]
        order.row_of, order.word_at = &places[2, 0], &places[3, 0]
        order.turn_in, order.turn_out = &turns[0, 0], &turns[1, 0]
        self.tables += [places, turns]
        draw(seed, 16 * tiles + p, &random[0], 64 * tiles)
        fill_order(order, &random[0], 64 * tiles)

    def reorder(self, const uint64_t[::1] words, int p, uint64_t[::1] out):
        """Write `words` (whole tiles of a frame of this plan: 64 to 4096 words) in the order of pass `p` >= 1, not sorted."""
        cdef Py_ssize_t tiles = words.shape[0] // 64
        if not 1 <= tiles <= MAX_TILES or 64 * tiles != words.shape[0] or out.shape[0] != words.shape[0] \
                or not 1 <= p < self.rules.n_passes or self.rules.orders[tiles][p].place_of == NULL:
            raise ValueError(f"{words.shape[0]} words in pass {p} are not of this plan")
        with nogil:
            reorder(&self.rules.orders[tiles][p], &words[0], tiles, &out[0])


cdef class Party:
    """One party's side, all frames in lock-step: each round takes every frame one step on.

    Parameters
    ----------
    plan : Plan
    words : ndarray of uint64, shape (plan.words,)
        Bits of all frames, one after the other; zeros beyond the end.
    corrects : bool
        This party's bits are corrected (Bob).
    """
    cdef Plan plan
    cdef bint corrects
    cdef Keys* keys
    cdef Talk* talks

    def __cinit__(self, Plan plan not None, const uint64_t[::1] words, bint corrects):
        cdef Py_ssize_t f, tiles, at = 0
        cdef Rules* rules = &plan.rules
        self.plan, self.corrects = plan, corrects
        if words.shape[0] != plan.words:
            raise ValueError(f"{plan.words} words are expected, got {words.shape[0]}")
        self.keys = <Keys*>calloc(plan.frames, sizeof(Keys))
        self.talks = <Talk*>calloc(plan.frames, sizeof(Talk))
        if self.keys == NULL or self.talks == NULL:
            raise MemoryError
        for f in range(plan.frames):
            tiles = (plan.frame_bits[f] + 4095) // 4096
            if make_talk(&self.talks[f], rules.n_passes, tiles) or make_keys(&self.keys[f], rules.n_passes, tiles):
                raise MemoryError
            with nogil:
                open_talk(&self.talks[f], rules, plan.frame_bits[f], tiles)
                take_keys(&self.keys[f], &self.talks[f], &words[at])
            at += (plan.frame_bits[f] + 63) // 64

    def __dealloc__(self):
        cdef Py_ssize_t f
        if self.keys != NULL and self.talks != NULL:
            for f in range(self.plan.frames):
                drop_keys(&self.keys[f])
                close_talk(&self.talks[f])
        free(self.keys)
        free(self.talks)

    def asked(self):
        """Parities asked for in this round over all frames, and the bytes that hold them (whole bytes per frame)."""
        cdef Py_ssize_t f, n = 0, size = 0
        for f in range(self.plan.frames):
            n += self.talks[f].asked
            size += (self.talks[f].asked + 7) // 8
        return n, size

    def say(self, uint8_t[::1] out):
        """Write this party's parities of what is asked."""
        cdef Py_ssize_t f, at = 0
        cdef int bad = 0
        if out.shape[0] != self.asked()[1]:
            raise ValueError(f"{self.asked()[1]} bytes are expected, got {out.shape[0]}")
        with nogil:
            for f in range(self.plan.frames):
                if self.talks[f].asked:
                    bad |= say(&self.talks[f], &self.keys[f], &out[at])
                    at += (self.talks[f].asked + 7) // 8
        if bad:
            raise MemoryError

    def learn(self, const uint8_t[::1] odd):
        """Take where the parities differ, correct, and find what is asked next.

        Raises
        ------
        ValueError
            Where the length is wrong or the bits that fill a byte are not 0 (then nothing was taken), or where what was
            said contradicts itself (then this party is of no more use).
        """
        cdef Py_ssize_t f, n, at = 0
        cdef int broken = 0
        if odd.shape[0] != self.asked()[1]:
            raise ValueError(f"{self.asked()[1]} bytes are expected, got {odd.shape[0]}")
        for f in range(self.plan.frames):
            broken |= self.talks[f].broken
            n = self.talks[f].asked
            at += (n + 7) // 8
            if n % 8 and odd[at - 1] >> n % 8:
                raise ValueError(f"frame {f}: bits beyond the {n} that were asked for")
        at = 0
        with nogil:
            for f in range(0 if broken else self.plan.frames):
                n = self.talks[f].asked
                if n:
                    learn(&self.talks[f], &self.keys[f] if self.corrects else NULL, &odd[at])
                    at += (n + 7) // 8
                    broken |= self.talks[f].broken
        if broken & OUT_OF_MEMORY:
            raise MemoryError
        if broken:
            raise ValueError("the parities that were told contradict each other")

    def corrected(self):
        """Number of errors found."""
        cdef Py_ssize_t f, n = 0
        for f in range(self.plan.frames):
            n += self.talks[f].corrected
        return n

    def words(self, uint64_t[::1] out):
        """Write this party's bits as they are now, shape (plan.words,)."""
        cdef Py_ssize_t f, at = 0, n
        if out.shape[0] != self.plan.words:
            raise ValueError(f"{self.plan.words} words are expected, got {out.shape[0]}")
        for f in range(self.plan.frames):
            n = (self.plan.frame_bits[f] + 63) // 64
            memcpy(&out[at], self.keys[f].at[0][0], 8 * n)
            at += n


def run(Plan plan not None, const uint64_t[::1] alice, uint64_t[::1] bob, int64_t[:, ::1] counts, Py_ssize_t first,
        Py_ssize_t last):
    """All rounds of both parties for the frames from `first` up to `last`; those of `bob` are corrected in place.

    Parameters
    ----------
    plan : Plan
    alice, bob : ndarray of uint64, shape (plan.words,)
    counts : ndarray of int64, shape (plan.frames, 4), written
        Of each frame: parities told, bytes said by both, rounds, errors corrected.
    """
    cdef Py_ssize_t f, i, at = 0
    cdef Py_ssize_t most = plan.most_tiles
    cdef Rules* rules = &plan.rules
    cdef int bad
    cdef Talk talk
    cdef Keys of_alice, of_bob
    cdef uint8_t* said
    cdef uint8_t* odd
    if alice.shape[0] != plan.words or bob.shape[0] != plan.words or counts.shape[0] != plan.frames \
            or counts.shape[1] != 4:
        raise ValueError(f"{plan.words} words and {plan.frames} x 4 counts are expected")
    if not 0 <= first <= last <= plan.frames:
        raise ValueError(f"frames {first} to {last} are not in 0 to {plan.frames}")
    for f in range(first):
        at += (plan.frame_bits[f] + 63) // 64
    with nogil:
        said = <uint8_t*>calloc(2 * 64 * most, 8)
        odd = said + 8 * 64 * most
        bad = said == NULL
        bad |= make_talk(&talk, rules.n_passes, most)
        bad |= make_keys(&of_alice, rules.n_passes, most)
        bad |= make_keys(&of_bob, rules.n_passes, most)
        for f in range(first, last):
            if bad:
                break
            open_talk(&talk, rules, plan.frame_bits[f], most)
            take_keys(&of_alice, &talk, &alice[at])
            take_keys(&of_bob, &talk, &bob[at])
            while talk.asked and not bad:
                bad = say(&talk, &of_alice, said) | say(&talk, &of_bob, odd)
                add(odd, said, (talk.asked + 7) // 8)
                learn(&talk, &of_bob, odd)
            bad |= talk.broken
            i = (talk.bits + 63) // 64
            memcpy(&bob[at], of_bob.at[0][0], 8 * i)
            at += i
            counts[f, 0], counts[f, 1], counts[f, 2] = talk.leak_bits, talk.spoken_bytes, talk.rounds
            counts[f, 3] = talk.corrected
        close_talk(&talk)
        drop_keys(&of_alice)
        drop_keys(&of_bob)
        free(said)
    if bad:
        raise MemoryError


def run_sparse(Plan plan not None, const uint32_t[::1] errors, const int64_t[::1] ends, int64_t[:, ::1] counts):
    """All rounds of both parties for many keys of which only the errors are given: counts as of :func:`run`.

    Parameters
    ----------
    plan : Plan
    errors : ndarray of uint32
        Of each frame of each key in turn: the bits (counted in the frame) that differ, increasing.
    ends : ndarray of int64, shape (keys * plan.frames,)
        Where each frame's errors end.
    counts : ndarray of int64, shape (keys, 4), written
        Of each key: parities told, bytes said by both, rounds (the most of its frames), errors corrected.
    """
    cdef Py_ssize_t i, f, key, start = 0, most = 0
    cdef Rules* rules = &plan.rules
    cdef Sparse s
    cdef int bad
    if counts.shape[1] != 4 or ends.shape[0] != counts.shape[0] * plan.frames:
        raise ValueError(f"ends of {plan.frames} frames for each of {counts.shape[0]} x 4 counts are expected")
    for i in range(ends.shape[0]):
        if not start <= ends[i] <= errors.shape[0]:
            raise ValueError(f"ends must rise from 0 to {errors.shape[0]}, end {i} is {ends[i]}")
        for f in range(start, ends[i]):
            if errors[f] >= plan.frame_bits[i % plan.frames] or (f > start and errors[f] <= errors[f - 1]):
                raise ValueError(f"error {f} is not in order or beyond its frame: {errors[f]}")
        most = max(most, ends[i] - start)
        start = ends[i]
    with nogil:
        bad = make_sparse(&s, rules, most, plan.most_tiles)
        start = i = 0
        for key in range(0 if bad else counts.shape[0]):
            counts[key, 0] = counts[key, 1] = counts[key, 2] = counts[key, 3] = 0
            for f in range(plan.frames):
                run_errors(&s, rules, &errors[0] + start, ends[i] - start, plan.frame_bits[f])
                counts[key, 0] += s.leak_bits
                counts[key, 1] += s.spoken_bytes
                counts[key, 2] = max(counts[key, 2], s.rounds)
                counts[key, 3] += s.corrected
                start = ends[i]
                i += 1
        free(s.memory)
    if bad:
        raise MemoryError
