"""Alice and Bob: two objects that share nothing but messages on the classical channel.

Bob drives, Alice serves; each may be a thread, a process or a host. Both keep the same public counts and compute the
same bound from them, so neither has to believe the other's arithmetic. What was leaked is what the channel counted.

Messages, in order: ``hello``; then for each stretch of clicks ``clicks``, ``sifted``, ``test-errors``; then for each
block ``distill``, ``cascade-seed``, ``cascade-ask``/``cascade-answer`` ..., ``verify``, ``verified``, ``amplify`` where the
hash agreed (or only ``discard``); at last ``bye``.
"""

import dataclasses
import hashlib
import math
import struct
import time

import numpy as np

from . import preamble
from .accounting import block_bound, efficiency, expected_qber, no_key, only_sent
from .bits import Bits, BitsDigest
from .choices import LAST_SLOT, refuse_simulated
from .datatypes import Bound, DecoyCounts, SecretKey
from .draws import from_system, replayed
from .errors import BadInput
from .postprocessing import reconcile, sift, verify
from .postprocessing.amplify import amplify
from .postprocessing.balance import Balance
from .proofs.assumptions import RANDOM_CHOICES, Contradiction
from .protocols import bb84

_SLOTS = struct.Struct("<Q")     # how many secret slots a stretch of clicks covers
# Part of the coincidences between the bases that chance alone would make. Light that is split between them makes more
# (bright pulses favour both); blinded detectors that Eve tells when to click make none, and no error: Lydersen et al.,
# Nature Photonics 4, 686 (2010). An Eve who also fakes coincidences, each a bit at random, is not seen here.
LEAST_COINCIDENCES = 0.5

__all__ = ["Alice", "Bob", "BlockReport", "from_system", "replayed"]


@dataclasses.dataclass(frozen=True, slots=True)
class BlockReport:
    """What came of one block. Public: counts, lengths and ids, never a bit of key."""

    block: int
    counts: DecoyCounts
    bound: Bound
    reconciliation: dict | None      # leak_bits, transcript_bits, rounds, corrected, f_ec, verified
    verification_bits: int
    key_id: str | None
    seconds: dict

    @property
    def secret_bits(self):
        """Length of the key that came out."""
        return self.bound.length if self.key_id else 0


class _Party:
    """What both parties do alike: keep the public counts, compute the bound, hold the key."""

    def __init__(self, agreement, channel, draw, provenance, deliver=None):
        self.agreement, self.channel, self.provenance = agreement, channel, provenance
        # Other settings, other seeds: two keys distilled from one recording have nothing to do with each other.
        self.draw = lambda n_bytes, purpose: draw(n_bytes, f"{agreement.digest()} {purpose}")
        self.keys, self._digest = [], BitsDigest()
        self._deliver = deliver or self.keys.append
        self.block = 0
        self._last_slot = -1
        self._clear()

    def _clear(self):
        self._balance = Balance()        # of Bob's detectors
        n = len(self.agreement.source.intensities)
        self.counts = DecoyCounts.zeros(n)
        self._stretches = []             # of SiftedKey, key basis
        self._start = dict(self.channel.leaked)

    def _keep(self, sifted, counts, n_slots):
        self._stretches.append(sifted)
        self.counts = self.counts + counts + only_sent(self.agreement.source, n_slots)

    def _after(self, slots):
        """Refuse slots that were announced before (a bit counted twice is no key) and public ones (it is no secret)."""
        public = preamble.is_header(self.agreement.sync, slots)
        if public.any():
            raise ValueError(f"slot {slots[public][0]} belongs to the public string: its bit is known to all")
        if len(slots) and slots[0] <= self._last_slot:
            raise ValueError(f"slot {slots[0]} is not after {self._last_slot}, the last one announced")
        self._last_slot = int(slots[-1]) if len(slots) else self._last_slot

    def _leaked(self):
        """Key-dependent bits that were said in this block, whatever the message; without the verification hash, which
        the key length pays for by eps_cor."""
        now, before = (sum(c.values()) - c.get("verify", 0) for c in (self.channel.leaked, self._start))
        return now - before

    def _sifted(self):
        return Bits.concatenate(s.bits for s in self._stretches)

    def _bound(self, key_errors):
        errors = self.counts.errors.copy()
        errors[:, 0] = key_errors
        self.counts = dataclasses.replace(self.counts, errors=errors)
        bound = block_bound(self.agreement, self.counts, leak_bits=self._leaked())
        return dataclasses.replace(bound, assumptions=(*bound.assumptions, *self.provenance.get("assumptions", ())))

    def _amplify(self, bits, message, bound):
        if len(message) < 8:
            raise ValueError("classical channel: 'amplify' is malformed (cut off)")
        length, = struct.unpack_from("<Q", message)
        if length != bound.length:
            raise ValueError(f"the parties disagree on the key length: {length} and {bound.length}")
        if not length:
            return None
        seed = Bits.from_bytes(message[8:], len(bits) + length - 1)
        public = self.agreement.digest().encode() + struct.pack("<Q", self.block) + message
        key_id = hashlib.sha256(public).hexdigest()[:16]
        key = SecretKey(amplify(bits, length, seed), key_id, dict(bound.epsilons), dict(self.provenance))
        self._digest.add(key.bits)
        self._deliver(key)
        return key_id

    def sha256(self):
        """Digest of all keys so far, one after the other; None where there is none."""
        return self._digest.hexdigest() if self._digest.length else None


