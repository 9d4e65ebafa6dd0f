"""Error correction: Cascade between two parties, or with both in this process.

Alice reveals parities, Bob tells where his differ, and what is asked next follows from what was said: both keep the
same account of intervals known to be even or odd (``_ext/cascade_rounds.pxd``). A long key is cut into frames that are
corrected in lock-step, so that one message carries the round of all of them.

Messages, little-endian. Question: round number (uint32); in the first one a digest of what was agreed (16 bytes), in
the later ones one bit for each parity of the last answer, set where Bob's differs, whole bytes for each frame. Answer:
the parities asked for, whole bytes for each frame. After the last answer Bob sends a last question, which is not
answered: with it Alice knows that nothing is odd any more.

Alice's leak is the parities she revealed (``leak_bits``). Bob's bits tell where errors are; whether they are charged
too is the proof's choice (Tupkary and Luetkenhaus, arXiv:2307.00576, show that proofs which ignore them need care), so
the whole two-way transcript is counted as well (``transcript_bits``).

References
----------
G. Brassard, L. Salvail, EUROCRYPT 1993 (Cascade).
J. Martinez-Mateo et al., Quantum Inf. Comput. 15, 453 (2015), arXiv:1407.3257 (sub-block reuse, block sizes that are
powers of two, many late passes over half of the key).
"""

import struct

import numpy as np

from .. import _ext
from ..bits import Bits
from ..datatypes import Reconciliation
from ..errors import BadInput
from .cascade_plan import FRAME_BITS, VARIANTS, Agreement, expected_efficiency

__all__ = ["FRAME_BITS", "VARIANTS", "Corrector", "Reference", "expected_efficiency", "reconcile", "run_alice",
           "run_bob"]

_FRAMES_AT_ONCE = 32          # some 5 ms of work, then Python may be interrupted
_ROUND = struct.Struct("<I")


def _length(bits):
    if not isinstance(bits, Bits):
        raise BadInput("Bits are expected (Bits.from_numpy makes them)", where="reconcile", value=type(bits).__name__)
    return len(bits)


# ------------------------------------------------------------------------------------------------- both in this process


def reconcile(alice, bob, qber, *, seed, variant="default", frame_bits=FRAME_BITS):
    """Correct Bob's bits to Alice's, both parties in this process.

    Says and counts exactly what :class:`Corrector` and :class:`Reference` say over a channel with the same arguments.

    Parameters
    ----------
    alice, bob : Bits, n bits each
    qber : float
        Estimated error rate, between 0 and 0.5 (excluded). It sets the block sizes; a wrong one costs leak and rounds,
        not correctness.
    seed : int, 0 to 2^64 - 1
        Public number, chosen after the bits were measured; expands to the orders of the passes.
    variant : str
        A key of :data:`qkdlab.postprocessing.cascade_plan.VARIANTS`.
    frame_bits : int
        Bits corrected together. Frames are cut at multiples of 4096 bits, to near-equal lengths of at most 262144.

    Returns
    -------
    Reconciliation
        With Bob's corrected bits. ``verified`` is an exact comparison with Alice's bits, which costs no leak because
        both are here; parties apart compare a hash instead, whose bits are leaked in addition.

    Raises
    ------
    BadInput
        Where the lengths differ, `qber` is outside (0, 0.5), or an argument has the wrong type or range.
    """
    agreed = Agreement(_length(alice), qber, seed, variant, frame_bits)
    if _length(bob) != agreed.n:
        raise BadInput(f"Alice has {len(alice)} bits, Bob {len(bob)}: equal lengths are expected", where="reconcile")
    if not agreed.n:
        return Reconciliation(bob, leak_bits=0, transcript_bits=0, rounds=0, verified=True)
    plan, _ = agreed.plan()
    words = bob.words.copy()
    counts = np.zeros((plan.frames, 4), np.int64)
    for first in range(0, plan.frames, _FRAMES_AT_ONCE):
        _ext.cascade.run(plan, alice.words, words, counts, first, min(first + _FRAMES_AT_ONCE, plan.frames))
    leak_bits, spoken_bytes, rounds, corrected = zip(*counts.tolist(), strict=True)
    rounds = max(rounds)
    words.flags.writeable = False
    return Reconciliation(
        Bits(words, len(bob)), leak_bits=sum(leak_bits), transcript_bits=transcript_bits(sum(spoken_bytes), rounds),
        rounds=rounds, verified=bool((words == alice.words).all()), corrected=sum(corrected),
    )


