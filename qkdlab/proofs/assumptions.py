"""What a key rests on, in words: one name for each assumption, so that a ledger can say of each how it stands."""

__all__ = ["ASSUMPTIONS", "FINITE", "Contradiction"]

PHASE_RANDOM = "Alice's pulses are phase-randomised: to Eve each one is a Poisson mixture of photon numbers"
EXACT_INTENSITIES = "the intensities and their probabilities are exactly those stated"
RANDOM_CHOICES = "each choice of bit, basis and intensity is random and independent of all others"
NO_SIDE_CHANNEL = ("nothing but the prepared state tells of these choices: no side channel, no correlation between "
                   "pulses, no light sent in by Eve")
EQUAL_DETECTION = ("a pulse is detected with the same probability in both bases, whatever Eve sends; double clicks got "
                   "a random bit")
LATE_ANNOUNCEMENT = "bases and intensities were announced only after the last detection of the block"
AUTHENTICATED = "the classical channel is authenticated; its own failure probability comes on top"
LEAK = "the error correction revealed no more than leak_bits, beside the verification hash that eps_cor pays for"
ERROR_POSITIONS = ("what the correction gives away about where the keys differ is not charged: in many practical "
                   "situations it costs nothing, in others it does (Tupkary and Lutkenhaus, PR Applied 20, 064040 "
                   "(2023))")
ASSUMPTIONS = (PHASE_RANDOM, EXACT_INTENSITIES, RANDOM_CHOICES, NO_SIDE_CHANNEL, EQUAL_DETECTION, LATE_ANNOUNCEMENT,
               AUTHENTICATED, LEAK, ERROR_POSITIONS)

LIVE_DETECTORS = ("all four detectors were ready in every slot: clicks while one of them was dead were not left out, though "
                  "they make neighbouring key bits differ more often than they should, and the detectors unequal (Rogers et "
                  "al., New J. Phys. 9, 319 (2007))")
BLANKED = "no detector stays dead for longer than the receiver's blank_ps: slots in which one could be were left out"
COHERENT = "finite size, coherent attacks"
VARIABLE_LENGTH = (
    "variable length: the length is computed from the counts of this very block, which rests on the theorem of "
    "Tupkary, Tan and Lutkenhaus (2024); a fixed-length claim would need thresholds agreed before the run")
ONCE = "the block ended by a rule fixed beforehand, and it is analysed once, not again until it passes"
FINITE = (COHERENT, VARIABLE_LENGTH, ONCE)


class Contradiction(str):
    """The reason why there is no key, where the data broke an assumption.

    Parameters
    ----------
    words : str
    assumption : str
        The one that is broken.
    """

    def __new__(cls, words, assumption):
        reason = super().__new__(cls, words)
        reason.assumption = assumption
        return reason
