"""One case: qkdlab and its peers in turn, several times over, in CPU time."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Case", "Peer", "measure"]

_LEAST_S = 0.02              # a measurement repeats its call until it has taken as long


@dataclass(frozen=True)
class Peer:
    """Another way to do the same work."""

    name: str
    prepare: Callable            # returns the call to be measured; ImportError: the peer is not installed
    amount: float | None = None  # millions of units that its call does, where it is given less to do


@dataclass(frozen=True)
class Case:
    """Some work and who else can do it."""

    name: str
    unit: str                    # what is counted: "bits", "records", ...
    amount: float                # millions of units that a call does
    call: Callable
    peers: tuple = ()
    goal: float | None = None            # millions of units per second
    goal_over: tuple | None = None       # (ratio, name of a peer)
    facts: dict = field(default_factory=dict)     # what else there is to know, by name
    clock: Callable = time.process_time  # wall time where threads are compared


def measure(case, alternations):
    """Measure one case.

    Ours and each peer's call take turns; a ratio is taken within each turn, and the median of the ratios is reported,
    so that a machine that is busy with other things for a while does not favour one side.

    Returns
    -------
    dict
        ``name``, ``unit``, ``rate`` (millions of units per second), ``peers`` by name: ``rate`` and ``ratio`` (times
        as fast as the peer) or ``missing``; ``goal``, ``goal_over``, ``facts``.
    """
    calls, missing = {}, {}
    for peer in case.peers:
        try:
            calls[peer.name] = peer.prepare(), peer.amount or case.amount
        except ImportError as error:
            missing[peer.name] = {"missing": f"not installed ({error.name or error})"}
    case.call()                                  # caches are filled, tables made
    ours, theirs = [], {name: [] for name in calls}
    for _ in range(alternations):
        ours.append(_seconds(case.call, case.clock) / case.amount)
        for name, (call, amount) in calls.items():
            theirs[name].append(_seconds(call, case.clock) / amount)
    peers = {
        name: {"rate": 1 / statistics.median(seconds),
               "ratio": statistics.median(slow / fast for slow, fast in zip(seconds, ours, strict=True))}
        for name, seconds in theirs.items()}
    return {"name": case.name, "unit": case.unit, "rate": 1 / statistics.median(ours), "peers": peers | missing,
            "goal": case.goal, "goal_over": case.goal_over, "facts": case.facts}


def _seconds(call, clock):
    """Seconds that one call takes."""
    calls, start = 0, clock()
    while True:
        call()
        calls += 1
        taken = clock() - start
        if taken >= _LEAST_S:
            return taken / calls
