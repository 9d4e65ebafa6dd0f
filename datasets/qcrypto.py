"""Epoch files of qcrypto, the key distribution software of the National University of Singapore: those that hold times.

A file (or stream) is one or more packets, each the events of one epoch of 2^29 ns. Type 1 holds raw events of 64 bits (two
32-bit words, the upper first: time in 125 ps from bit 15 up, or in 1/256 ns from bit 10 up where a timestamp7 unit made
them; detector pattern in the lowest 4 bits). Type 2 holds packed time differences in 125 ps with a few bits beside each:
the basis, or with the service protocol the detectors. Types 3 (results), 4 (indices of what is kept) and 7 (key) hold no
times and are refused.

The upper 17 bits of a time number its epoch and go round after 19.5 hours; the header's epoch, and across files their
order, says which round it is. Times count from the round in which the first epoch lies: an extended epoch (tag 0x1..)
counts from 1970, which is more picoseconds than 63 bits hold. ``info["first_epoch"]`` has it.

Layout: "Data File Specifications" of qcrypto.
"""

import pathlib
import struct
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from qkdlab import _ext
from qkdlab.datasets.blocks import opened
from qkdlab.datasets.recording import Recording
from qkdlab.datasets.ticks import to_ps
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput

__all__ = ["SIGNATURE", "read", "read_folder", "recognises"]

SIGNATURE = b""

EXTENDED = 0x100
WITHOUT_TIMES = {3: "detector results without their times", 4: "indices of the events to keep", 7: "key bits"}
HEADERS = {1: struct.Struct("<iIIii"), 2: struct.Struct("<iIIiii"), 3: struct.Struct("<iIIi"), 4: struct.Struct("<iIIii"),
           7: struct.Struct("<iIIi")}
ENTRY_BITS = 49                       # of the time of a raw event, in 125 ps
TICK_PS = {1: Fraction(125, 32), 2: Fraction(125)}
EPOCH_BITS, EPOCH_TICKS, EPOCH_PS = 17, 2**32, 2**29 * 1000
MOST_EPOCHS = 2**63 // EPOCH_PS - 2**EPOCH_BITS - 2            # from the first one on, for which times fit 63 bits
WORD_BYTES = 4


@dataclass(frozen=True)
class _Packet:
    """The header of a packet."""

    kind: int
    extended: bool
    epoch: int
    length: int                       # number of events, 0: not said
    order: int                        # type 2: bits of a time difference
    base_bits: int


def read(path):
    """Open an epoch file.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Recording
        ``channel`` is the detector pattern (type 1) or what the protocol puts beside the time (type 2).

    Raises
    ------
    BadInput
        Naming file, byte offset and field; also for the types that hold no times, naming what they are.
    """
    path = pathlib.Path(path)
    return _recording(path, [path])


def read_folder(path):
    """Open the epoch files of a folder (each is called by its epoch in hexadecimal) as one recording.

    Parameters
    ----------
    path : path-like
        Other files in it are passed over.

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        As :func:`read`, or where the folder holds no epoch file.
    """
    path = pathlib.Path(path)
    try:
        files = [(file, _first_packet(file)) for file in sorted(path.iterdir()) if file.is_file() and _is_epoch_file(file)]
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None
    if not files:
        raise BadInput("the folder holds no epoch file", where=path)
    packets = [packet for _, packet in files]
    if len({(p.kind, p.extended) for p in packets}) > 1:
        raise BadInput("the folder holds epoch files of several types: one each, please", where=path, field="tag",
                       value=sorted({p.kind for p in packets}))
    return _recording(path, [file for file, _ in sorted(files, key=lambda f: _after(f[1].epoch, packets))])


def _after(epoch, packets):
    """How far an epoch lies behind the first. Local epochs go round: the first is the one behind the widest gap."""
    if packets[0].extended:
        return epoch
    epochs = sorted({packet.epoch for packet in packets})
    gaps = [(a - b) % 2**EPOCH_BITS or 2**EPOCH_BITS for a, b in zip(epochs, [epochs[-1], *epochs[:-1]], strict=True)]
    return (epoch - epochs[gaps.index(max(gaps))]) % 2**EPOCH_BITS


