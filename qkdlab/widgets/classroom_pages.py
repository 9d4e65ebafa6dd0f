"""The three pages of a class room: Alice's desk, Bob's, and Eve's between them (see :mod:`qkdlab.classroom`)."""

import html
import threading

import ipywidgets
from bokeh.models import Range1d

from qkdlab.classroom import PORT, AliceDesk, BobDesk, EveDesk
from qkdlab.datatypes import SourceSettings
from qkdlab.errors import BadInput
from qkdlab.palette import PALETTE
from qkdlab.proofs.photons import tau
from qkdlab.session import Session
from qkdlab.simulation import ChannelSettings, DetectorSettings, EveSettings, expected_gains, simulate

from .lessons import pulses
from .lessons.parts import aligned, exercise, marked, slider
from .live import arrivals, described, feed, figure_frame, grid, key_length, legend_above, named_source, qber, rates
from .live_figure import LiveFigure

__all__ = ["alice", "bob", "eve", "school_link", "seen_by_bob", "several_photons", "unnoticed"]

ADDRESS = f"127.0.0.1:{PORT}"
_WIDE = {"max_width": "980px"}
_open = {}                       # the desk of each role in this kernel: a cell that runs again starts anew


def _first_close(role):
    desk = _open.pop(role, None)
    if desk is not None:
        desk.close()


def _button(text, icon, style=""):
    button = ipywidgets.Button(description=text, icon=icon, button_style=style, tooltip=text)
    button.add_class("qk-" + text.lower().replace(" ", "-"))
    return button


def _address(value):
    return ipywidgets.Text(value=value, description="Alice's address", style={"description_width": "initial"},
                           layout={"width": "320px"}, continuous_update=False)


# --------------------------------------------------------------------------------------------------------- Alice


def alice(link, address=ADDRESS):
    """Alice's page: what she sends, who is there, what happened. It works until the notebook's kernel ends.

    Parameters
    ----------
    link : dict of str to settings object
        As :func:`qkdlab.simulate` takes it.
    address : str
        Where Bob and Eve find her; ``"0.0.0.0:47084"`` for other PCs of the room.
    """
    _first_close("alice")
    state, log = ipywidgets.HTML(), ipywidgets.HTML()
    try:
        desk = _open["alice"] = AliceDesk(link, address)
    except BadInput as error:
        state.value = marked(html.escape(str(error)), False)
        return ipywidgets.VBox([state])

    def show():
        here = desk.present
        people = [name for name, role in (("Bob", "light"), ("Eve", "eve")) if role in here]
        key = f" My newest key: <b>{desk.sha256()[:16]}</b> (fingerprint)." if desk.keys else ""
        state.value = marked(f"I am at <b>{html.escape(desk.address)}</b>. There: {' and '.join(people) or 'nobody'}.{key}",
                            True if desk.keys else None)
        log.value = ('<div style="height:150px;overflow-y:auto;line-height:1.7">'              # the newest on top
                     + "".join(f"<div>{html.escape(news)}</div>" for news in desk.news[::-1]) + "</div>")

    desk.subscribe(show)
    show()
    return ipywidgets.VBox([state, pulses(desk.link.source, 14), log], layout=ipywidgets.Layout(**_WIDE))


@exercise("pulses a second")
def several_photons(answer, link):
    """Check (within 5 %) how many of Alice's pulses a second hold two photons or more."""
    source = simulate(link, seed=0).source
    share = 1 - sum(tau(n, source.intensities, source.achieved_probabilities) for n in (0, 1))
    number = share * source.clock_hz
    if abs(answer - number) <= 0.05 * number:
        return f"Yes: {100 * share:.2f} % of the pulses, {number:,.0f} a second. Eve can take a photon of each.", True
    return (f"Not {answer:,.0f}. A hint: 1 - exp(-\u03bc) (1 + \u03bc) for each brightness \u03bc, times how often it is "
            "chosen."), False


# ----------------------------------------------------------------------------------------------------------- Bob


def bob(address=ADDRESS, seconds=3.0):
    """Bob's page: connect, listen, distil; the plots are those of a live session.

    Parameters
    ----------
    address : str
        Of Alice's page.
    seconds : float
        Of link time, where the slider begins.
    """
    _first_close("bob")
    return _BobPage(address, seconds).page


