"""A working day on the bench, accelerated: as many events as eight hours at ten a second, in the kernel and in Chromium.

Times are printed, never asserted; what is asserted is that nothing grows and nothing is lost.
"""

import gc
import os
import time

import nbformat
import pytest
from pretend_session import BLOCK, CLOCK

from qkdlab.datatypes import Event
from qkdlab.figures import History
from qkdlab.widgets import live as plots
from qkdlab.widgets.live_figure import LiveFigure
from qkdlab.widgets.logbook import Logbook
from qkdlab.widgets.readout import Readout

DAY = 8 * 3600 * 10                            # stretches
FRAMES, STRETCHES = 30_000, 10                 # that Chromium draws, and what each of them brings: a day and more in all
LOCKED = CLOCK | {"offset_ppm": 1.5, "jitter_ps": 60.0, "rate_hz": 1e8, "reason": None}
PAID = {"leak_bits": 90.0, "pa_bits": 60.0, "cor_bits": 20.0}

SETUP = """
import time
from pretend_session import BLOCK, CLOCK
from qkdlab.datatypes import Event
from qkdlab.widgets import live as plots
from qkdlab.widgets.live_figure import LiveFigure

shown = [plots.gains((0.5, 0.1, 0.001)) if name == "gains" else make() for name, make in plots.FIGURES.items()]
figure, told = LiveFigure(plots.grid(shown)), 0
locked = CLOCK | {"offset_ppm": 1.5, "jitter_ps": 60.0}

def stretch():
    global told
    told += 1
    plots.feed(figure, shown, Event("clock", 0, locked))
    plots.feed(figure, shown, Event("block", 0, BLOCK | {"time_s": 0.1 * told}))

def work(rounds, stretches):
    for _ in range(rounds):
        began = time.monotonic()
        for _ in range(stretches):
            stretch()
        time.sleep(max(0.0, began + 0.05 - time.monotonic()))     # twenty frames a second are sent

def share(seconds):
    cpu, began = time.process_time(), time.perf_counter()
    while time.perf_counter() - began < seconds:
        stretch()
        time.sleep(0.1)
    with open("share.txt", "w") as file:
        file.write(str((time.process_time() - cpu) / (time.perf_counter() - began)))

figure
"""


def resident_bytes():
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Bench:
    """All that follows a session on a workbench, without a page; counts the frames that would go to one."""

    def __init__(self):
        self.plots = [plots.gains((0.5, 0.1, 0.001)) if name == "gains" else make()
                      for name, make in plots.FIGURES.items()]
        self.figure = LiveFigure(plots.grid(self.plots))
        self.parts = Readout(), Logbook(), History()
        self.frames, send = 0, self.figure.send

        def count(*message):
            self.frames += 1
            send(*message)
        self.figure.send = count

    def stretch(self, k):
        reason = "no key" if k % 2 else f"{k} bits short"        # the worst for the log: something new each time
        for event in (Event("clock", 0, LOCKED | {"locked": bool(k % 7)}),
                      Event("block", 0, BLOCK | PAID | {"time_s": 0.1 * k, "rates_hz": [1e5, 9e4, 1e4, 2e4],
                                                        "gains": [1e-2, 2e-3, 1e-6], "reason": reason})):
            for part in self.parts:
                part.take(event)
            plots.feed(self.figure, self.plots, event)

    def close(self):
        self.figure.close()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.close()


@pytest.mark.slow
def test_a_burst_of_ten_thousand_updates(bench):
    began = time.perf_counter()
    for k in range(10_000):
        bench.stretch(k)
    fed = time.perf_counter() - began
    bench.figure.flush()
    flushed = time.perf_counter() - began - fed
    print(f"\n10,000 updates of {len(bench.plots)} plots in {fed:.1f} s, the last frame {1e3 * flushed:.0f} ms later, "
          f"{bench.frames} messages")
    for plot in bench.plots:
        for renderer in plot.figure.renderers:
            if "t" in renderer.data_source.data and renderer.data_source.name:
                assert renderer.data_source.data["t"][-1] == pytest.approx(999.9), renderer.data_source.name
    assert not bench.figure._pending, "nothing waits behind the last frame"
    assert bench.frames < 10_000 / 4, "frames, not updates, go to the page"


@pytest.mark.slow
def test_eight_hours_of_events_leave_the_kernel_as_large_as_it_was(bench):
    events = int(os.environ.get("QKDLAB_SOAK_EVENTS", DAY))
    before, cpu = None, time.process_time()
    for k in range(events):
        bench.stretch(k)
        if k == events // 10:
            before = resident_bytes()
    after = resident_bytes()
    spent = (time.process_time() - cpu) / events
    print(f"\n{events:,} stretches: {before / 1e6:.0f} -> {after / 1e6:.0f} MB, {1e3 * spent:.2f} ms of a core each: "
          f"{1000 * spent:.1f} % of a core at ten a second")
    assert after < 1.1 * before
    readout, logbook, history = bench.parts
    assert history.rows[-1]["time_s"] == pytest.approx(0.1 * (events - 1)) and len(history.rows) <= 4000
    assert len(logbook.lines) == 200 and "None" not in readout.cards


def heap_bytes(session):
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"]


def execute(page, code):
    page.evaluate("""code => { const k = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        k.requestExecute({code}) }""", code)


def until_shown(page, stretches):
    page.wait_for_function("""t => Bokeh.documents.some(d => {
        const shown = d.get_model_by_name('qber')?.data.t; return shown?.length && shown[shown.length - 1] >= t })""",
                           arg=0.1 * stretches - 0.01, timeout=300_000)


@pytest.mark.slow
@pytest.mark.browser
def test_a_page_of_plots_stays_as_large_as_it_was(lab, page):
    from browser_pages import run_all

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SETUP)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.folder / "soak.ipynb")
    run_all(page, lab.url("soak"))
    page.wait_for_selector("[data-live=ready]")
    page.evaluate("""() => { window.drawn = 0; Bokeh.documents.map(d => d.get_model_by_name('qber')).find(Boolean)
                             .streaming.connect(() => { window.drawn++ }) }""")
    total = int(os.environ.get("QKDLAB_SOAK_FRAMES", FRAMES))
    rounds, session, heaps, done, drawn = max(50, total // 50), page.context.new_cdp_session(page), {}, 0, 0
    while drawn < total:
        done += STRETCHES * rounds
        execute(page, f"work({rounds}, {STRETCHES})")
        until_shown(page, done)
        drawn = page.evaluate("window.drawn")
        heaps[drawn] = heap_bytes(session)
    first = next(heap for frames, heap in heaps.items() if frames > total / 10)
    print(f"\n{done:,} stretches, {drawn:,} frames drawn: "
          f"{first / 1e6:.0f} -> {heaps[drawn] / 1e6:.0f} MB of JavaScript heap")
    assert heaps[drawn] < 1.1 * first
    execute(page, "share(10)")
    share = lab.folder / "share.txt"
    end = time.monotonic() + 60
    while not share.exists() or not share.read_text():
        assert time.monotonic() < end, "the kernel did not answer"
        page.wait_for_timeout(500)
    print(f"ten updates a second on a page of nine plots: {100 * float(share.read_text()):.1f} % of a core in the kernel")
