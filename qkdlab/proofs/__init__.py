"""Security analyses: counts, source and security in, :class:`~qkdlab.datatypes.Bound` out. One paper, one file.

Which one when
--------------
``lim2014``
    Two decoys (signal, decoy, vacuum or nearly so), finite size, coherent attacks. The default, and the one to take if
    the source has three intensities.
``rusca2018``
    One decoy, finite size. Fewer settings; needs the errors on key bits, which are known after error correction.
``wiesemann2024``
    One decoy, the consolidated proof: no vacuum term, tighter budget. The safest choice for two intensities.
``linear``
    Any number of decoys, finite size: linear programs, never below the formulas. The choice for four intensities or
    more; it takes some 10 ms a block.
``ma2005``
    Two decoys, an endless block. A yardstick for links and lessons: never a key.

What goes in beside the counts
------------------------------
``tails``
    ``hoeffding`` as in the papers; ``chernoff`` is tighter where the weak pulses are a small part.
``sampling``
    ``serfling`` (proven, default), ``hypergeometric`` (proven, exact, best at few errors), ``gamma`` ("as published", an
    approximation that fails at few errors), ``yin`` (bounds one outcome, not the tail).
``clamp``
    Cut lower bounds of expected counts at 0. Sound, and decisive for small blocks.
``leak_bits``
    What error correction really revealed, without the verification hash (``eps_cor`` pays for it).
``f_ec``
    Instead, to estimate the leak as ``n f_ec h(error rate)``, for planning.

What comes out
--------------
``length`` (0 with a ``reason`` where there is no key), every intermediate, ``epsilons``: ``eps_sec``, ``eps_cor`` and
``eps_sec_parts``, which add up to ``eps_sec``; ``assumptions`` in plain words. A key fails with probability at most
eps_sec + eps_cor (+ authentication). All finite-size lengths here are computed from the block's own counts: *variable
length* (see the assumptions). Counts that contradict each other give no key rather than an error; input that cannot be
(more errors than detections, say) raises :class:`~qkdlab.errors.BadInput`.

Beside the menu
---------------
Rates of other protocols, as functions of their links: ``bbm92`` (entangled pairs), ``device_independent`` (Bell test),
``mdi`` (untrusted station), ``ma2005.infinite_decoys``; ``plob`` is the ceiling of them all. ``imperfections`` changes
a bound for devices that are not perfect, ``fixed_length`` announces a length before the run.
Planning: best settings of a source and maps of them in :mod:`.optimise`, of a satellite's pass in :mod:`.satellite`, of
the next block in :mod:`.adaptive`.

To add an analysis, write one file with ``check(source)``, which refuses a source that it was not made for
(:class:`~qkdlab.errors.BadInput`), and ``bound(counts, source, security) -> Bound``, which does so as well; `counts` are
:class:`~qkdlab.datatypes.DecoyCounts`, `source` and `security` a :class:`Source` and a :class:`Security`.
"""

import functools

from ..datatypes import as_table
from ..errors import BadInput
from ..registry import Registry
from .counts import Security, Source, checked, from_document, source_of

__all__ = ["Security", "Source", "bound", "check", "from_document", "keylength", "proofs"]

proofs = Registry(__name__, need="bound")


_proof = functools.cache(proofs.get)           # the menu looks for packages from outside, which takes a while


def check(source, proof="lim2014"):
    """Refuse, before anything is measured, a source that an analysis was not made for.

    Parameters
    ----------
    source : SourceSettings or Source
    proof : str

    Raises
    ------
    BadInput
        Naming the field.
    """
    _proof(proof).check(source_of(source, None, None))


def bound(counts, source=None, *, eps_sec, eps_cor, proof="lim2014", leak_bits=None, f_ec=None, tails="hoeffding",
          sampling="serfling", clamp=True, intensities=None, probabilities=None):
    """What an analysis says of a block.

    Parameters
    ----------
    counts : DecoyCounts
        Detections and errors by (intensity, basis).
    source : SourceSettings or Source, optional
        Of `SourceSettings` the probabilities as drawn are used.
    intensities, probabilities : sequence of float, optional
        In place of `source`.
    proof : str
        A name on the menu ``proofs``.
    eps_sec, eps_cor : float
        Secrecy and correctness failure probabilities, inside (0, 1).
    leak_bits : float, optional
        Bits revealed by error correction. Where absent, `f_ec` estimates them.
    f_ec : float, optional
        Efficiency of error correction, at least 1.
    tails : {"hoeffding", "chernoff"}
    sampling : {"serfling", "hypergeometric", "gamma", "yin"}
    clamp : bool

    Returns
    -------
    Bound

    Raises
    ------
    BadInput
        Naming the field.
    """
    source = source_of(source, intensities, probabilities)
    security = Security(eps_sec, eps_cor, leak_bits, f_ec, tails, sampling, clamp)
    return _proof(proof).bound(checked(counts, source), source, security)


def keylength(document, where=""):
    """Counts to a bound, every intermediate shown: the contract of ``qkdlab keylength``.

    Parameters
    ----------
    document : dict
        See :func:`qkdlab.proofs.counts.from_document`.
    where : str
        The file, for complaints.

    Returns
    -------
    dict
        Plain values, ready for JSON; None where a bound is undefined.

    Raises
    ------
    BadInput
        Naming the field.
    """
    proof, counts, source, security, pulses = from_document(document, where)
    try:
        analysis = _proof(proof)
    except BadInput as error:
        raise BadInput(error.why, where=where, field="proof", value=proof) from None
    try:
        result = as_table(analysis.bound(counts, source, security))
    except BadInput as error:
        raise error.at(where) from None
    first = ("proof", "length", "s0", "s1", "s0_test", "s1_test", "v1_test", "phase_error", "leak_bits",
             "signed_length", "reason", "epsilons")
    rate = {} if pulses is None else {"pulses": pulses, "rate_per_pulse": result["length"] / pulses}
    return {**{name: result[name] for name in first}, **result["details"], **rate, "assumptions": result["assumptions"]}
