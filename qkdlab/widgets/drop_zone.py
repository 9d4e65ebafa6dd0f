"""A place on the page to drop files on: they are written to a folder as they come, however large they are."""

import pathlib
import shutil

import anywidget
import traitlets

from .live_figure import page_module

__all__ = ["DropZone"]

INVITATION = "Drop the files of a recording here, or press to choose them."


class DropZone(anywidget.AnyWidget):
    """Takes files from the page, all of one drop into one new folder.

    Parameters
    ----------
    folder : path-like
        Where the new folders are made.
    received : callable
        Called with the list of the files' paths once all of a drop has arrived.
    shown : callable, optional
        Called when a page begins to show it.
    """

    _esm = page_module("drop_zone.js")
    words = traitlets.Unicode(INVITATION).tag(sync=True)

    def __init__(self, folder, received, shown=None):
        self._home, self._received, self._shown = pathlib.Path(folder), received, shown
        self._place, self._files, self._sizes, self._got = None, [], [], 0
        super().__init__()
        self.on_msg(self._take)

    def _take(self, _widget, message, buffers):
        if message.get("kind") == "shown":
            if self._shown is not None:
                self._shown()
            return
        steps = {"begin": self._begin, "part": self._part, "end": self._end, "unreadable": self._unreadable}
        step = steps.get(message.get("kind"))
        if step is None:
            return
        try:
            step(message, buffers)
            self.send({"kind": "next"})
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            self._discard()
            self.words = f"This could not be taken: {getattr(error, 'strerror', None) or error}."
            self.send({"kind": "next", "refused": True})

    def _begin(self, message, _buffers):
        names, sizes = [pathlib.PurePath(str(n).replace("\\", "/")).name for n in message["names"]], message["sizes"]
        if not names or len(names) != len(sizes) or len(set(names)) != len(names) or {"", ".", ".."} & set(names):
            raise ValueError("files with names of their own are expected")
        self._home.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._home).free
        if sum(sizes) > free:
            raise ValueError(f"the files have {sum(sizes):,} bytes, the disk has {free:,} left")
        self._discard()
        count = 1
        while any(self._home.glob(f"drop-{count:04d}*")):
            count += 1
        largest = pathlib.PurePath(names[sizes.index(max(sizes))]).stem          # what the drop is called in lists
        place = self._home / f"drop-{count:04d}-{largest[:60]}"
        place.mkdir()
        self._place, self._sizes, self._got = place, list(sizes), 0
        self._files = [place / name for name in names]
        for path in self._files:
            path.touch()

    def _part(self, message, buffers):
        path, data = self._files[message["index"]], bytes(buffers[0])
        if path.stat().st_size != message["at"]:
            raise ValueError("a part of the file is missing")
        with path.open("ab") as file:
            file.write(data)
        self._got += len(data)
        total = sum(self._sizes)
        self.words = f"{self._got / 1e6:,.1f} of {total / 1e6:,.1f} MB have arrived \u2026"

    def _end(self, _message, _buffers):
        files, sizes = self._files, self._sizes
        if [p.stat().st_size for p in files] != sizes:
            raise ValueError("the files did not arrive whole")
        self._place, self._files = None, []
        self.words = INVITATION
        self._received(files)

    def _unreadable(self, _message, _buffers):
        self._discard()
        self.words = "This could not be read. A folder cannot be dropped: drop the files inside it, all at once."

    def _discard(self):
        """Nothing of a drop that did not arrive whole is kept."""
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)
            self._place, self._files = None, []
