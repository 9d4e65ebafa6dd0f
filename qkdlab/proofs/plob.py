"""The ceiling: Pirandola, Laurenza, Ottaviani and Banchi, Nat. Commun. 8, 15043 (2017).

No protocol from point to point, however clever, gives more key per use of a lossy line than its capacity. A rate above
it is a mistake in the rate. (Twin-field protocols have a station in between and may exceed it.)
"""

import numpy as np

from .arguments import within

__all__ = ["capacity"]


def capacity(eta):
    """Secret-key capacity of a lossy channel: ``-log2(1 - eta)`` bits per mode; 1.44 eta where eta is small.

    Parameters
    ----------
    eta : array_like
        Transmittance.

    Returns
    -------
    float or ndarray
        Infinite where eta is 1.

    Raises
    ------
    BadInput

    References
    ----------
    Pirandola et al. (2017): two-way assisted capacity of the pure-loss channel.
    """
    eta = within("eta", eta, 0, 1)
    with np.errstate(divide="ignore"):
        return (-np.log1p(-eta) / np.log(2))[()]
