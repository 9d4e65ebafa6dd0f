"""The bench: all devices of a bench file, connected in one call, and the live session they make.

::

    from qkdlab import bench

    lab = bench.open()                   # the shipped file: everything simulated
    lab["attenuator"].attenuation_db = 3
    report = lab.session(archive="run.h5").run(60)
    lab.close()                          # no light, shutters closed

Laser-safe: the devices are brought to their safe state when the bench is closed, when a session ends or breaks, and when
the process ends, by SIGTERM or SIGHUP too.
"""

import contextlib
import hashlib
import pathlib
import threading
import time
import weakref

from . import bench_file, instruments, simulation
from .calibration.store import bench_blockers, bench_calibrations
from .choices import load_choices
from .datasets.recorder import RunWriter
from .errors import BadInput
from .instruments.errors import InstrumentError, InstrumentInUse
from .instruments.instrument import LIGHT, danger, safe_when_terminated
from .instruments.interfaces import RandomSource, TimeTagger
from .live import LiveLink
from .played import PlayedOnce
from .ports import free_ports
from .randomness import watched
from .session import Session
from .settings import nearest, to_table
from .standing import Standing

__all__ = ["Bench", "open"]


def open(path=None, *, simulate=None, session="", seed=None, blockers=()):  # noqa: A001  (reads as bench.open)
    """Connect all devices of a bench file.

    Parameters
    ----------
    path : path-like, optional
        The bench file, see :mod:`qkdlab.bench_file`; absent: the shipped one, all simulated.
    simulate : bool, optional
        In place of what the file says.
    session : str, optional
        Who holds the devices; told to whoever tries to open them meanwhile. Absent: the file's name.
    seed : int, optional
        Of the simulated laboratory, in place of the file's.
    blockers : sequence of callable
        Each returns None, or a reason for which no key may be made now (a calibration out of date).

    Returns
    -------
    Bench
        Also a context manager.

    Raises
    ------
    BadInput
        Naming file, table and key.
    InstrumentError
        Naming the device that does not answer, or who else holds it (InstrumentInUse). All others are let go again.
    """
    return Bench(bench_file.read(path), simulate=simulate, session=session, seed=seed, blockers=blockers)


