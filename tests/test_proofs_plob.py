"""The ceiling, and that no rate of ours is above it."""

import numpy as np
import pytest

from qkdlab import proofs
from qkdlab.errors import BadInput
from qkdlab.proofs import bbm92, ma2005, plob

ETA = 10 ** (-np.linspace(0.1, 80, 60) / 10)


def test_capacity():
    assert plob.capacity(0.5) == 1 and plob.capacity(0) == 0 and plob.capacity(1) == np.inf
    assert plob.capacity(1e-9) == pytest.approx(1e-9 / np.log(2), rel=1e-8)
    with pytest.raises(BadInput):
        plob.capacity(1.5)


def test_bb84_with_decoys_is_below_it():
    mu = np.linspace(0.01, 1.5, 80)[:, None]
    best = ma2005.infinite_decoys(mu, ETA, 0.0, 0.0, q=1.0).max(axis=0)
    assert (best > 0).all() and (best < plob.capacity(ETA)).all()


def test_entangled_pairs_are_below_it():
    """The source in the middle: each photon meets the root of the loss."""
    mu = np.geomspace(0.001, 2, 60)[:, None]
    best = bbm92.rate(mu, np.sqrt(ETA), np.sqrt(ETA), q=1.0).max(axis=0)
    assert (best > 0).all() and (best < plob.capacity(ETA)).all()


def test_finite_blocks_are_below_it():
    from links import SOURCES, Link

    for proof, (mu, p) in SOURCES.items():
        for loss_db in (1, 5, 10, 20):
            link = Link(mu, p, loss_db=loss_db, y0=0, e_mis=0, key_basis=0.999)
            bound = proofs.bound(link.counts(10**14), intensities=mu, probabilities=p, proof=proof, f_ec=1.0, eps_sec=1e-9,
                                 eps_cor=1e-15)
            assert 0 < bound.length / 10**14 < plob.capacity(link.eta)
