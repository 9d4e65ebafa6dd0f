"""Our key rates beside those of TNO's `tno.quantum.communication.qkd_key_rate`, at its standard detector.

Run it in an environment of its own, from the checkout, so that the package is not needed to use qkdlab:

    python -m venv .peer && .peer/bin/pip install tno.quantum.communication.qkd_key_rate
    PYTHONPATH=. .peer/bin/python docs/key_rate_peer.py

One table for each kind of rate; `docs/cross-check.md` has the output and explains the differences.
"""

import warnings

import numpy as np
from tno.quantum.communication.qkd_key_rate.quantum import bb84 as theirs
from tno.quantum.communication.qkd_key_rate.quantum import standard_detector as detector
from tno.quantum.communication.qkd_key_rate.quantum.bbm92 import BBM92AsymptoticKeyRateEstimate

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.proofs import bbm92, ma2005
from qkdlab.proofs.photons import binary_entropy

LOSSES_DB = (10.0, 25.0)
SIGNAL = 0.5
MU, P, KEY_BASIS = (0.5, 0.1, 0.001), (0.7, 0.2, 0.1), 0.9
BLOCKS = (10**10, 10**12)
DARK, EFFICIENCY = detector.dark_count_rate, detector.efficiency_party
Y0, E_DET = 1 - (1 - DARK) ** 2, float(np.sin(detector.polarization_drift) ** 2)


def transmittance(loss_db):
    return EFFICIENCY * 10 ** (-loss_db / 10)


def endless(loss_db):
    """BB84 with infinitely many decoys, signal 0.5; ours without and with the vacuum term."""
    peer = theirs.BB84FullyAsymptoticKeyRateEstimate(detector=detector).compute_rate(np.array([SIGNAL]), loss_db)
    ours = ma2005.infinite_decoys(SIGNAL, transmittance(loss_db), Y0, E_DET, q=1.0)
    return peer, ours, ours + np.exp(-SIGNAL) * Y0


def two_decoys(loss_db):
    """BB84 with two decoys, an endless block; theirs by linear programs, ours by the closed form, with the vacuum."""
    program = theirs.BB84AsymptoticKeyRateEstimate(detector=detector, number_of_decoy=2)
    peer = program.compute_rate(np.array(MU), loss_db)
    gain, error = theirs.compute_gain_and_error_rate(detector, np.array(MU), loss_db)
    sent, p = 10**16, np.ones(3) / 3
    bound = proofs.bound(counted(sent * np.outer(p, [0.5, 0.5]), gain, error), intensities=MU, probabilities=p,
                         proof="ma2005", eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0)
    return peer, (bound.signed_length + bound.s0) / (sent / 6)


def entangled(loss_db):
    """BBM92 with the source in the middle, 0.1 pairs per pulse."""
    arm = transmittance(loss_db / 2)
    return (BBM92AsymptoticKeyRateEstimate(detector=detector).compute_rate(0.1, loss_db),
            bbm92.rate(0.1, arm, arm, DARK, DARK, 0.0, q=1.0))


def finite(loss_db, pulses):
    """BB84 with two decoys and so many pulses; and what the same settings give if the single photons were known, with
    and without paying for their phase error."""
    p_key, p_test = KEY_BASIS * np.array(P), (1 - KEY_BASIS) * np.array(P)
    peer = theirs.BB84FiniteKeyRateEstimate(detector=detector, number_of_pulses=pulses).compute_rate(
        np.array(MU), loss_db, p_key, p_test)
    gain, error = theirs.compute_gain_and_error_rate(detector, np.array(MU), loss_db)
    counts = counted(pulses * np.stack([p_key, p_test], axis=1), gain, error)
    ours = [proofs.bound(counts, intensities=MU, probabilities=P, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0, tails=tails,
                         sampling=sampling).length / pulses
            for tails, sampling in (("hoeffding", "serfling"), ("chernoff", "hypergeometric"))]
    y1, e1 = ma2005.single_photons(transmittance(loss_db), Y0, E_DET)
    sent = p_key * np.exp(-np.array(MU))
    found, singles = (p_key * gain).sum(), (sent * np.array(MU) * y1).sum()
    free = (sent * Y0).sum() + singles - found * binary_entropy((p_key * gain * error).sum() / found)
    return float(np.squeeze(peer)), *ours, free - singles * binary_entropy(e1), free


def counted(sent, gain, error):
    found = sent * gain[:, None]
    return DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, found, found * error[:, None])))


def show(title, heads, rows):
    print(f"\n{title}")
    print("  ".join(f"{h:>22}" for h in heads))
    for row in rows:
        print("  ".join(f"{v:>22.10g}" for v in row))


def main():
    warnings.simplefilter("ignore")
    show("BB84, endless, infinitely many decoys", ("loss dB", "TNO", "ours", "ours with vacuum"),
         [(db, *endless(db)) for db in LOSSES_DB])
    show("BB84, endless, two decoys", ("loss dB", "TNO", "ours with vacuum"),
         [(db, *two_decoys(db)) for db in LOSSES_DB])
    show("BBM92, endless", ("loss dB", "TNO", "ours"), [(db, *entangled(db)) for db in LOSSES_DB])
    show("BB84, finite, two decoys",
         ("loss dB", "pulses", "TNO", "ours default", "ours tightest", "single photons known", "phase error unpaid"),
         [(db, n, *finite(db, n)) for db in LOSSES_DB for n in BLOCKS])


if __name__ == "__main__":
    main()