class Bench:
    """Connected devices, and the link they make. Made by :func:`open`.

    Attributes
    ----------
    file : qkdlab.bench_file.BenchFile
    devices : dict of str to device
        ``bench["attenuator"]`` is ``bench.devices["attenuator"]``.
    simulated : bool
    world : qkdlab.instruments.servers.World or None
        The laboratory that the simulated devices share.
    simulation : qkdlab.instruments.servers.SimulatedBench or None
        For faults: ``lab.simulation.fault("tagger", "stall")``.
    """

    def __init__(self, file, *, simulate=None, session="", seed=None, blockers=(), _failed=None):
        self.file, self.simulated = file, file.simulate if simulate is None else bool(simulate)
        self.name, self.devices, self.world, self.simulation = session or file.path.name, {}, None, None
        self._blockers, self._closed, self._sessions = tuple(blockers), False, weakref.WeakSet()
        self._stack = contextlib.ExitStack()
        try:
            if self.simulated:
                self._simulate(seed)
            for name in file.devices:
                try:
                    self.devices[name] = self._connect(name)
                except (InstrumentError, BadInput) as error:
                    if _failed is None:
                        raise
                    _failed[name] = str(error)           # a dry run goes on
            safe_when_terminated()
        except BaseException:
            self.close()
            raise

    # -------------------------------------------------------------------------------------------------------- opening

    def _simulate(self, seed):
        from .instruments import servers

        tables = {name: self.file.tables[name] for name in simulation.SECTIONS}
        settings = self.file.tables["simulation"]
        self._seed = settings.seed if seed is None else seed
        link = simulation.link_from_tables(tables, self._seed, self._stored_choices())
        self.world = servers.World(link, seed=self._seed, speed=settings.speed)
        kinds = {name: entry.driver for name, entry in self.file.devices.items()}
        for name, kind in kinds.items():
            if kind not in servers.menu.names():
                raise BadInput(f"there is no simulated device for this driver; {nearest(kind, servers.menu.names())}",
                               where=self.file.where(name), field="driver", value=kind)
        self.simulation = self._stack.enter_context(servers.SimulatedBench(self.world, kinds))

    def _connect(self, name):
        entry, extras = self.file.devices[name], self.file.extras[name]
        module, options = instruments.menu.get(entry.driver), dict(extras["options"])
        for key, value in options.items():
            options[key] = tuple(value) if isinstance(value, list) else value
        address = self._address(name, entry, options)
        try:
            sibling = next((d for d in self.devices.values() if d.address == address and d.places), None)
            try:
                device = sibling.beside(**options) if sibling is not None else module.connect(
                    address, timeout_s=entry.timeout_s, session=f"{self.name}: {name}", simulated=self.simulated, **options)
            except BadInput as error:
                raise error.at(self.file.where(name)) from None
            try:
                self._set_up(name, device)
            except BaseException:
                device.close()
                raise
            return device
        except InstrumentInUse as error:
            error.why = f"{name}: {error.why}"
            raise
        except InstrumentError as error:
            error.why = f"{name} ({entry.driver}): {error.why}"
            raise

    def _address(self, name, entry, options):
        if not self.simulated:
            return entry.address
        if entry.driver == "swabian":
            options["library"] = self.simulation.device(name).module
            return f"swabian://{self.simulation.device(name).serial}"
        if entry.driver == "id900":
            options["target"] = self.simulation.address(name, "datalink")
            options.setdefault("stream_port", free_ports(4) - 1)
        return self.simulation.address(name)

    def _set_up(self, name, device):
        """Limits of the file, then what is to be set at the opening."""
        extras = self.file.extras[name]
        for table in ("limits", "settings", "session"):
            for setting in extras[table]:                # drivers whose settings only the device tells
                bench_file.check_setting(device.parameters(), self.file.devices[name].driver, setting,
                                         extras[table][setting], self.file.where(name, table))
        for setting, span in extras["limits"].items():
            try:
                device.narrow(**{setting: span})
            except BadInput as error:
                raise BadInput(error.why, where=self.file.where(name, "limits"), field=setting, value=span) from None
        for table in ("settings", "session"):
            for setting, value in extras[table].items():
                try:
                    device._parameter(setting).check(device, value)
                except BadInput as error:
                    raise BadInput(error.why, where=self.file.where(name, table), field=setting, value=value) from None
        device.set(**extras["settings"])

    # ---------------------------------------------------------------------------------------------------------- verbs

    def __getitem__(self, name):
        if name not in self.devices:
            raise BadInput(f"not on this bench; {nearest(str(name), self.devices)}", where=self.file.path, field="device",
                           value=name)
        return self.devices[name]

    def __iter__(self):
        return iter(self.devices)

    def __len__(self):
        return len(self.devices)

    def identities(self):
        """One dict for each device: ``name, driver, identity, address, simulated``."""
        return [{"name": name, "driver": self.file.devices[name].driver, "identity": device.identity(),
                 "address": device.address, "simulated": bool(device.simulated)} for name, device in self.devices.items()]

    def snapshot(self, *, timeout_s=5.0):
        """Every setting of every device, best effort: ``{device: {setting: {"value", "unit", "time"}}}``.

        Devices are asked side by side, and what did not answer after `timeout_s` is noted as an error.
        """
        found = {}

        def ask(name, device):
            try:
                found[name] = {"identity": device.identity(), "settings": device.snapshot(timeout_s=timeout_s)}
            except Exception as error:                   # noqa: BLE001  (a snapshot never stops a run)
                found[name] = {"error": str(error)}

        threads = [threading.Thread(target=ask, args=item, daemon=True) for item in self.devices.items()]
        for thread in threads:
            thread.start()
        stop = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, stop - time.monotonic()))
        late = {"error": f"no answer within {timeout_s:g} s"}
        return {name: dict(found.get(name, late)) for name in self.devices}

    def prepare(self, returned=()):
        """Set the devices as the file's ``session`` tables say (light on), and wait until they have settled.

        DeviceError where a device stands outside of the file's limits (set at its panel) and the file does not set it.

        Parameters
        ----------
        returned : collection of str
            Devices that were away. Their power may have been cut: what the file sets at the opening is set again.
        """
        for name, device in reversed(list(self.devices.items())):        # the laser, named first, comes on last
            if name in returned:
                device.ask_limits()
                device.set(**self.file.extras[name]["settings"])
            device.refuse_beyond(about_to_be_set=self.file.extras[name]["session"])
            device.set(**self.file.extras[name]["session"])
        settle_s = self.file.tables["session"].settle_s
        if self.simulated and not self.world.clock.speed:
            self.world.clock.advance(settle_s)           # a clock that stands still moves only where somebody waits
        else:
            time.sleep(settle_s)

    def safe_state(self):
        """No light, shutters closed, detectors without bias; what gives light first. Errors do not stop it.

        Returns
        -------
        dict of str to str
            Devices that could not be told, and why.
        """
        failed = {}
        for name, device in sorted(self.devices.items(), key=lambda item: danger(item[1])):
            try:
                device.safe_state()
            except Exception as error:                   # noqa: BLE001  (a fault of its driver keeps no other light on)
                failed[name] = str(error) or type(error).__name__
        return failed

    def dark(self):
        """Safe state of what gives light or lets it through, side by side: the end of a session, or a pause."""
        def safe(device):
            with contextlib.suppress(Exception):         # a fault of its driver
                device.safe_state()

        threads = []                                     # one that does not listen keeps no other light on
        for device in sorted(self.devices.values(), key=danger):
            if danger(device) < len(LIGHT):
                thread = threading.Thread(target=safe, args=(device,), daemon=True)
                try:
                    thread.start()
                    threads.append(thread)
                except RuntimeError:                     # the process is about to end: no new threads
                    safe(device)
        for thread in threads:
            thread.join()

    def close(self):
        """Safe state, then let all devices go. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for session in self._sessions:
            session.stop()
        for session in self._sessions:
            if session.running:
                session.wait(10)                         # it closes its archive; then the devices are let go
        for device in sorted(self.devices.values(), key=danger):
            with contextlib.suppress(Exception):         # a fault of its driver keeps no other light on
                device.close()
        self._stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def __repr__(self):
        kind = "simulated bench" if self.simulated else "bench"
        return f"<{kind} {self.file.path.name}: {', '.join(self.devices)}>"

    # -------------------------------------------------------------------------------------------------------- the link

    @property
    def tagger(self):
        """The time tagger of the sessions.

        Raises
        ------
        BadInput
            Where there is none, or several and the file does not say which.
        """
        taggers = [name for name, device in self.devices.items() if TimeTagger in device.kinds]
        chosen = self.file.tables["session"].tagger
        if chosen is None and len(taggers) == 1:
            chosen = taggers[0]
        if chosen not in taggers:
            why = f"name one of {', '.join(taggers)}" if taggers else "no device of this bench is a time tagger"
            raise BadInput(why, where=f"{self.file.path}: [session]", field="tagger", value=chosen)
        return self.devices[chosen]

    @property
    def _partly_simulated(self):
        """Whether any device is simulated: no key over it is a real one."""
        return bool(self.simulated or any(getattr(device, "simulated", False) for device in self.devices.values()))

    def _stored_choices(self):
        stored, tables = self.file.tables["choices"], self.file.tables
        if stored.file is None:
            return None
        return load_choices(self.file.path.parent / stored.file, tables["source"], tables["synchronisation"], stored.repeat)

    def choices(self):
        """What Alice plays: the stored pattern that the file names; in a simulated bench, else, what its link draws."""
        if self.world is not None:
            return self.world.link.choices
        stored = self._stored_choices()
        if stored is None:
            raise BadInput("a real link needs to know what the source plays: name a NumPy file of symbols",
                           where=f"{self.file.path}: [choices]", field="file")
        return stored

    def link(self, *, archive=None, **words):
        """The bench as a source of a session.

        Parameters
        ----------
        archive : path-like, optional
            A run file to write the tags to while the link runs, with snapshots of all settings at start and end.
        **words
            ``operator, purpose, notes`` of the run.

        Returns
        -------
        LiveLink
        """
        tables = self.file.tables
        if archive is not None and pathlib.Path(archive).exists():
            raise BadInput("exists already", where=archive)
        stored, choices = tables["choices"].file, self.choices()
        once = None if stored is None or self.simulated else PlayedOnce(self.file.path.parent / stored, self.name,
                                                                        choices.symbols)
        link = LiveLink(choices, tables["receiver"], self.tagger, distill=tables["distill"], devices=self.devices,
                        prepare=self.prepare, rest=self.dark, watch_s=tables["session"].watch_s, once=once,
                        record=None if archive is None else lambda: self._writer(archive, words),
                        finish=self._finish, standing=self._standing())
        link.simulated = self._partly_simulated
        if self.world is not None:
            link.expected_gains = self.world.link.expected_gains
        return link

    def _standing(self):
        """What the file sets, and what it limits, is to stand as it was set."""
        return Standing(self.devices, {name: dict.fromkeys(s for t in ("settings", "session", "limits") for s in extras[t])
                                       for name, extras in self.file.extras.items()})

    def _writer(self, path, words):
        tables, stored = self.file.tables, self.file.tables["choices"]
        provenance = {"bench": self.file.text, "bench_sha256": hashlib.sha256(self.file.text.encode()).hexdigest(),
                      "devices": self.identities(), "calibrations": bench_calibrations(self.file)}
        if self.world is not None:
            provenance |= {"seed": self._seed, "simulation": {n: to_table(tables[n]) for n in simulation.SECTIONS}}
        if stored.file is not None:
            data = (self.file.path.parent / stored.file).read_bytes()
            provenance["choices"] = {"file": stored.file, "sha256": hashlib.sha256(data).hexdigest()}
        # Choices of a real link are its raw key: they stay in the sender's own file.
        return RunWriter(path, source=tables["source"], sync=tables["synchronisation"], receiver=tables["receiver"],
                         distill=tables["distill"], simulated=self._partly_simulated, provenance=provenance,
                         choices=self.choices() if self.simulated else None, snapshot=self.snapshot(), **words)

    def _finish(self, writer):
        """What is to be known at the end of a run: all settings, and the calibrations, where one was made meanwhile."""
        if writer is not None:
            writer.snapshot_end(self.snapshot())
            with contextlib.suppress(BadInput):          # a store that was tampered with meanwhile: the blocker says so
                if found := bench_calibrations(self.file):
                    writer.log("calibrations at the end", **found)

    def session(self, distill=None, *, archive=None, words=None, **options):
        """A live session: the same code as for recordings. A random source on the bench is tested before each block: one
        that fails stops the key.

        Parameters
        ----------
        distill : DistillSettings, optional
            In place of the file's.
        archive, words
            As :meth:`link`.
        **options
            Of :class:`qkdlab.Session`.
        """
        needed = bench_blockers(self.file, real=not self.simulated)
        sources = [watched(name, device) for name, device in self.devices.items() if RandomSource in device.kinds]
        options["blockers"] = (*self._blockers, *needed, *sources, *options.pop("blockers", ()))
        session = Session(self.link(archive=archive, **(words or {})), distill, **options)
        self._sessions.add(session)
        return session
