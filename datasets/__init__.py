"""Recordings: one format, one module.

A format is a module of this folder (or of a package that joins through the entry points ``qkdlab.datasets``) with

- ``SIGNATURE``: the bytes with which its files begin (a file's ending says nothing), empty where they have none;
- ``read(path) -> Recording`` (or another kind of data that has ``inspect()``: an OTDR trace, a table of counts), which
  raises :class:`~qkdlab.errors.BadInput` with file, offset or field, and value. What files of a format do not say (a
  tick, a reference period) are its keyword arguments;

where `SIGNATURE` is empty or not enough,

- ``recognises(head, size, path) -> bool``: whether a file of `size` bytes that begins with `head` (its first
  :data:`HEAD_BYTES`) can be one of these, judged by what it holds; the ending of `path` may decide where the bytes fit two
  formats. A format whose ``GENERAL`` is true steps back where another recognises a file that is not called by its
  ``SUFFIX`` (a table of numbers can be many things);

where files can be written,

- ``SUFFIX`` (with ``OTHER_SUFFIXES``), and ``keep(recording)``: the settings of ``write`` that the recording it comes from
  decides;
- ``write(path, blocks) -> int``: writes an iterable of TimeTags, and says how many tags they were. `path` must not exist;
  the file appears there when it is complete. A tag that does not fit is refused with file, field and value. Of a failure,
  also one of `blocks`, no file is left;

and where several files in a folder are one recording, ``read_folder(path)`` opens them.
"""

import functools
import pathlib

from qkdlab.datasets import folder
from qkdlab.datasets.blocks import opened
from qkdlab.datasets.follow import follow
from qkdlab.datasets.newfile import refuse_existing
from qkdlab.datasets.recording import Recording, Tally
from qkdlab.datatypes import DistillSettings
from qkdlab.errors import BadInput
from qkdlab.registry import Registry
from qkdlab.settings import nearest

__all__ = ["FORMATS", "HEAD_BYTES", "DistillSettings", "Recording", "Tally", "convert", "follow", "inspect", "open",
           "writer"]

FORMATS = Registry("qkdlab.datasets", need="SIGNATURE")
HEAD_BYTES = 4096


def open(path, form=None, **settings):
    """Open a recording of any known format: a file, or a folder with a ``run.toml``.

    Parameters
    ----------
    path : path-like
    form : str, optional
        Name of the format, for a file whose bytes do not tell; found from the bytes by default.
    **settings
        What a format's files do not say: keyword arguments of its ``read`` (``tick_ps``, ``reference_ps``, ...).

    Returns
    -------
    Recording

    Raises
    ------
    BadInput
        Naming the file, the byte offset or field, and the value.
    """
    path = pathlib.Path(path)
    if not path.is_dir():
        return _open_file(path, form, **settings)
    if form is None:
        return folder.read(path, _open_file)
    if not hasattr(_module(form), "read_folder"):
        raise BadInput("a file of this format is expected; this is a folder", where=path, field="form", value=form)
    return _module(form).read_folder(path)


def _open_file(path, form=None, **settings):
    """A file of time tags; other kinds of data are refused by what they are."""
    data = _read_file(path, form, **settings)
    if not isinstance(data, Recording):
        kind = data.inspect()["kind"]
        raise BadInput(f"this is a file of another kind ({kind}), not a recording of time tags; `qkdlab inspect` says "
                       "what it holds", where=path)
    return data


def _read_file(path, form=None, **settings):
    if path.is_fifo():                                   # it would wait for ever for somebody to write
        raise BadInput("this is a pipe; a file is expected, as it is read more than once", where=path)
    with opened(path) as file:
        head, size = file.read(HEAD_BYTES), file.seek(0, 2)
    if not head:
        raise BadInput("the file is empty", where=path)
    if form is not None:
        return _read(_module(form), path, settings)
    fits = _candidates(head, size, path)
    if len(fits) == 1:
        return _read(fits.popitem()[1], path, settings)
    if fits:
        raise BadInput(f"the bytes fit several formats, say which: {', '.join(fits)}", where=path, field="form")
    raise BadInput(f"no known recording begins like this; known: {', '.join(_modules())}", where=f"{path}: byte 0",
                   value=head[:8])


def _read(module, path, settings):
    known = module.read.__kwdefaults__ or {}
    for name in settings:
        if name not in known:
            raise BadInput(f"no setting of this reader; {nearest(name, known)}" if known else "this reader has no settings",
                           where=path, field=name, value=settings[name])
    return module.read(path, **settings)