def transcript_bits(spoken_bytes, rounds):
    """Answers and differences, a round number with each question and with the last one, and the digest."""
    return 8 * (spoken_bytes + _ROUND.size * (rounds + 1) + 16)


# ------------------------------------------------------------------------------------------------------- two parties


class _Side:
    """What the two parties' sides have in common: the kernel's party and the counts."""

    def __init__(self, bits, qber, seed, variant, frame_bits, corrects):
        agreed = Agreement(_length(bits), qber, seed, variant, frame_bits)
        self._bits, self._party, self._digest = bits, None, b""
        self.leak_bits = self.rounds = self._spoken_bytes = 0
        if agreed.n:
            plan, self._digest = agreed.plan()
            self._party = _ext.cascade.Party(plan, bits.words, corrects)

    def _asked(self):
        """Parities asked for in this round, and the bytes that hold them."""
        return self._party.asked() if self._party else (0, 0)

    def _say(self):
        """This party's parities of what is asked: uint8."""
        out = np.empty(self._asked()[1], np.uint8)
        self._party.say(out)
        return out

    def _learn(self, differences):
        """Both know now where the parities differ: count the round, go on to the next."""
        try:
            self._party.learn(differences)
        except ValueError as error:
            raise BadInput(str(error), where="cascade") from None
        self._spoken_bytes += 2 * len(differences)
        self.rounds += 1

    @property
    def corrected(self):
        """Number of errors found so far."""
        return self._party.corrected() if self._party else 0

    @property
    def transcript_bits(self):
        """All that was said in both directions, the last question included, in bits."""
        return transcript_bits(self._spoken_bytes, self.rounds) if self._party else 0

    def result(self):
        """The outcome so far as a :class:`Reconciliation`, not verified."""
        return Reconciliation(self.bits, leak_bits=self.leak_bits, transcript_bits=self.transcript_bits,
                              rounds=self.rounds, verified=False, corrected=self.corrected)


class Corrector(_Side):
    """Bob: asks until nothing is odd any more, and corrects his bits.

    Parameters as of :func:`reconcile`; both parties must give the same ones.

    Attributes
    ----------
    bits : Bits
        His bits as corrected so far.
    waiting : bool
        The question asked last has an answer that was not heard yet.
    leak_bits, transcript_bits, rounds, corrected : int
        As in :class:`Reconciliation`.
    """

    def __init__(self, bits, qber, *, seed, variant="default", frame_bits=FRAME_BITS):
        super().__init__(bits, qber, seed, variant, frame_bits, corrects=True)
        self._next = _ROUND.pack(0) + self._digest if len(bits) else None
        self.waiting = False

    @property
    def bits(self):
        if not self._party:
            return self._bits
        words = np.empty_like(self._bits.words)
        self._party.words(words)
        words.flags.writeable = False
        return Bits(words, len(self._bits))

    def ask(self):
        """The next message to Alice, or None at the end. The last one is answered by nothing (or by no bytes)."""
        if self.waiting:
            raise RuntimeError("the last question was not answered yet")
        question, self._next = self._next, None
        self.waiting = self._asked()[0] > 0
        return question

    def hear(self, answer):
        """Take Alice's answer to the question asked last.

        Raises
        ------
        BadInput
            Where it does not have the length that was asked for, or contradicts what Alice said before.
        """
        size = self._asked()[1] if self.waiting else 0
        if not isinstance(answer, bytes | bytearray | memoryview) or len(answer) != size:
            raise BadInput(f"{size} bytes are expected", where="cascade", field=f"answer {self.rounds}",
                           value=len(answer) if hasattr(answer, "__len__") else answer)
        if self.waiting:
            self.leak_bits += self._asked()[0]
            differences = self._say() ^ np.frombuffer(answer, np.uint8)
            self._learn(differences)
            self.waiting = False
            self._next = _ROUND.pack(self.rounds) + differences.tobytes()


