"""ID Quantique ID900 and ID1000 Time Controllers: text commands over ZeroMQ, tags in streams beside them.

Sources: the maker's manual "Time Controller Series", chapters 8 and 9, and the maker's Python examples. The box pushes
its tags to the maker's *DataLinkTarget* service, which streams each input on a port of its own. It sends them when a
stretch (sub-acquisition) ends, and in each the times restart at 0 (see :mod:`qkdlab.instruments.tag_streams`); between
two lies a dead gap. What RAW outputs are linked to is left as it was set on the box.
"""

import contextlib
import json
import re
import threading
import time

from qkdlab.errors import BadInput
from qkdlab.instruments.errors import DeviceError, InstrumentDisconnected, InstrumentError
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.interfaces import TimeTagger
from qkdlab.instruments.parameters import parameter
from qkdlab.instruments.tag_streams import SubAcquisitions, joined
from qkdlab.instruments.transports import Line, Message, PairStream, open_transport, scheme_host_port
from qkdlab.instruments.transports.connections import TcpConnection

__all__ = ["Id900", "connect"]

GAP_PS = 100_000                 # dead between two stretches; the box needs 40 ns
SILENCE_S = 0.25                 # after which a stream that is behind the others has nothing more to say of a stretch
SERVICE_S = 5.0                  # the service opens sockets: on a busy computer seconds. A stream whose number is lost with
                                 # the answer is never ended, and its port is taken for good
FLUSH_S = 2.0                    # how long after the end of a recording its last tags may come
GLANCE_S = 0.1                   # a look at the streams counts so long at most: a computer that was busy did not listen


def connect(address, *, channels=(1, 2, 3, 4), target="zmq://localhost:6060", stream_port=4241, **settings):
    """The Time Controller at `address` (``zmq://host:5555``).

    Parameters
    ----------
    address : str
    channels : sequence of int
        Inputs to record, 1 to 4.
    target : str
        Address of the DataLinkTarget service.
    stream_port : int
        Input n is streamed on port ``stream_port + n`` of the service's host.
    **settings
        See :class:`Id900`.
    """
    channels = tuple(channels)
    if not channels or len(set(channels)) != len(channels) or not set(channels) <= {1, 2, 3, 4}:
        raise BadInput("different inputs from 1 to 4 are expected", where=address, field="channels", value=channels)
    device = Id900(address, stream_port=stream_port, **settings)
    device._channels, device._target_address = channels, target
    return device


def _volts(reply):
    """Volts of ``0.1``, ``100mV`` or ``100 mV``."""
    number, unit = re.fullmatch(r"\s*([-+.\deE]+)\s*(m?V?)\s*", reply).groups()
    return float(number) * (1e-3 if unit.startswith("m") else 1)


def _threshold(n):
    return parameter(get=f"INPU{n}:THRE?", set=f"INPU{n}:THRE {{value}}mV", parse=lambda reply: 1e3 * _volts(reply),
                     scale=1e3, unit="V", low=-2, high=2, help=f"level of a click at input {n}")


def _edge(n):
    return parameter(str, get=f"INPU{n}:EDGE?", set=f"INPU{n}:EDGE {{value}}",
                     choices={"rising": "RISING", "falling": "FALLING"}, help=f"edge of a click at input {n}")


def _count(n):
    return parameter(int, get=f"INPU{n}:COUN?", help=f"clicks at input {n} in its integration time")


def _set_stretch(device, seconds):
    width = round(1e12 * seconds)
    device.tell(f"REC:PWID {width}")
    device.tell(f"REC:PPER {width + GAP_PS}")