def _candidates(head, size, path):
    """The formats that a file can have: those whose signature it bears, else those that recognise what it holds."""
    signed = {name: module for name, module in _modules().items()
              if module.SIGNATURE and head.startswith(module.SIGNATURE)}
    fits = {name: module for name, module in (signed or _modules()).items()
            if hasattr(module, "recognises") and module.recognises(head, size, path)}
    general = {name: module for name, module in fits.items() if getattr(module, "GENERAL", False)}
    special = {name: module for name, module in fits.items() if name not in general}
    called = {name: module for name, module in general.items() if path.suffix.lower() == module.SUFFIX}
    return called or special or fits or signed


@functools.cache
def _modules():
    """The formats by name. Looked up once: asking for entry points reads the record of every installed package."""
    return {name: FORMATS.get(name) for name in FORMATS.names()}


def _module(form):
    return _modules().get(form) or FORMATS.get(form)          # which complains of a name that is not on the menu


def inspect(path, form=None, **settings):
    """Read a recording from first to last, or another kind of data that is known, and say what it holds.

    Parameters
    ----------
    path : path-like
    form, **settings
        As for :func:`open`.

    Returns
    -------
    dict
        See :meth:`Recording.inspect`; ready for JSON. Of what is no recording: ``format``, ``kind`` and its own fields.

    Raises
    ------
    BadInput
        As :func:`open`; what was readable of a damaged file is reported with a warning instead.
    """
    path = pathlib.Path(path)
    return (open if path.is_dir() else _read_file)(path, form, **settings).inspect()


def convert(source, target, form=None, **settings):
    """Write a recording in another format.

    Parameters
    ----------
    source : path-like
    target : path-like
        Must not exist; its ending chooses the format.
    form, **settings
        Of the source, as for :func:`open`.

    Returns
    -------
    list of str
        What of the source the target does not hold, and what was amiss with the source.

    Raises
    ------
    BadInput
        Where a tag does not fit the target (naming the field), the target exists, or the source cannot be read to its
        end. No file is left then.
    """
    target = refuse_existing(target)
    makers = {suffix: module for module in _modules().values() if hasattr(module, "write")
              for suffix in (module.SUFFIX, *getattr(module, "OTHER_SUFFIXES", ()))}
    if target.suffix.lower() not in makers:
        raise BadInput(f"no format to write has this ending; {nearest(target.suffix, makers)}", where=target,
                       value=target.suffix)
    recording, tally, maker = open(source, form, **settings), Tally(), makers[target.suffix.lower()]
    kept = maker.keep(recording) if hasattr(maker, "keep") else {}
    lost = 0

    def blocks():
        nonlocal lost
        for tags in recording.tag_blocks(tally=tally):
            lost += tags.lost
            yield tags

    apart = "bin_ps" in kept                              # a target that keeps sync number and dtime
    maker.write(target, recording.synced_blocks(tally=tally) if apart else blocks(), **kept)
    return [*recording.warnings, *tally.warnings, *_left_out(recording, tally, lost, kept)]


def _left_out(recording, tally, lost, settings):
    """What the target does not hold."""
    marks = {"marker": tally.markers, "sync": tally.syncs}
    left = [f"{n} {what} records are left out" for what, n in marks.items() if n]
    if tally.dtime_sum is not None and "bin_ps" not in settings:
        joined = recording.tick_ps == 1
        left.append("sync number and dtime are joined to one time, rounded to ps" if joined else
                    "the micro time of the photons is left out")
    if "source" not in settings:                          # a run keeps all of these
        left += [f"{lost} clicks that the tagger says it lost are not noted"] if lost else []
        left += ["settings and the sender's record are left out"] if recording.source is not None else []
    return left


def writer(form, path, link, distill=None, public_seed=None, about=None):
    """A recorder for a link: a context manager with ``append(tags)``.

    Parameters
    ----------
    form : {"h5", "ptu"}
        One HDF5 file (:class:`~qkdlab.datasets.run.RunWriter`), or a folder with a PicoQuant file
        (:class:`~qkdlab.datasets.folder.FolderWriter`).
    path : path-like
        Must not exist.
    link : object
        With ``source, sync, receiver, choices, simulated``.
    distill : DistillSettings, optional
    public_seed : bytes, optional
        32 bytes.
    about : dict, optional
        What else a run of one file notes: ``operator, purpose, notes, parents, snapshot, provenance``.
    """
    kinds = {"h5": _modules()["run"].RunWriter, "ptu": folder.FolderWriter}
    if form not in kinds:
        raise BadInput(f"unknown form of a recording; {nearest(form, kinds)}", field="form", value=form)
    if about and form != "h5":
        raise BadInput("only a run of one file (h5) has a place for this", field=next(iter(about)))
    return kinds[form](path, source=link.source, sync=link.sync, receiver=link.receiver, choices=link.choices,
                       simulated=link.simulated, distill=distill, public_seed=public_seed, **(about or {}))