class _BobPage:
    def __init__(self, address, seconds):
        self._where = _address(address)
        self._start, self._stop = _button("Listen", "play", "primary"), _button("Stop", "stop")
        self._seconds = slider("seconds of link time", seconds, 0.5, 20, 0.5)
        self._state = ipywidgets.HTML(marked("Press <b>Listen</b> when Alice's page is open."))
        self._plots = (qber(), key_length(), arrivals(), rates())
        self._live = LiveFigure(grid(self._plots), label=f"Bob's view, {described(self._plots)}")
        self._desk, self._busy = None, threading.Lock()
        self._stop.disabled = True
        self._start.on_click(lambda _: threading.Thread(target=self._run, daemon=True).start())
        self._stop.on_click(lambda _: self.close())
        _open["bob"] = self
        self.page = ipywidgets.VBox([ipywidgets.HBox([self._where, self._start, self._stop]), self._seconds, self._state,
                                     self._live], layout=ipywidgets.Layout(**_WIDE))

    def close(self):
        """End the present run, if there is one."""
        if self._desk is not None:
            self._desk.stop()

    def _run(self):
        if not self._busy.acquire(blocking=False):
            return                               # a second click on the button
        try:
            self._start.disabled, self._stop.disabled = True, False
            self._state.value = marked("Calling Alice ...")
            self._desk = BobDesk(self._where.value, pace=0.5)
            self._desk.subscribe(self._take)
            self._desk.start(self._seconds.value)
            self._desk.wait()
        except BadInput as error:
            self._state.value = marked(html.escape(str(error)), False)
        finally:
            self._start.disabled, self._stop.disabled = False, True
            self._busy.release()

    def _take(self, event):
        feed(self._live, self._plots, event)
        values = event.values
        if event.step == "block":
            why = "" if values["key_length"] else f" No key yet: {html.escape(values['reason'] or '')}"
            self._state.value = marked(f"{values['tags']:,} clicks so far.{why}")
        elif event.step == "error":
            self._state.value = marked(html.escape(values["message"]), False)
        elif event.step == "end":
            self._state.value = self._verdict(values["report"])

    @staticmethod
    def _verdict(report):
        rate = report["qber_test"]
        seen = "" if rate is None else f" The error rate of the test basis was {100 * rate:.2f} %."
        if report["secret_bits"]:
            return marked(f"<b>{report['secret_bits']:,} secret bits.</b> Fingerprint "
                         f"<b>{report['bob_key_sha256'][:16]}</b>: is it Alice's?{seen}", True)
        return marked(f"<b>No key:</b> {html.escape(report['reason'] or 'nothing was detected')}.{seen}", False)


@exercise("per cent")
def seen_by_bob(answer, link, share=0.4):
    """Check (within 1.5) the error rate in % of the test basis while Eve intercepts this share of the pulses."""
    made = simulate(link, seed=0)
    rates = expected_gains(made.source, made.channel, made.detectors, EveSettings(intercept_fraction=share), 500)
    rate = 100 * rates.qber[0, 1]
    if abs(answer - rate) <= 1.5:
        return f"Yes: {rate:.1f} % of the signal's test bits would be wrong. Let Eve try it.", True
    return "No. A quarter of what Eve intercepts goes wrong, and the link has errors of its own.", False


# ----------------------------------------------------------------------------------------------------------- Eve


def eve(address=ADDRESS):
    """Eve's page: what she does to the pulses, and how much of Bob's bits she knows.

    Parameters
    ----------
    address : str
        Of Alice's page.
    """
    _first_close("eve")
    return _EvePage(address).page


