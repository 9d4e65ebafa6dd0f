import threading

import numpy as np
import pytest
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from qkdlab.widgets.live_figure import LiveFigure


@pytest.fixture
def live():
    """A LiveFigure whose frames are made by hand, with what it sent in `sent`."""
    source = ColumnDataSource({"t": np.zeros(0), "y": np.zeros(0)}, name="numbers")
    plot = figure(x_range=Range1d(0, 1))
    plot.line("t", "y", source=source, color="#0072B2")
    widget = LiveFigure(plot, label="numbers against time")
    widget._closing.set()                      # the frames' thread ends; flush() is called by the tests
    widget._wake.set()
    widget.source, widget.plot, widget.sent = source, plot, []
    widget.send = lambda content, buffers=None: widget.sent.append((content, [np.frombuffer(b) for b in buffers or []]))
    yield widget
    widget.close()


def only(live):
    """The one message of one frame, which is then forgotten."""
    live.flush()
    (message,) = live.sent
    live.sent.clear()
    return message


def test_a_frame_is_one_message(live):
    for k in range(1000):
        live.stream(live.source, 300, t=k, y=[2.0 * k])
    live.set(live.plot.x_range, end=5)
    live.set(live.plot.x_range, start=-1)
    content, buffers = only(live)
    stream, change = content["ops"]
    assert stream == {"op": "stream", "id": live.source.id, "columns": ["t", "y"], "first": 0, "rollover": 300}
    assert np.array_equal(buffers[0], np.arange(700.0, 1000)) and np.array_equal(buffers[1], 2 * buffers[0])
    assert change == {"op": "set", "id": live.plot.x_range.id, "values": {"end": 5, "start": -1}}
    live.flush()
    assert not live.sent, "nothing new, nothing sent"


def test_the_kernels_copy_is_the_truth(live):
    live.stream(live.source, 3, t=[1, 2], y=[1, 2])
    live.stream(live.source, 3, t=[3, 4], y=[3, 4])
    assert live.source.data["t"].tolist() == [2, 3, 4]
    live.set(live.plot.x_range, end=9)
    assert live.plot.x_range.end == 9


def test_replacing_forgets_rows_that_were_not_sent_yet(live):
    live.stream(live.source, t=1, y=1)
    live.data(live.source, t=[7, 8], y=[0, 0])
    live.stream(live.source, t=9, y=1)
    content, buffers = only(live)
    assert [op["op"] for op in content["ops"]] == ["data", "stream"]
    assert [b.tolist() for b in buffers] == [[7, 8], [0, 0], [9], [1]]


def test_replacing_one_column_sends_all(live):
    live.data(live.source, t=[1, 2], y=[3, 4])
    live.data(live.source, y=[5, 6])
    content, buffers = only(live)
    assert [b.tolist() for b in buffers] == [[1, 2], [5, 6]] and len(content["ops"]) == 1


def test_a_row_is_in_a_message_or_in_the_snapshot(live):
    live.stream(live.source, t=1, y=1)
    live._answer(live, {"kind": "need-item", "id": "a", "dark": False}, [])
    (ops, _), (item, _) = live.sent
    assert ops["kind"] == "ops" and item["kind"] == "item" and item["id"] == "a" and item["bundles"] == ("bokeh",)
    live.sent.clear()
    live.flush()
    assert not live.sent


def test_a_dark_page_gets_a_brighter_blue(live):
    for dark in (False, True):
        live._answer(live, {"kind": "need-item", "id": dark, "dark": dark}, [])
    light, dark = (str(content["item"]) for content, _ in live.sent)
    assert "#0072B2" in light and "#0072B2" not in dark and "#56B4E9" in dark
    assert live.plot.renderers[0].glyph.line_color == "#0072B2", "the document itself stays as it was made"


def test_bokehjs_comes_from_the_kernel(live):
    live._answer(live, {"kind": "need-js", "id": 1, "bundle": "bokeh"}, [])
    assert "Bokeh" in live.sent.pop()[0]["source"]
    live._answer(live, {"kind": "need-js", "id": 2, "bundle": "../../secret"}, [])
    live._answer(live, {"unknown": 1}, [])
    assert not live.sent


def test_two_threads_lose_nothing(live):
    def work(offset):
        for k in range(400):
            live.stream(live.source, t=offset + k, y=0)
            live.flush()

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    live.flush()
    rows = np.concatenate([buffers[0] for _, buffers in live.sent])
    assert sorted(rows) == [*range(400), *range(1000, 1400)]
    assert sorted(live.source.data["t"]) == sorted(rows)


def test_frames_come_by_themselves_and_end_with_close():
    called = threading.Event()
    source = ColumnDataSource({"t": np.zeros(0)})
    live = LiveFigure(figure(), fps=50, before_frame=called.set)
    (pump,) = [t for t in threading.enumerate() if t.name == "qkdlab-live-figure" and t._target == live._pump]
    live.touch()
    assert called.wait(60)
    live.close()
    pump.join(60)
    assert not pump.is_alive()
    live.stream(source, t=1)                   # nobody sees it, nothing breaks
    live.flush()


def test_nothing_is_said_to_a_page_after_the_end(live):
    live.stream(live.source, **{name: [1.0] for name in live.source.data})
    live.close()
    live.flush()
    assert not live.sent


@pytest.mark.parametrize("columns", [{"t": "text"}, {"t": [1], "z": [1]}, {"t": [1]}])
def test_wrong_columns_are_refused_and_not_sent(live, columns):
    with pytest.raises(ValueError):
        live.stream(live.source, **columns)
    live.flush()
    assert not live.sent


def test_the_answer_to_a_button_does_not_wait_for_the_next_frame():
    frames = threading.Semaphore(0)
    live = LiveFigure(figure(x_range=Range1d(0, 1)), fps=0.001, before_frame=frames.release)
    for _ in range(2):                         # the second one would come after a quarter of an hour
        live.touch(now=True)
        assert frames.acquire(timeout=60)
    live.close()


def test_a_page_that_cannot_follow_gets_fewer_frames():
    plot = figure(x_range=Range1d(0, 1))
    live = LiveFigure(plot, fps=1000)
    for _ in range(12):
        live._answer(live, {"kind": "behind"}, [])
    assert live._period > 0.5, "it slows down as long as the page complains"
    live._period = 0.005
    for _ in range(200):
        live.touch()
        if live._period == live._shortest:
            break
        live._closing.wait(0.05)
    assert live._period == live._shortest, "and comes back when it does not"
    live.close()