class Reference(_Side):
    """Alice: answers with parities of her bits, which stay.

    Parameters as of :func:`reconcile`; both parties must give the same ones.

    Attributes
    ----------
    done : bool
        Nothing is odd any more, as far as Bob's questions say.
    bits, leak_bits, transcript_bits, rounds, corrected
        As in :class:`Reconciliation`.
    """

    def __init__(self, bits, qber, *, seed, variant="default", frame_bits=FRAME_BITS):
        super().__init__(bits, qber, seed, variant, frame_bits, corrects=False)
        self.done = not len(bits)
        self._begun = False

    @property
    def bits(self):
        return self._bits

    def answer(self, question):
        """Answer one question.

        Parameters
        ----------
        question : bytes

        Returns
        -------
        payload : bytes
        key_bits : int
            How many parities of her bits the payload reveals (0 for the last question, which needs no answer).

        Raises
        ------
        BadInput
            Where the question is malformed, out of turn, from other arguments than hers, or contradicts what was said.
        """
        where = f"question {self.rounds}"
        if not isinstance(question, bytes | bytearray | memoryview):
            raise BadInput("bytes are expected", where="cascade", field=where, value=type(question).__name__)
        size = self._asked()[1] if self._begun else len(self._digest)
        if self.done or len(question) != _ROUND.size + size:
            expected = "no more questions are" if self.done else f"{_ROUND.size + size} bytes are"
            raise BadInput(f"{expected} expected", where="cascade", field=where, value=len(question))
        turn, body = _ROUND.unpack_from(question)[0], bytes(question[_ROUND.size :])
        if turn != (self.rounds + 1 if self._begun else 0):
            raise BadInput("out of turn", where="cascade", field=where, value=turn)
        if self._begun:
            self._learn(np.frombuffer(body, np.uint8))
        elif body != self._digest:
            raise BadInput("Bob's length, qber, seed, variant or frame_bits differ from Alice's", where="cascade",
                           field=where)
        self._begun = True
        asked = self._asked()[0]
        self.done = not asked
        self.leak_bits += asked
        return self._say().tobytes(), asked


def run_alice(channel, reference):
    """Answer Bob's questions over a classical channel until he is done.

    Parameters
    ----------
    channel : ClassicalChannel
    reference : Reference

    Returns
    -------
    Reconciliation
        With Alice's own bits, not yet verified. ``channel.leaked["cascade-answer"]`` has grown by ``leak_bits``.
    """
    while not reference.done:
        payload, key_bits = reference.answer(channel.hear("cascade-ask"))
        if key_bits:
            channel.send("cascade-answer", payload, key_bits=key_bits)
    return reference.result()


def run_bob(channel, corrector, progress=lambda rounds, leak_bits: None):
    """Ask Alice over a classical channel until nothing is odd any more.

    Parameters
    ----------
    channel : ClassicalChannel
    corrector : Corrector
    progress : callable
        ``progress(rounds, leak_bits)`` after each round; what it raises ends the correction.

    Returns
    -------
    Reconciliation
        With Bob's corrected bits, not yet verified. ``channel.leaked["cascade-answer"]`` has grown by ``leak_bits``.
    """
    while (question := corrector.ask()) is not None:
        channel.send("cascade-ask", question)
        if corrector.waiting:
            corrector.hear(channel.hear("cascade-answer"))
            progress(corrector.rounds, corrector.leak_bits)
    return corrector.result()