class Id900(Instrument):
    """A time tagger of four inputs."""

    kinds = (TimeTagger,)
    places = {"stream_port": 4241}

    resolution_ps = parameter(get="DEVI:RES:BWID?", unit="ps", help="width of a time bin")
    threshold_1_v, threshold_2_v, threshold_3_v, threshold_4_v = (_threshold(n) for n in (1, 2, 3, 4))
    edge_1, edge_2, edge_3, edge_4 = (_edge(n) for n in (1, 2, 3, 4))
    count_1, count_2, count_3, count_4 = (_count(n) for n in (1, 2, 3, 4))
    stretch_s = parameter(get="REC:PWID?", set=_set_stretch, scale=1e12, unit="s", low=0.2, high=1e3,
                          help="length of a sub-acquisition, after which its tags arrive")

    _channels, _target_address, _target, _recording = (1, 2, 3, 4), "", None, None

    def _prepare(self):
        self.framing = Message() if str(self.address).startswith("zmq:") else Line()     # some firmware may take bare TCP
        self._stopped, self._unstopped = threading.Event(), []

    def tell(self, text):
        self.ask(text)                                   # every command is answered, if only by an empty message

    def check(self):
        """InstrumentError where the box does not answer or, without a word to it, nobody listens at the service."""
        super().check()
        _, host, port = scheme_host_port(self._target_address)
        try:
            TcpConnection(host, port, time.monotonic() + self.transport.timeout_s).close()
        except InstrumentError as error:
            raise InstrumentDisconnected(f"DataLinkTarget is gone: {error.why}", device=self._target_address) from None

    # --------------------------------------------------------------------------------------------------- recording

    def start(self):
        """Begin to record the chosen inputs. A running recording is ended first."""
        self._end()
        _, host, _ = scheme_host_port(self._target_address)
        self._target = open_transport(self._target_address, framing=Message(), timeout_s=self.transport.timeout_s,
                                      identify=lambda transport: "DataLinkTarget")   # no word of its own is documented
        self._stopped.clear()
        self._streams, self._ids = {}, {}
        try:
            self._stop_streams()
            for command in ("TRIG:ARM:MODE MANU", "ENAB ON", "STOP", "NUM INF"):
                self.tell(f"REC:{command}")
            self.stretch_s = max(0.2, self.stretch_s)
            for n in self._channels:
                self.tell(f"RAW{n}:ERRORS:CLEAR")
                self.tell(f"RAW{n}:REF:LINK NONE")
                self.tell(f"RAW{n}:STOP:LINK INPU{n}")
                port = self.places["stream_port"] + n
                self._streams[n] = PairStream(host, port)
                self._ids[n] = self._ask_target(f"start-stream --address {scheme_host_port(self.address)[1]} --channel {n}"
                                                f" --stream-port {port}", max(SERVICE_S, self.transport.timeout_s))["id"]
                self._unstopped.append(self._ids[n])
                self.tell(f"RAW{n}:SEND ON")
            self._errors = dict.fromkeys(self._channels, 0)
            self._recording = SubAcquisitions(self._channels, round(1e12 * self.stretch_s) + GAP_PS)
            self.tell("REC:PLAY")
        except BaseException:
            self._end()
            raise

    def blocks(self, block_seconds):
        """TimeTags of whole sub-acquisitions, together about `block_seconds` long, until `stop`.

        ``lost`` counts the errors of the box and the tags that could not be dated.
        """
        if self._recording is None:
            raise BadInput("the tagger was not started: call start() first", where=self.name)
        stretches = max(1, round(block_seconds / self.stretch_s))
        taken = []
        try:
            for tags in self._stretches():
                taken.append(tags)
                if len(taken) == stretches:
                    yield self._with_losses(joined(taken))
                    taken = []
            if taken:
                yield self._with_losses(joined(taken))
        finally:
            self._end()

    def stop(self):
        """End the recording; `blocks` yields what is left and ends. Safe from any thread."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.tell("REC:STOP")

    def safe_state(self):
        """The recording ends."""
        if self._recording is not None:
            try:
                self.stop()
            finally:
                self._end()

    def _stretches(self):
        """Each sub-acquisition as soon as every input has got past it."""
        import zmq

        poller, inputs = zmq.Poller(), {}
        for n, stream in self._streams.items():
            poller.register(stream.socket, zmq.POLLIN)
            poller.register(stream.broken, zmq.POLLIN)
            inputs[stream.socket] = n
        recording, heard, begun, stopped = self._recording, 0.0, None, None
        now, turned = 0.0, time.monotonic()              # now: seconds of listening
        while not recording.is_over():
            ready = poller.poll(20)
            now, turned = now + min(GLANCE_S, time.monotonic() - turned), time.monotonic()
            for socket, _ in ready:
                if socket not in inputs:
                    self._refuse_broken()
                    continue
                while (message := self._streams[inputs[socket]].receive()) is not None:
                    recording.add(inputs[socket], message)
                    if not recording.is_past(inputs[socket]):
                        begun = None                     # the one we wait for still talks
                    heard = now
            if self._stopped.is_set() and not recording.has_ended():
                stopped = stopped or now
                if now - max(stopped, heard) > SILENCE_S:
                    self._end_streams()
                if now - max(stopped, heard) > FLUSH_S:
                    recording.end()
            while recording.is_complete() and not recording.is_over():
                yield recording.take()
                begun = None
            if recording.is_begun():
                begun = begun or now
                awaited = recording.awaited()
                if awaited and not self._stopped.is_set():
                    self._refuse_silence(awaited, now - begun)
                elif now - begun > SILENCE_S:
                    yield recording.take()
                    begun = None

    def _refuse_broken(self):
        """A service that was started anew knows nothing of our streams: they would be silent for ever."""
        for n, stream in self._streams.items():
            if stream.is_broken() and n in self._ids and not self._stopped.is_set():
                raise InstrumentDisconnected(f"the stream of input {n} broke: is DataLinkTarget still running?",
                                             device=self._target_address)

    def _refuse_silence(self, inputs, silent_s):
        """A computer that is busy may hold a stream up; one that lost a stretch has times that nobody knows any more."""
        if silent_s > self.transport.timeout_s:
            raise InstrumentDisconnected(f"nothing came from input {', '.join(map(str, inputs))} for {silent_s:.2g} s while "
                                         "others went on: the recording has to begin anew", device=self._target_address)

    def _with_losses(self, tags):
        errors = {n: int(self.ask(f"RAW{n}:ERRORS?")) for n in self._channels}
        lost = sum(errors[n] - self._errors[n] for n in self._channels)
        self._errors = errors
        return type(tags)(tags.time_ps, tags.channel, tags.lost + max(0, lost))

    def _end_streams(self):
        """Tell the service that no more is wanted; it sends the end of each stream."""
        told, self._ids = list(self._ids), {}
        try:
            self._stop_streams()                         # the service is another program: told also where the box is away
        finally:
            for n in told:
                self.tell(f"RAW{n}:SEND OFF")

    def _stop_streams(self):
        while self._unstopped:
            with contextlib.suppress(DeviceError):       # it knows nothing of this one any more
                self._ask_target(f"stop --id {self._unstopped[-1]}")
            self._unstopped.pop()                             # those that it was not told of are told at the next start

    def _end(self):
        with self.transport.lock:                        # the reader of the tags and who closes the device both come here
            if self._target is None:
                return
            try:
                self._end_streams()
            except InstrumentError:
                pass                                     # the service is gone, and its streams with it
            for stream in self._streams.values():
                stream.close()
            self._target.close()
            self._target = self._recording = None

    def _ask_target(self, text, timeout_s=None):
        reply = self._target.query(text, timeout_s=timeout_s)
        try:
            answer = json.loads(reply)
        except ValueError:
            raise DeviceError(f"not an answer to {text!r}", device=self._target_address, reply=reply) from None
        if isinstance(answer, dict) and "error" in answer:
            raise DeviceError(f"refused {text!r}", device=self._target_address, reply=answer["error"].get("description"))
        return answer
