"""What every analysis is given, checked: the source, the counts, the security asked for."""

from dataclasses import dataclass

import numpy as np

from ..datatypes import BASES, DecoyCounts, SourceSettings
from ..errors import BadInput
from ..settings import Settings, from_table, setting

__all__ = ["Security", "Source", "checked", "from_document", "require_intensities"]

LARGEST = 1 << 53                # counts up to here are exact in floating point
MOST_SENT = 1 << 62              # pulses: only ratios of them matter
CLOSEST = 1e-9                   # photons: below any source's accuracy; the bounds divide by differences of intensities


@dataclass(frozen=True, slots=True)
class Source(Settings):
    """Intensities and how often each is really chosen: `SourceSettings` without what a proof does not need."""

    intensities: tuple[float, ...] = setting(help="mean photon numbers, strongest first", low=0, high=10)
    probabilities: tuple[float, ...] = setting(help="how often each is chosen", low=1e-15, high=1)

    def check(self):
        mu, p = self.intensities, self.probabilities
        if not mu:
            raise BadInput("at least one is expected", field="intensities", value=[])
        if any(a - b < CLOSEST for a, b in zip(mu, mu[1:], strict=False)) or mu[0] < CLOSEST:
            raise BadInput(f"must fall strictly, each by {CLOSEST:g} at least, from a signal above 0",
                           field="intensities", value=list(mu))
        if len(p) != len(mu):
            raise BadInput(f"one for each of the {len(mu)} intensities is expected", field="probabilities",
                           value=list(p))
        if abs(sum(p) - 1) > 1e-9:
            raise BadInput(f"must sum to 1, they sum to {sum(p):.12g}", field="probabilities", value=list(p))

    @classmethod
    def of(cls, settings):
        """From `SourceSettings`: with the probabilities as they were drawn, not as they were wished."""
        return cls(settings.intensities, settings.achieved_probabilities)


@dataclass(frozen=True, slots=True)
class Security(Settings):
    """What is asked of the key, how it was paid for so far, and by which statistics it is bounded."""

    eps_sec: float = setting(help="secrecy failure probability", low=1e-300, high=1)
    eps_cor: float = setting(help="probability that the keys differ unnoticed", low=1e-300, high=1)
    leak_bits: float | None = setting(None, help="bits revealed by error correction", unit="bits", low=0, high=LARGEST)
    f_ec: float | None = setting(None, help="efficiency of error correction, used where leak_bits is not given",
                                 low=1, high=1e6)
    tails: str = setting("hoeffding", help="concentration bound of the counts", choices=("hoeffding", "chernoff"))
    sampling: str = setting("serfling", help="bound from the test basis to the key basis",
                            choices=("serfling", "hypergeometric", "gamma", "yin"))
    clamp: bool = setting(True, help="lower bounds of counts are cut at 0, upper ones (one decoy) at the total")

    def check(self):
        for name in ("eps_sec", "eps_cor"):
            if getattr(self, name) == 1:
                raise BadInput("must be below 1", field=name, value=1)
        if self.leak_bits is None and self.f_ec is None:
            raise BadInput("is missing: give the leak_bits of the correction, or f_ec to estimate them", field="f_ec")

    def leak(self, n, errors, entropy):
        """Bits leaked by correcting `errors` among `n` bits whose entropy per bit is `entropy`."""
        return float(self.leak_bits) if self.leak_bits is not None else n * self.f_ec * entropy


def checked(counts, source):
    """`counts`, if it can belong to `source`.

    Raises
    ------
    BadInput
        Naming the field ("key.m", ...) of a negative count, of more errors than detections, or of a wrong number of
        intensities.
    """
    if len(counts.clicks) != len(source.intensities):
        raise BadInput(f"one row for each of the {len(source.intensities)} intensities is expected", field="counts",
                       value=counts.clicks.tolist())
    for basis, name in enumerate(BASES):
        n, m, sent = counts.clicks[:, basis], counts.errors[:, basis], counts.sent[:, basis]
        for field, value, most in ((f"{name}.n", n, LARGEST), (f"{name}.m", m, LARGEST),
                                   (f"sent.{name}", sent, MOST_SENT)):
            if (value < 0).any() or (value > most).any():
                raise BadInput(f"counts from 0 to {most} are expected", field=field, value=value.tolist())
        if (m > n).any():
            raise BadInput(f"more errors than the detections {n.tolist()}", field=f"{name}.m", value=m.tolist())
    return counts


def require_intensities(source, number, proof):
    """Refuse a source that `proof` was not made for.

    Raises
    ------
    BadInput
    """
    if len(source.intensities) != number:
        raise BadInput(f"{proof} needs {number} intensities", field="intensities", value=list(source.intensities))
    if number == 3 and source.intensities[0] - source.intensities[1] - source.intensities[2] < CLOSEST:
        raise BadInput(f"{proof} needs the first to be above the sum of the other two (by {CLOSEST:g} at least)",
                       field="intensities", value=list(source.intensities))
    if number == 2 and source.intensities[1] < CLOSEST:
        raise BadInput(f"{proof} needs a decoy above 0", field="intensities", value=list(source.intensities))