class Alice(_Party):
    """The party that prepared.

    Parameters
    ----------
    choices : object with ``at(slots)``
        What she prepared (see :mod:`qkdlab.choices`).
    agreement : Agreement
    channel : ClassicalChannel
        Her end.
    draw : callable
        ``draw(n_bytes, purpose) -> bytes``: :func:`from_system` on a live link, :func:`replayed` for a recording.
    provenance : dict
        Goes into each key: whether it is simulated, the settings' digest, the recording.
    deliver : callable, optional
        ``deliver(key)`` takes each SecretKey as it is made; absent: it is appended to ``keys``.
    """

    def __init__(self, choices, agreement, channel, draw=from_system, provenance=(), deliver=None):
        super().__init__(agreement, channel, draw, dict(provenance), deliver)
        refuse_simulated(choices, self.provenance.get("simulated", False))
        self._choices = choices

    def serve(self):
        """Answer until Bob says good-bye.

        Raises
        ------
        ChannelClosed
            Where Bob has gone without it.
        ValueError
            Where what he said cannot be: no key comes from it.
        """
        answers = {"hello": self._hello, "clicks": self._clicks, "distill": self._distill, "discard": self._discard}
        while True:
            kind, payload = self.channel.listen()
            if kind == "bye":
                return
            if kind not in answers:
                raise ValueError(f"classical channel: '{kind}' came, which Alice does not answer here")
            try:
                answers[kind](payload)
            except struct.error as error:
                raise ValueError(f"classical channel: '{kind}' is malformed ({error})") from None

    def _hello(self, payload):
        mine = self.agreement.digest().encode()
        about = struct.pack("<Q", self._choices.repeats_after or 0) + (self._choices.departure() or "").encode()
        self.channel.send("hello", mine + about)
        if payload != mine:
            raise BadInput("the two parties hold different settings", field="settings digest")

    def _clicks(self, payload):
        n_slots, = _SLOTS.unpack_from(payload)
        if n_slots > LAST_SLOT:
            raise ValueError(f"classical channel: a stretch of {n_slots} slots came")
        slots, basis = sift.read_announcement(payload[_SLOTS.size :])
        self._after(slots)
        symbols = np.where(basis == 1, 0, 2).astype(np.uint8)       # never prepared: the other basis, so not kept
        prepared = self._choices.covers(slots)
        symbols[prepared] = self._choices.at(slots[prepared])
        bit, mine, intensity = symbols & 1, (symbols >> 1) & 1, symbols >> 2
        n = len(self.agreement.source.intensities)
        self.channel.send("sifted", sift.answer(bit, mine, intensity, basis, n))
        kept = sift.same_basis(mine, basis)
        counts = bb84.tally(n, intensity[kept], basis[kept], np.zeros_like(basis[kept]))
        errors = np.frombuffer(self.channel.hear("test-errors"), "<i8")
        if errors.shape != (n,) or (errors < 0).any() or (errors > counts.clicks[:, 1]).any():
            raise ValueError("classical channel: impossible numbers of test-basis errors came")
        counts = dataclasses.replace(counts, errors=np.stack([np.zeros_like(errors), errors], axis=1))
        self._keep(sift.sifted(slots[kept], bit[kept], basis[kept], intensity[kept], code=0), counts, n_slots)

    def _discard(self, payload):
        self._clear()
        self.block += 1

    def _distill(self, payload):
        qber, = struct.unpack("<d", payload)
        seed = self.draw(8, f"cascade {self.block}")
        self.channel.send("cascade-seed", seed)
        bits = self._sifted()
        reference = reconcile.Reference(bits, qber, seed=int.from_bytes(seed, "little"),
                                        frame_bits=self.agreement.distill.frame_bits)
        reconcile.run_alice(self.channel, reference)
        size = verify.tag_bits(self.agreement.distill.eps_cor)
        seed = self.draw(verify.SEED_BYTES, f"verify {self.block}")
        self.channel.send("verify", seed + verify.tag(bits, seed, size), key_bits=size)
        verified, errors = _read_verified(self.channel.hear("verified"), self.counts)
        if verified:
            bound = self._bound(errors)
            # Said for a length of 0 as well: if the parties ever disagreed, neither must wait for the other for ever.
            need = (len(bits) + bound.length - 1 + 7) // 8 if bound.length else 0
            message = struct.pack("<Q", bound.length) + self.draw(need, f"amplify {self.block}")
            self.channel.send("amplify", message)
            self._amplify(bits, message, bound)
        self._discard(b"")


