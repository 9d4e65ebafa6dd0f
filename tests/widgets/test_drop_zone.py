"""Files that come from the page: whole or not at all, and never elsewhere than in their folder."""

import pytest

from qkdlab.widgets.drop_zone import DropZone


@pytest.fixture
def zone(tmp_path):
    got = []
    zone = DropZone(tmp_path / "dropped", got.append)
    zone.got, zone.said = got, []
    zone.send = lambda message, buffers=None: zone.said.append(message)
    return zone


def tell(zone, *messages):
    for message, *buffers in messages:
        zone._take(zone, message, buffers)
    return [bool(m.get("refused")) for m in zone.said]


def begin(*files):
    return ({"kind": "begin", "names": [n for n, _ in files], "sizes": [s for _, s in files]},)


def test_files_arrive_in_parts(zone, tmp_path):
    tell(zone, begin(("a.ptu", 5), ("b.npz", 0)), ({"kind": "part", "index": 0, "at": 0}, b"abc"),
         ({"kind": "part", "index": 0, "at": 3}, memoryview(b"de")), ({"kind": "part", "index": 1, "at": 0}, b""),
         ({"kind": "end"},))
    assert [[p.name for p in files] for files in zone.got] == [["a.ptu", "b.npz"]]
    assert zone.got[0][0].read_bytes() == b"abcde" and not any(m.get("refused") for m in zone.said)
    tell(zone, begin(("a.ptu", 0)), ({"kind": "end"},))
    assert zone.got[1][0].parent != zone.got[0][0].parent, "each drop has a folder of its own"
    assert [files[0].parent.name for files in zone.got] == ["drop-0001-a", "drop-0002-a"], "called by the largest file"


@pytest.mark.parametrize("name", ["../a.ptu", "/etc/a.ptu", r"C:\lab\a.ptu"])
def test_only_the_name_counts(zone, name, tmp_path):
    tell(zone, begin((name, 0)), ({"kind": "end"},))
    assert zone.got[0][0].name == "a.ptu" and zone.got[0][0].parent.parent == tmp_path / "dropped"


@pytest.mark.parametrize("messages", [
    [begin()], [begin(("..", 1))], [begin(("a", 1), ("a", 1))], [begin(("a", 1 << 62))], [begin(("a", "x"))],
    [({"kind": "part", "index": 0, "at": 0}, b"x")], [begin(("a", 2)), ({"kind": "part", "index": 0, "at": 1}, b"x")],
    [begin(("a", 2)), ({"kind": "part", "index": 3, "at": 0}, b"x")], [begin(("a", 2)), ({"kind": "end"},)],
    [begin(("a", 2)), ({"kind": "part", "index": 0, "at": 0},)],
])
def test_what_does_not_fit_is_refused_and_nothing_is_kept(zone, tmp_path, messages):
    assert tell(zone, *messages)[-1] is True
    assert zone.words.startswith("This could not be taken") and not zone.got
    assert not list(tmp_path.glob("dropped/drop-*"))
    assert tell(zone, begin(("a", 0)), ({"kind": "end"},))[-1] is False and len(zone.got) == 1, "the next drop is taken"


def test_a_folder_is_explained(zone):
    tell(zone, begin(("a", 1)), ({"kind": "unreadable"},), ({"kind": "nonsense"},))
    assert "drop the files inside it" in zone.words
