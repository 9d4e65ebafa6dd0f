"""A recording as a folder: ``run.toml`` beside a tag file of any format and Alice's record.

.. code-block:: toml

    [source]               # SourceSettings
    [synchronisation]      # SynchronisationSettings
    [receiver]             # ReceiverSettings
    [distill]              # DistillSettings; may be absent
    [recording]
    tags = "bob.ptu"
    choices = "alice.npz"
    simulated = true
    public_seed = "..."    # 32 bytes in hexadecimal; may be absent

A folder never holds a secret key; of Alice's record see :mod:`qkdlab.datasets.alice`.
"""

import dataclasses
import json
import pathlib
import shutil
import tempfile
from dataclasses import dataclass

from qkdlab import datatypes
from qkdlab.datasets import alice
from qkdlab.datasets.newfile import refuse_existing, umask
from qkdlab.datasets.ptu import PtuWriter
from qkdlab.errors import BadInput
from qkdlab.settings import Settings, read_toml, setting, to_table

__all__ = ["FolderWriter", "read"]

SETTINGS = "run.toml"


@dataclass(frozen=True, slots=True)
class RecordingSettings(Settings):
    """Which files of the folder hold what."""

    tags: str = setting(help="file of Bob's time tags")
    choices: str = setting(help="file of Alice's record: .npz or .npy")
    simulated: bool = setting(help="whether the tags come from a simulation")
    public_seed: str | None = setting(None, help="32 bytes in hexadecimal, from which the hash seeds are expanded")

    def check(self):
        for name in ("tags", "choices"):
            path = pathlib.PurePath(getattr(self, name))
            if not path.name or path.is_absolute() or ".." in path.parts:
                raise BadInput("a file inside the folder is expected", field=name, value=str(path))
        if self.public_seed is not None:
            try:
                fine = len(bytes.fromhex(self.public_seed)) == 32
            except ValueError:
                fine = False
            if not fine:
                raise BadInput("32 bytes in hexadecimal are expected", field="public_seed", value=self.public_seed)


SECTIONS = {"source": datatypes.SourceSettings, "synchronisation": datatypes.SynchronisationSettings,
            "receiver": datatypes.ReceiverSettings, "distill": datatypes.DistillSettings,
            "recording": RecordingSettings}


def read(path, open_tags):
    """Open a folder.

    Parameters
    ----------
    path : path-like
    open_tags : callable
        Path of a tag file to Recording.

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming file, table, field and value.
    """
    path = pathlib.Path(path)
    if not (path / SETTINGS).is_file():
        raise BadInput(f"a folder without {SETTINGS}, which names the files of a recording", where=path)
    tables = read_toml(path / SETTINGS, SECTIONS)
    about, source, sync = tables["recording"], tables["source"], tables["synchronisation"]
    if not (path / about.tags).is_file():
        raise BadInput("no such file", where=path / SETTINGS, field="tags", value=about.tags)
    seed = about.public_seed
    return dataclasses.replace(
        open_tags(path / about.tags), source=source, sync=sync, receiver=tables["receiver"], distill=tables["distill"],
        choices=alice.load(path / about.choices, source, sync), simulated=about.simulated,
        public_seed=None if seed is None else bytes.fromhex(seed))


class FolderWriter:
    """Records into a folder with a PicoQuant file, as a context manager: ``writer.append(tags)`` for each block.

    Parameters
    ----------
    path : path-like
        Must not exist; the folder appears when the context ends without an exception.
    source, sync, receiver, distill : settings
    choices : object
        Alice's record.
    simulated : bool
    public_seed : bytes, optional
        32 bytes.
    created : datetime.datetime, optional
        Noted in the PicoQuant file; absent: now.
    """

    def __init__(self, path, *, source, sync, receiver, choices, simulated, distill=None, public_seed=None,
                 created=None):
        self.path = pathlib.Path(path)
        about = RecordingSettings("bob.ptu", "alice.npz", bool(simulated), public_seed and public_seed.hex())
        self._tables = {"source": source, "synchronisation": sync, "receiver": receiver, "distill": distill,
                        "recording": about}
        self._choices, self._created = choices, created

    def __enter__(self):
        refuse_existing(self.path)
        self._part = pathlib.Path(tempfile.mkdtemp(prefix=f".{self.path.name}.", suffix=".part", dir=self.path.parent))
        try:
            (self._part / SETTINGS).write_text(_toml(self._tables), encoding="utf-8")
            alice.save(self._part / "alice.npz", self._choices)
            self._tags = PtuWriter(self._part / "bob.ptu", created=self._created).__enter__()
        except BaseException:
            shutil.rmtree(self._part)
            raise
        return self

    def append(self, tags):
        """Add a block; see :meth:`qkdlab.datasets.ptu.PtuWriter.append`."""
        self._tags.append(tags)

    def __exit__(self, *exception):
        try:
            self._tags.__exit__(*exception)
            if exception[0] is None:
                self._part.chmod(0o777 & ~umask())
                refuse_existing(self.path)
                self._part.rename(self.path)
        finally:
            shutil.rmtree(self._part, ignore_errors=True)


def _toml(tables):
    """Settings as TOML. Their values are numbers, booleans, strings and lists of them: JSON writes these alike."""
    lines = []
    for name, settings in tables.items():
        if settings is not None:
            rows = (f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in to_table(settings).items())
            lines += [f"[{name}]", *rows, ""]
    return "\n".join(lines)