class Bob(_Party):
    """The party that detected, and that drives.

    Parameters are those of :class:`Alice`, without choices: he is handed clicks.

    Attributes
    ----------
    coincidences : int or None
        Slots so far in which detectors of both bases clicked, for whoever hands him clicks to say; None: not known.
    """

    def __init__(self, agreement, channel, draw=from_system, provenance=(), deliver=None):
        super().__init__(agreement, channel, draw, dict(provenance), deliver)
        self._repeats_after, self._departure = 0, ""
        self.coincidences = None
        self._by_basis, self._covered = np.zeros(2, np.int64), 0         # clicks of all blocks, and slots they cover

    def hello(self):
        """Compare settings with Alice.

        Raises
        ------
        BadInput
            Where they differ.
        """
        mine = self.agreement.digest().encode()
        self.channel.send("hello", mine)
        reply = self.channel.hear("hello")
        if reply[: len(mine)] != mine:
            raise BadInput("the two parties hold different settings", field="settings digest")
        self._repeats_after, = _SLOTS.unpack_from(reply, len(mine))
        self._departure = reply[len(mine) + _SLOTS.size :].decode("utf-8", "replace")

    def bye(self):
        """End Alice's service."""
        self.channel.send("bye")

    @property
    def sifted_key_bits(self):
        """Key-basis bits waiting in the present block."""
        return sum(map(len, self._stretches))

    def announce(self, clicks, n_slots):
        """Sift a stretch of clicks.

        Parameters
        ----------
        clicks : Clicks
        n_slots : int
            How many of Alice's (secret) slots the stretch covers.
        """
        self._after(clicks.slot)
        self._balance.add(clicks.basis, clicks.outcome)
        self._by_basis += np.bincount(clicks.basis, minlength=2)
        self._covered += n_slots
        self.channel.send("clicks", _SLOTS.pack(n_slots) + sift.announce(clicks))
        n = len(self.agreement.source.intensities)
        reply = sift.read_answer(self.channel.hear("sifted"), clicks.basis, n)
        slot, basis, outcome = clicks.slot[reply.kept], clicks.basis[reply.kept], clicks.outcome[reply.kept]
        error = np.zeros_like(outcome)
        error[basis == 1] = outcome[basis == 1] ^ reply.test_bit
        counts = bb84.tally(n, reply.intensity, basis, error)
        self.channel.send("test-errors", counts.errors[:, 1].astype("<i8").tobytes())
        self._keep(sift.sifted(slot, outcome, basis, reply.intensity, code=0), counts, n_slots)

    def distill(self, progress=lambda rounds, leak_bits: None, blocked=None):
        """Turn the present block into key and start the next one.

        Parameters
        ----------
        progress : callable
            ``progress(rounds, leak_bits)``, called while Cascade runs.
        blocked : str, optional
            Why this block must give no key, whatever its counts say.

        Returns
        -------
        BlockReport
        """
        seconds, clock = {}, time.perf_counter()
        reason = blocked or self._give_up_early()
        if reason:
            return self._finish(no_key(self.agreement, self.counts, reason), None, 0, None, seconds, say=True)
        bits, corrected, stats = self._reconcile(progress)
        seconds["reconcile"], clock = time.perf_counter() - clock, time.perf_counter()
        verified, size, errors = self._verify(bits, corrected)
        seconds["verify"], clock = time.perf_counter() - clock, time.perf_counter()
        stats["verified"] = verified
        if not verified:
            reason = ("the corrected keys still differ (verification hash): the block is thrown away, "
                      "with all that was said about it")
            return self._finish(no_key(self.agreement, self.counts, reason), stats, size, None, seconds)
        bound = self._bound(errors)
        stats["f_ec"] = efficiency(self._leaked(), len(bits), int(errors.sum()))
        seconds["bound"], clock = time.perf_counter() - clock, time.perf_counter()
        key_id = self._amplify(corrected, self.channel.hear("amplify"), bound)
        seconds["amplify"] = time.perf_counter() - clock
        return self._finish(bound, stats, size, key_id, seconds)

    def _give_up_early(self):
        """Why Cascade need not even start, in plain words; or None."""
        if not self.sifted_key_bits:
            return "no detection in the key basis: is the shutter open?"
        # Alice plays from slot 0 on, whether Bob listens or not: all slots up to the last one were sent.
        if self._repeats_after and self._last_slot >= self._repeats_after:
            return Contradiction(f"the sender's pattern repeats after {self._repeats_after:,} slots: bits sent twice are "
                                 "not secret; use a longer pattern or drawn choices", RANDOM_CHOICES)
        if self._departure:
            return Contradiction(self._departure, RANDOM_CHOICES)
        qber = self.counts.qber(1)
        if qber is None:
            return "no detection in the test basis: without it nothing bounds what Eve knows"
        if qber > self.agreement.distill.abort_qber:
            return (f"the error rate in the test basis, {100 * qber:.1f} %, is above the abort line of "
                    f"{100 * self.agreement.distill.abort_qber:.1f} %: someone listens, or the link is misaligned")
        return self._balance.one_sided() or self._told_to_click()

    def _told_to_click(self):
        """That detectors of the two bases hardly ever click together, in words; or None. Over all blocks so far."""
        if self.coincidences is None or not self._covered:
            return None
        key, test = self._by_basis.tolist()
        chance = key * test / self._covered
        if self.coincidences + 5 * math.sqrt(chance) < LEAST_COINCIDENCES * chance:
            return (f"detectors of both bases clicked together {self.coincidences:,} times, where chance alone would make "
                    f"at least {chance:,.0f}: is someone blinding them and telling them when to click?")
        return None

    def _reconcile(self, progress):
        qber = expected_qber(self.counts)
        self.channel.send("distill", struct.pack("<d", qber))
        seed = int.from_bytes(self.channel.hear("cascade-seed"), "little")
        bits = self._sifted()
        corrector = reconcile.Corrector(bits, qber, seed=seed, frame_bits=self.agreement.distill.frame_bits)
        done = reconcile.run_bob(self.channel, corrector, progress)
        stats = {"leak_bits": self._leaked(), "transcript_bits": done.transcript_bits,
                 "rounds": done.rounds, "corrected": done.corrected, "f_ec": None, "verified": False}
        return bits, corrector.bits, stats

    def _verify(self, bits, corrected):
        """Compare the hash; where it agrees, say how many key-basis errors each intensity had."""
        size = verify.tag_bits(self.agreement.distill.eps_cor)
        message = self.channel.hear("verify")
        seed, tag = message[: verify.SEED_BYTES], message[verify.SEED_BYTES :]
        verified = verify.tag(corrected, seed, size) == tag
        flipped = (bits ^ corrected).to_numpy()
        intensity = np.concatenate([s.intensity for s in self._stretches])
        errors = np.bincount(intensity[flipped == 1], minlength=len(self.counts.clicks))
        errors = errors if verified else np.zeros_like(errors)
        self.channel.send("verified", struct.pack("<?", verified) + errors.astype("<i8").tobytes())
        return verified, size, errors

    def _finish(self, bound, stats, verification_bits, key_id, seconds, say=False):
        if say:
            self.channel.send("discard", b"")
        report = BlockReport(self.block, self.counts, bound, stats, verification_bits, key_id, seconds)
        self._clear()
        self.block += 1
        return report


def _read_verified(payload, counts):
    """Whether the hash agreed, and the key-basis errors of each intensity."""
    errors = np.frombuffer(payload[1:], "<i8")
    if errors.shape != (len(counts.clicks),) or (errors < 0).any() or (errors > counts.clicks[:, 0]).any():
        raise ValueError("classical channel: impossible numbers of key-basis errors came")
    return bool(payload[0]), errors