# ------------------------------------------------------------------------------------- the document of `keylength`


@dataclass(frozen=True, slots=True)
class _Basis(Settings):
    n: tuple[int, ...] = setting(help="detections by intensity", low=0, high=LARGEST)
    m: tuple[int, ...] = setting(help="errors by intensity", low=0, high=LARGEST)


@dataclass(frozen=True, slots=True)
class _Sent(Settings):
    key: tuple[int, ...] = setting(help="pulses sent by intensity", low=1, high=MOST_SENT)
    test: tuple[int, ...] = setting(help="pulses sent by intensity", low=1, high=MOST_SENT)


@dataclass(frozen=True, slots=True)
class _Document(Settings):
    proof: str = setting(help="name of the analysis")
    intensities: tuple[float, ...] = setting(help="mean photon numbers, strongest first")
    probabilities: tuple[float, ...] = setting(help="how often each intensity is chosen")
    key: _Basis = setting(help="a table with n and m, of the key basis")
    test: _Basis = setting(help="a table with n and m, of the test basis")
    eps_sec: float = setting(help="secrecy failure probability")
    eps_cor: float = setting(help="probability that the keys differ unnoticed")
    leak_bits: float | None = setting(None, help="bits revealed by error correction")
    f_ec: float | None = setting(None, help="efficiency of error correction")
    tails: str = setting("hoeffding", help="concentration bound")
    sampling: str = setting("serfling", help="sampling bound")
    clamp: bool = setting(True, help="cut lower bounds at 0")
    sent: _Sent | None = setting(None, help="a table with key and test: pulses sent by intensity")
    pulses: int | None = setting(None, help="all pulses sent, for the rate", low=1, high=MOST_SENT)


def _nested(cls, document, name, where):
    if document[name] is None and name == "sent":
        return None
    try:
        return from_table(cls, document[name])
    except BadInput as error:
        field = f"{name}.{error.field}" if error.field else name
        raise BadInput(error.why, where=where, field=field, value=error.value) from None


def from_document(document, where=""):
    """The parts of a `keylength` document.

    Parameters
    ----------
    document : dict
        As in *Contracts*: proof, intensities, probabilities, key, test, eps_sec, eps_cor, f_ec or leak_bits, and
        perhaps tails, sampling, clamp. Further, ``sent``: {"key": [...], "test": [...]} (pulses by intensity) and
        ``pulses`` (all of them, for a rate) may be given.
    where : str
        The file, for complaints.

    Returns
    -------
    str, DecoyCounts, Source, Security, int or None
        Name of the proof, counts, source, security, number of pulses.

    Raises
    ------
    BadInput
        Naming the field that is missing, unknown or wrong.
    """
    if not isinstance(document, dict):
        raise BadInput("one JSON object is expected", where=where, value=document)
    nested = {name: _nested(cls, document, name, where)
              for name, cls in (("key", _Basis), ("test", _Basis), ("sent", _Sent)) if name in document}
    d = from_table(_Document, {**document, **nested}, where)
    try:
        source = Source(d.intensities, d.probabilities)
        security = Security(*(getattr(d, f) for f in ("eps_sec", "eps_cor", "leak_bits", "f_ec", "tails", "sampling",
                                                      "clamp")))
        columns = {}
        for field, key, test in (("n", d.key.n, d.test.n), ("m", d.key.m, d.test.m),
                                 ("sent", d.sent and d.sent.key, d.sent and d.sent.test)):
            columns[field] = _columns(field, key, test, len(source.intensities))
        if d.sent is not None:
            _no_more_than_sent(columns)
        counts = checked(DecoyCounts(columns["sent"], columns["n"], columns["m"]), source)
    except BadInput as error:
        raise error.at(where) from None
    return d.proof, counts, source, security, d.pulses


def _columns(field, key, test, number):
    """Two lists as an (intensity, basis) array; zeros where they were not given."""
    if key is None:
        return np.zeros((number, 2), np.int64)
    for basis, values in zip(BASES, (key, test), strict=True):
        if len(values) != number:
            raise BadInput(f"one for each of the {number} intensities is expected", value=list(values),
                           field=f"sent.{basis}" if field == "sent" else f"{basis}.{field}")
    return np.array([key, test], dtype=np.int64).T


def _no_more_than_sent(columns):
    for basis, name in enumerate(BASES):
        if (columns["n"][:, basis] > columns["sent"][:, basis]).any():
            raise BadInput("fewer pulses sent than detected", field=f"sent.{name}",
                           value=columns["sent"][:, basis].tolist())


def source_of(source, intensities, probabilities):
    """`Source` from whichever way it was given to :func:`qkdlab.proofs.bound`."""
    if isinstance(source, SourceSettings):
        return Source.of(source)
    if isinstance(source, Source):
        return source
    if source is None and intensities is not None and probabilities is not None:
        return Source(intensities, probabilities)
    raise BadInput("SourceSettings are expected, or intensities and probabilities", field="source", value=source)