def _recording(path, files):
    packet = _first_packet(files[0])
    info = {"records": None, "type": packet.kind, "first_epoch": packet.epoch, "extended": packet.extended,
            "base_bits": packet.base_bits, "files": len(files)}
    return Recording("qcrypto", path, _Stream(path, files), TICK_PS[packet.kind], None, info, tick_ps=TICK_PS[packet.kind])


def recognises(head, size, path):
    """Whether a file begins with a packet, of whatever type."""
    try:
        packet = _header(head, f"{path}")
    except BadInput:
        return False
    words, rest = divmod(size - HEADERS[packet.kind].size, WORD_BYTES)
    bits = {3: packet.length * packet.base_bits, 7: packet.base_bits}.get(packet.kind)
    return rest == 0 and (words > 0 if bits is None else words == -(-bits // 32))


# -------------------------------------------------------------------------------------------------------------- headers


def _is_epoch_file(path):
    with opened(path) as file:
        head = file.read(64)
        return recognises(head, file.seek(0, 2), path)


def _first_packet(path):
    with opened(path) as file:
        packet = _header(file.read(64), f"{path}: byte 0")
    if packet.kind in WITHOUT_TIMES:
        raise BadInput(f"a type-{packet.kind} file of qcrypto: it holds {WITHOUT_TIMES[packet.kind]}, no time tags",
                       where=path, field="tag", value=packet.kind)
    return packet


def _header(raw, where):
    """The header at the start of `raw`, or BadInput."""
    if len(raw) < WORD_BYTES:
        raise BadInput("the file ends inside the header", where=where, field="tag")
    (tag,) = struct.unpack_from("<i", raw)
    kind = tag & ~EXTENDED
    if kind not in HEADERS:
        raise BadInput("not an epoch file of qcrypto: 1, 2, 3, 4, 7, or 256 more, is expected", where=where, field="tag",
                       value=tag)
    layout = HEADERS[kind]
    if len(raw) < layout.size:
        raise BadInput("the file ends inside the header", where=where, field="header")
    _, epoch, length, *rest = layout.unpack_from(raw)
    if not tag & EXTENDED and epoch >= 2**EPOCH_BITS:
        raise BadInput(f"a local epoch is below 2^{EPOCH_BITS}", where=where, field="epoc", value=epoch)
    _check_entries(kind, rest, where)
    return _Packet(kind, bool(tag & EXTENDED), epoch, length, *(rest[:2] if kind in (2, 4) else (0, rest[-1])))


def _check_entries(kind, rest, where):
    """The fields that say how wide the entries are, which differ from type to type."""
    fields = {1: {"bitsperentry": (ENTRY_BITS, ENTRY_BITS), "basebits": (0, 8)},
              2: {"timeorder": (2, 32), "basebits": (0, 8), "protocol": (0, 255)},
              3: {"bitsperentry": (1, 8)},
              4: {"timeorder": (2, 32), "basebits": (0, 8)},
              7: {"numberofbits": (0, 2**31 - 1)}}
    for value, (name, (least, most)) in zip(rest, fields[kind].items(), strict=True):
        if not least <= value <= most:
            raise BadInput(f"must be {least}" if least == most else f"must be from {least} to {most}", where=where,
                           field=name, value=value)
    if kind in (2, 4) and rest[0] + rest[1] > 32:
        raise BadInput("time and base of an entry have at most 32 bits in all", where=where, field="timeorder",
                       value=rest[0])


# -------------------------------------------------------------------------------------------------------------- packets


@dataclass(frozen=True)
class _Stream:
    """The events of files, packet after packet: see `Recording.stream`."""

    path: object
    files: list

    def __call__(self, tally, block_tags):
        first = _first_packet(self.files[0])
        for path in self.files:
            with opened(path) as file:
                yield from self._packets(file, path, first, tally, block_tags)
            if not tally.complete:
                return

    def _packets(self, file, path, first, tally, block_tags):
        while head := file.read(WORD_BYTES):
            at = file.tell() - len(head)
            try:
                packet, epochs = _next_packet(file, head, first, f"{path}: byte {at}")
            except BadInput as error:
                if not tally.records:
                    raise
                tally.damaged(f"{error}: reading stops there")
                return
            events, ended, blocks = 0, False, _raw_events if packet.kind == 1 else _differences
            for ticks, base, last in blocks(file, packet, block_tags):
                events, ended = events + len(ticks), last
                tally.records += len(ticks)
                if len(ticks):
                    yield _tags(ticks, base, packet, epochs, first, tally)
            self._complain(tally, path, file, packet, events, ended)
            if not ended:
                return

    @staticmethod
    def _complain(tally, path, file, packet, events, ended):
        if not ended:
            tally.damaged(f"{path.name}: byte {file.tell()}: epoch {packet.epoch} has no end mark: was the file cut?")
        elif packet.length not in (0, events):
            tally.damaged(f"{path.name}: the header of epoch {packet.epoch} speaks of {packet.length} events, there are "
                          f"{events}")


def _next_packet(file, head, first, where):
    """The packet whose first word is `head`, and how many epochs it lies behind the first of the recording."""
    kind = int.from_bytes(head, "little") & ~EXTENDED
    packet = _header(head + file.read(HEADERS[kind].size - WORD_BYTES if kind in HEADERS else 0), where)
    if (packet.kind, packet.extended) != (first.kind, first.extended):
        raise BadInput("a packet of another type than the first one", where=where, field="tag", value=packet.kind)
    epochs = _since(packet.epoch, first)
    if not 0 <= epochs <= MOST_EPOCHS:
        raise BadInput(f"an epoch before the first one ({first.epoch}), or too long after it", where=where, field="epoc",
                       value=packet.epoch)
    return packet, epochs


def _since(epoch, first):
    """Epochs from the first one of the recording to this one."""
    return epoch - first.epoch if first.extended else (epoch - first.epoch) % 2**EPOCH_BITS


def _tags(ticks, base, packet, epochs, first, tally):
    """Times from the start of the round in which the first epoch lies."""
    unit = TICK_PS[packet.kind]
    per_epoch = int(EPOCH_PS / unit)
    if packet.kind == 1:
        # The event's own 17 bits: they should be the header's, but its time is what counts.
        own, ticks = np.divmod(ticks, per_epoch)
        off = (own - packet.epoch + 2 ** (EPOCH_BITS - 1)) % 2**EPOCH_BITS - 2 ** (EPOCH_BITS - 1)
        if off.any():
            tally.warnings.append(f"{np.count_nonzero(off)} events are of another epoch than their packet ({packet.epoch})")
        ticks += off * per_epoch
    start = (first.epoch % 2**EPOCH_BITS + epochs) * EPOCH_PS
    return TimeTags(to_ps(ticks, unit) + start, base)


def _raw_events(file, packet, block_tags):
    """Blocks (ticks, patterns, ended) of a type-1 packet."""
    while True:
        start, words = file.tell(), np.fromfile(file, "<u8", min(block_tags, 1 << 20))
        end = len(words) if words.all() else int(np.argmin(words != 0))
        events = words[:end] << np.uint64(32) | words[:end] >> np.uint64(32)       # the upper half comes first
        ended = end < len(words)
        yield (events >> np.uint64(10)).view(np.int64), (events & 15).astype(np.uint8), ended
        if ended:
            file.seek(start + 8 * (end + 1))
        if ended or not len(words):
            return


def _differences(file, packet, block_tags):
    """Blocks (ticks within the epoch, base bits, ended) of a type-2 packet."""
    last, at, start = 0, 0, file.tell()
    while True:
        file.seek(start)
        words = np.fromfile(file, "<u4", min(2 * block_tags, 1 << 20) + 3)
        room = min(block_tags, 16 * len(words))
        ticks, base = np.empty(room, np.int64), np.empty(room, np.uint8)
        behind, events, ended = _ext.packed.differences(words, at, packet.order, packet.base_bits, last, ticks, base)
        last = int(ticks[events - 1]) if events else last          # before the ticks are written over
        yield ticks[:events], base[:events], ended
        if ended:
            file.seek(start + WORD_BYTES * -(-behind // 32))
            return
        if not events or last > 2 * EPOCH_TICKS:
            return
        start, at = start + WORD_BYTES * (behind // 32), behind % 32
