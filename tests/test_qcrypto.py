import struct

import numpy as np
import pytest
from samples import packed_differences

from qkdlab import datasets
from qkdlab.errors import BadInput

EPOCH_PS = 2**29 * 1000


def raw_packet(epoch, ticks, patterns, length=None, tag=1, end=True):
    """A type-1 packet of events at these ticks (1/256 ns) within the epoch."""
    words = [(epoch % 2**17 << 47) | int(t) << 10 | int(p) for t, p in zip(ticks, patterns, strict=True)]
    halves = b"".join(struct.pack("<II", w >> 32, w % 2**32) for w in words)
    return struct.pack("<iIIii", tag, epoch, len(words) if length is None else length, 49, 4) + halves + bytes(8) * end


def differences_packet(epoch, steps, bases, order=10, base_bits=1, tag=2, protocol=1):
    return struct.pack("<iIIiii", tag, epoch, len(steps), order, base_bits, protocol) + packed_differences(
        steps, bases, order, base_bits)


def joined(path, block=1 << 20, **settings):
    blocks = list(datasets.open(path, **settings).tag_blocks(block))
    return np.concatenate([b.time_ps for b in blocks]).tolist(), np.concatenate([b.channel for b in blocks]).tolist()


def test_raw_events(tmp_path):
    (tmp_path / "5").write_bytes(raw_packet(5, [32, 64, 2**37 - 1], [1, 2, 8]))
    recording = datasets.open(tmp_path / "5")
    assert recording.format == "qcrypto" and recording.info["type"] == 1 and recording.resolution_ps == 125 / 32
    assert joined(tmp_path / "5") == ([5 * EPOCH_PS + 125, 5 * EPOCH_PS + 250, 6 * EPOCH_PS - 4], [1, 2, 8])


@pytest.mark.parametrize("block", [1, 2, 1000])
def test_differences(tmp_path, block):
    steps = [2, 3, 1023, 1024, 2**32 - 5000, 2, 900]
    bases = [0, 1, 1, 0, 1, 0, 1]
    (tmp_path / "a").write_bytes(differences_packet(0xBA1F36C0, steps, bases, tag=0x102))
    start = 0xBA1F36C0 % 2**17 * EPOCH_PS
    assert joined(tmp_path / "a", block) == ([start + 125 * int(t) for t in np.cumsum(steps)], bases)
    assert datasets.open(tmp_path / "a").info["first_epoch"] == 0xBA1F36C0


@pytest.mark.parametrize("kind", [1, 2])
def test_epochs_go_on_over_packets_and_rounds(tmp_path, kind):
    """17 bits of epoch go round: in a stream of packets, and over the files of a folder."""
    epochs = [2**17 - 2, 2**17 - 1, 0, 1, 7]
    packets = [raw_packet(e, [320, 640], [1, 2]) if kind == 1 else differences_packet(e, [10, 10], [1, 0]) for e in epochs]
    times = [e * EPOCH_PS + t for e in (2**17 - 2, 2**17 - 1, 2**17, 2**17 + 1, 2**17 + 7) for t in (1250, 2500)]
    (tmp_path / "stream").write_bytes(b"".join(packets))
    assert joined(tmp_path / "stream")[0] == times
    folder = tmp_path / "epochs"
    folder.mkdir()
    for epoch, packet in zip(epochs, packets, strict=True):
        (folder / f"{epoch:08x}").write_bytes(packet)
    (folder / "notes.txt").write_text("not an epoch")
    assert joined(folder, form="qcrypto")[0] == times
    report = datasets.inspect(folder, form="qcrypto")
    assert report["photons"] == 10 and report["complete"] and not report["warnings"]


@pytest.mark.parametrize(("tag", "what"), [(3, "results without their times"), (4, "indices"), (7, "key bits"),
                                           (0x103, "results"), (0x107, "key")])
def test_types_without_times_are_named(tmp_path, tag, what):
    rest = {3: (32, 2), 4: (1, 10, 0), 7: (1, 64)}[tag & 255]
    (tmp_path / "a").write_bytes(struct.pack(f"<iI{len(rest)}i", tag, 9, *rest) + bytes(8))
    with pytest.raises(BadInput, match=f"tag: a type-{tag & 255} file of qcrypto: it holds .*{what}"):
        datasets.open(tmp_path / "a")


@pytest.mark.parametrize(("raw", "match"), [
    (raw_packet(5, [1, 2], [1, 1], length=3), "speaks of 3 events, there are 2"),
    (raw_packet(5, [1, 2], [1, 1], end=False), "no end mark"),
    (raw_packet(5, [1, 2], [1, 1]) + b"abc", "inside the header"),
    (raw_packet(5, [1, 2], [1, 1]) + raw_packet(6, [1], [1])[:12], "inside the header"),
    (raw_packet(5, [1, 2], [1, 1]) + differences_packet(6, [5], [1]), "another type"),
    (differences_packet(5, [5, 9], [1, 1])[:-4], "no end mark"),
])
def test_damage_is_told(tmp_path, raw, match):
    (tmp_path / "a").write_bytes(raw)
    report = datasets.inspect(tmp_path / "a", form="qcrypto")
    assert not report["complete"] and match in report["warnings"][0] and report["photons"] in (0, 2)


def test_an_event_of_another_epoch(tmp_path):
    packet = bytearray(raw_packet(5, [1, 2], [1, 1]))
    packet[20:28] = raw_packet(4, [7], [1])[20:28]
    (tmp_path / "a").write_bytes(packet)
    assert joined(tmp_path / "a")[0] == [4 * EPOCH_PS + 27, 5 * EPOCH_PS + 7]
    assert "1 events are of another epoch" in datasets.inspect(tmp_path / "a")["warnings"][0]


@pytest.mark.parametrize(("at", "value", "field"), [(0, 5, "tag"), (4, 2**17, "epoc"), (12, 54, "bitsperentry"),
                                                    (16, 9, "basebits"), (16, -1, "basebits")])
def test_a_header_that_cannot_be(tmp_path, at, value, field):
    packet = bytearray(raw_packet(5, [1], [1]))
    struct.pack_into("<i", packet, at, value)
    (tmp_path / "a").write_bytes(packet)
    with pytest.raises(BadInput, match=rf"a: byte 0: {field}: .*got {value}"):
        datasets.open(tmp_path / "a", form="qcrypto")


def test_a_folder_without_epochs(tmp_path):
    with pytest.raises(BadInput, match="no epoch file"):
        datasets.open(tmp_path, form="qcrypto")
    (tmp_path / "1").write_bytes(raw_packet(1, [1], [1]))
    (tmp_path / "2").write_bytes(differences_packet(2, [5], [1]))
    with pytest.raises(BadInput, match="several types"):
        datasets.open(tmp_path, form="qcrypto")