class _EvePage:
    def __init__(self, address):
        self._where = _address(address)
        self._start, self._stop = _button("Tap the line", "plug", "primary"), _button("Leave", "sign-out")
        self._sliders = {"intercept_fraction": slider("intercept and send on (%)", 0, 0, 100, 1, wait=True),
                         "split_fraction": slider("split photon numbers (%)", 0, 0, 100, 1, wait=True)}
        self._state = ipywidgets.HTML(marked("Press <b>Tap the line</b> when Alice's page is open."))
        self._log = ipywidgets.HTML()
        self._source, self._desk = named_source("eve", "t", "touched", "known"), None
        self._stop.disabled = True
        self._start.on_click(lambda _: self._connect())
        self._stop.on_click(lambda _: self.close())
        for control in aligned(*self._sliders.values()):
            control.observe(lambda _: self._attack(), "value")
        self._live = self._figure()
        _open["eve"] = self
        self.page = ipywidgets.VBox([ipywidgets.HBox([self._where, self._start, self._stop]), *self._sliders.values(),
                                     self._state, self._live, self._log], layout=ipywidgets.Layout(**_WIDE))

    def _figure(self):
        plot = figure_frame("What Eve has of Bob's clicks", "share (%)", x_label="link time (s)", y_range=Range1d(0, 100))
        legend_above(plot, [
            ("went through her hands", [plot.line("t", "touched", source=self._source, color=PALETTE["grey"], line_width=2,
                                                  line_dash="dashed")]),
            ("bits she knows", [plot.line("t", "known", source=self._source, color=PALETTE["vermillion"], line_width=2.5)])])
        return LiveFigure(plot, label="share of Bob's clicks that Eve touched, and that she knows")

    def close(self):
        """Leave the line."""
        if self._desk is not None:
            self._desk.close()

    def _connect(self):
        self.close()
        try:
            self._desk = EveDesk(self._where.value)
        except BadInput as error:
            self._state.value = marked(html.escape(str(error)), False)
            return
        self._desk.subscribe(self._take)
        self._start.disabled, self._stop.disabled = True, False
        self._attack()

    def _attack(self):
        if self._desk is None or not self._desk.connected:
            return
        try:
            self._desk.set(**{name: control.value / 100 for name, control in self._sliders.items()})
            self._state.value = marked("I am at the line. What I do now counts from the next flash of light on.", True)
        except BadInput as error:
            self._state.value = marked(html.escape(str(error)), False)

    def _take(self, kind):
        desk = self._desk
        if kind == "gone":
            self._start.disabled, self._stop.disabled = False, True
            self._state.value = marked("I am no longer at the line (left, or Alice has gone). Tap it again to go on.")
        elif kind == "learned" and desk.last["clicks"]:
            now, total = desk.last, desk.learned
            self._live.stream(self._source, 2000, t=total["seconds"], touched=100 * now["touched"] / now["clicks"],
                              known=100 * now["known"] / now["clicks"])
        elif kind == "result":
            self._log.value = "<ol>" + "".join(
                f"<li>A run of theirs ended: {html.escape(_outcome(result))}</li>" for result in desk.results[-6:]) + "</ol>"


def _outcome(result):
    if result["secret_bits"]:
        return f"they hold {result['secret_bits']:,} bits of which I know nothing."
    return "no key. Did they notice me?"


@exercise("per cent")
def unnoticed(answer, link, seconds=1.0):
    """Check the largest share (%, within 3) that Eve may intercept while some key still comes out."""
    if not 0 <= answer <= 100:
        return "A share from 0 to 100 % is expected.", False
    bits = [Session(simulate({**link, "eve": EveSettings(intercept_fraction=min(share, 100) / 100)}, seed=4)).run(
        seconds=seconds)["secret_bits"] for share in (answer, answer + 3)]
    if bits[0] and not bits[1]:
        return (f"Yes: {bits[0]:,} secret bits at {answer:g} %, none at {answer + 3:g} %. And of the bits that are left you "
                "know nothing: that is what the proof is for."), True
    return (f"At {answer:g} % no key comes out any more." if not bits[0] else
            f"At {answer + 3:g} % they still get {bits[1]:,} bits: you may take more."), False


def school_link(distance_km=25.0):
    """A link that a school PC simulates in real time: 20 million pulses a second.

    Returns
    -------
    dict of str to settings object
    """
    return {"source": SourceSettings((0.5, 0.15, 0.001), (0.5, 0.25, 0.25), 0.7, clock_hz=20e6),
            "channel": ChannelSettings(distance_km=distance_km),
            "detectors": DetectorSettings(key_basis_probability=0.7)}

