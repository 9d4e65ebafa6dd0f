import time

import pytest
from pretend_session import PretendSession

from qkdlab.datatypes import DistillSettings, SourceSettings
from qkdlab.simulation import ChannelSettings, DetectorSettings
from qkdlab.widgets import Workbench

LINK = {
    "source": SourceSettings(intensities=(0.5, 0.15, 0.001), probabilities=(0.5, 0.25, 0.25),
                             key_basis_probability=0.7, clock_hz=50e6),
    "channel": ChannelSettings(distance_km=30.0),
    "detectors": DetectorSettings(key_basis_probability=0.7),
}


@pytest.fixture
def open_bench():
    """Make workbenches that are closed after the test."""
    made = []

    def make(*args, **options):
        made.append(Workbench(*args, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def until(condition, patience_s=120):
    """Wait for something that another thread does."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.01)


def ended(bench):
    until(lambda: bench._readout.state == "ended")
    bench._figure.flush()


def column(bench, source, name):
    for plot in bench._plots:
        for renderer in plot.figure.renderers:
            if renderer.data_source.name == source:
                return renderer.data_source.data[name]
    raise KeyError(source)


def test_a_run_from_start_to_key(open_bench):
    bench = open_bench(PretendSession, seconds=0.5)
    bench._figure.flush()
    assert not bench._start.disabled and bench._stop.disabled and bench._pause.disabled
    bench._start.click()
    ended(bench)
    assert "91,337 secret bits" in bench._status.value and "91,337" in bench._cards.value
    assert bench._progress.value == 1 and not bench._start.disabled and bench._stop.disabled
    assert len(column(bench, "qber", "qber")) == 5


def test_stop_and_pause(open_bench):
    bench = open_bench(PretendSession)
    bench.start()
    until(lambda: len(column(bench, "qber", "t")) > 3)
    bench._figure.flush()
    assert bench._start.disabled and not bench._stop.disabled
    bench._pause.click()
    bench._figure.flush()
    assert bench._pause.description == "Resume" and "Paused" in bench._status.value
    bench._pause.click()
    bench._figure.flush()
    assert bench._pause.description == "Pause"
    bench.start()                              # pressing Start during a run does nothing
    bench._stop.click()
    bench._stop.click()
    assert bench.session.wait(120)
    ended(bench)


def test_each_start_is_a_new_session_and_clears_the_plots(open_bench):
    bench = open_bench(PretendSession, seconds=0.3)
    bench.start()
    ended(bench)
    first = bench.session
    bench.start()
    ended(bench)
    assert bench.session is not first and len(column(bench, "qber", "t")) == 3


def test_a_session_that_has_run_is_refused_in_words(open_bench):
    class Once(PretendSession):
        def start(self, seconds=None):
            if self._thread is not None:
                raise RuntimeError("a session runs once; make a new one to run again")
            super().start(seconds)

    bench = open_bench(Once(), seconds=0.2)
    bench.start()
    ended(bench)
    bench.start()
    bench._figure.flush()
    assert "runs once" in bench._status.value and not bench._start.disabled


def test_controls_reach_the_link_while_it_runs(open_bench):
    bench = open_bench(PretendSession)
    bench.start()
    bench.panels["channel"].set(distance_km=77.0)
    bench.panels["eve"].controls["intercept_fraction"].value = 1.0
    assert bench.session.source.channel.distance_km == 77 and bench.session.source.eve.intercept_fraction == 1
    bench.panels["source"].controls["intensities.0"].value = 0.8
    assert "next start" in bench._logbook.lines[-1]


def test_a_simulated_link_to_a_key(open_bench):
    bench = open_bench(simulated=LINK, seed=5, seconds=0.5, pace=None, distill=DistillSettings(block_key_bits=10**6))
    assert "Press Start" in bench.report() or "press Start" in bench.report()
    bench.start()
    ended(bench)
    assert bench.session.report["secret_bits"] > 0 and "SECRET KEY" in bench.report()
    assert "equal on both sides" in bench._log.value and "simulated" in bench._log.value
    assert bench._switch.layout.display == "none", "one source needs no switch"
    assert len(column(bench, "rates", "t")) >= 5 and len(column(bench, "arrivals", "phase")) > 10


def test_new_intensities_at_the_next_start(open_bench):
    bench = open_bench(simulated=LINK, seed=5, seconds=0.1, pace=None)
    bench.panels["source"].controls["intensities.0"].value = 0.9
    bench.panels["channel"].set(distance_km=80.0)
    bench.start()
    ended(bench)
    assert bench.session.source.source.intensities == (0.9, 0.15, 0.001)
    assert bench.session.source.channel.distance_km == 80


def test_the_switch_between_sources(open_bench, tmp_path):
    bench = open_bench(simulated=LINK, replayed=tmp_path / "missing.ptu", live=PretendSession, pace=None)
    assert list(bench._switch.options) == ["simulated", "replayed", "live"]
    bench._switch.value = "replayed"
    bench._figure.flush()
    assert "missing.ptu" in bench._status.value and "no such file" in bench._status.value
    bench._start.click()                       # there is nothing to start: words, no exception
    bench._figure.flush()
    assert "missing.ptu" in bench._status.value
    bench._switch.value = "simulated"
    bench._figure.flush()
    assert "Ready" in bench._status.value and set(bench.panels) == {"channel", "source", "eve"}


def test_the_shipped_recording_is_replayed(open_bench):
    from importlib.resources import files

    bench = open_bench(replayed=files("qkdlab.datasets") / "demo", pace=None)
    assert not bench.panels
    bench.start()
    ended(bench)
    assert bench.session.report["secret_bits"] > 0
    assert len(column(bench, "qber", "t")) > 4, "watched in stretches, not at once"


def test_a_wildly_dragged_slider(open_bench):
    bench = open_bench(simulated=LINK, seed=1, pace=None)
    bench.start()
    for k in range(200):
        bench.panels["channel"].controls["distance_km"].value = k % 150
        bench.panels["source"].controls["intensities.1"].value = 0.01 + (k % 49) / 100
    bench.stop()
    ended(bench)
    assert "Ended" in bench._status.value or "Done" in bench._status.value


def test_a_source_of_one_decoy(open_bench):
    link = LINK | {"source": SourceSettings(intensities=(0.5, 0.1), probabilities=(0.5, 0.5), clock_hz=50e6)}
    bench = open_bench(simulated=link, distill=DistillSettings(proof="rusca2018"))
    assert set(bench.panels["source"].controls) == {"intensities.0", "intensities.1"}


def test_no_source_at_all():
    with pytest.raises(TypeError, match="simulated="):
        Workbench()


def test_save_before_during_and_after_a_run(open_bench, tmp_path):
    bench = open_bench(simulated=LINK, seed=5, seconds=0.5, pace=None, distill=DistillSettings(block_key_bits=10**6),
                       folder=tmp_path / "saved")
    assert bench.save() is None and "nothing to save" in bench._logbook.lines[-1]
    bench.start()
    ended(bench)
    first, second = bench.save(), bench.save()
    assert first != second and {p.name for p in first.iterdir()} == {"history.csv", "report.html", "report.json"}
    assert "Security ledger" in (first / "report.html").read_text()
    assert len((first / "history.csv").read_text().splitlines()) == len(bench.history.rows) + 1
    assert "Saved in" in bench._logbook.lines[-1]


def test_a_folder_that_cannot_be_made(open_bench, tmp_path):
    (tmp_path / "file").write_text("")
    bench = open_bench(PretendSession, seconds=0.3, folder=tmp_path / "file")
    bench.start()
    ended(bench)
    assert bench.save() is None and "Cannot save" in bench._logbook.lines[-1]


def test_two_benches_on_one_session(open_bench):
    session = PretendSession()
    one, two = open_bench(session, seconds=0.3), open_bench(session, seconds=0.3)
    one.start()
    ended(one)
    ended(two)
    assert len(column(one, "qber", "t")) == len(column(two, "qber", "t")) == 3, "both show the run"


def test_a_cell_that_is_run_again_leaves_the_old_bench_usable(open_bench):
    old, new = open_bench(PretendSession, seconds=0.2), open_bench(PretendSession, seconds=0.2)
    for bench in (new, old):
        bench.start()
        ended(bench)
        assert "Done" in bench._status.value
    old.close()
    old.stop(), old.pause()                    # of a page that was left behind
