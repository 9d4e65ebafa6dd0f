"""Device-independent key from a Bell test: Acin, Brunner, Gisin, Massar, Pironio and Scarani, PRL 98, 230501 (2007).

Collective attacks, an endless block, no detection loophole (clicks that fail to come are outcomes, not losses). In a
lab that trusts its devices the CHSH value is a witness of entanglement, and the key formula is that of
:mod:`qkdlab.proofs.bbm92`. Arrays broadcast in every function.
"""

import math

import numpy as np

from ..errors import BadInput
from .arguments import within
from .crossing import last_positive
from .photons import binary_entropy

__all__ = ["chsh", "eve_information", "secret_fraction", "threshold"]

LOCAL = 2.0                      # Clauser, Horne, Shimony and Holt, PRL 23, 880 (1969)
TSIRELSON = 2 * math.sqrt(2)     # Cirel'son, Lett. Math. Phys. 4, 93 (1980)
ROUNDING = 1e-12


def chsh(qber):
    """CHSH value of a pair of qubits with white noise: ``2 sqrt(2) (1 - 2 Q)``.

    Parameters
    ----------
    qber : array_like
        Error rate in equal bases.

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput
    """
    return (TSIRELSON * (1 - 2 * within("qber", qber, 0, 0.5)))[()]


def eve_information(s):
    """What Eve may know of a bit, from the CHSH value alone: ``h((1 + sqrt((S/2)^2 - 1))/2)``, 1 where \\|S\\| <= 2.

    Parameters
    ----------
    s : array_like
        CHSH value; its sign is a matter of labels.

    Returns
    -------
    float or ndarray
        Bits.

    Raises
    ------
    BadInput
        Where \\|S\\| is above 2 sqrt(2): no quantum device does that, so the data are wrong (counts mixed up, outcomes
        thrown away). A measured value above it by chance needs more data first.

    References
    ----------
    Acin et al. (2007): the bound on the Holevo quantity chi(B1:E).
    """
    s = np.abs(within("s", s, -4, 4))
    if (s > TSIRELSON * (1 + ROUNDING)).any():
        raise BadInput("no quantum device exceeds 2 sqrt(2) = 2.828: check the data", field="s", value=s.tolist())
    violation = np.sqrt(np.clip((s / LOCAL) ** 2 - 1, 0, 1))
    return binary_entropy((1 + violation) / 2)


def secret_fraction(qber, s, f_ec=1.0):
    """Secret bits per bit of key: ``1 - f h(Q) - h((1 + sqrt((S/2)^2 - 1))/2)``, not below 0.

    Parameters
    ----------
    qber : array_like
        Error rate of the key settings.
    s : array_like
        CHSH value of the test settings.
    f_ec : array_like
        Efficiency of error correction.

    Returns
    -------
    float or ndarray
        0 where \\|S\\| <= 2: a local model explains the data.

    Raises
    ------
    BadInput
        Where \\|S\\| is above 2 sqrt(2), or another argument outside its range.

    References
    ----------
    Acin et al. (2007): the key rate against collective attacks.
    """
    qber, f_ec = within("qber", qber, 0, 1), within("f_ec", f_ec, 1, 1e6)
    return np.maximum(1 - f_ec * binary_entropy(np.minimum(qber, 0.5)) - eve_information(s), 0.0)[()]


def threshold(f_ec=1.0):
    """Error rate up to which white noise leaves a key: 7.15 % for f = 1 (printed: 7.1 %).

    Parameters
    ----------
    f_ec : array_like

    Returns
    -------
    float or ndarray

    Raises
    ------
    BadInput
    """
    f_ec = within("f_ec", f_ec, 1, 1e6)
    return last_positive(lambda qber: secret_fraction(qber, chsh(qber), f_ec), 0, 0.5, f_ec.shape)
