"""Stored choices are played to a detector once: a mark beside the file says so to every later session."""

import hashlib
import json
import os
import time

__all__ = ["PlayedOnce"]


class PlayedOnce:
    """The claim of one session on a file of stored choices. Bits sent twice are no key: whoever heard the first learns from
    the second.

    The mark is named by the hash of the choices, so that another name of the file, or a link to it, does not hide it; a copy
    in another folder does.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    who : str
        The session, for whoever comes later.
    symbols : ndarray of uint8
        The choices as they were read: the file may be another one by now.
    """

    def __init__(self, path, who, symbols):
        self._path, self._who, self._symbols = path, who, symbols
        self.renew()

    def renew(self):
        """Another session: what the one before has claimed it cannot have."""
        self._done, self._why = False, None

    def play(self):
        """The light goes on: the claim is made, at the first call."""
        if self._done:
            return
        self._done = True
        try:
            digest = hashlib.sha256(self._symbols.tobytes()).hexdigest()
            mark = self._path.resolve().with_name(f"{digest[:16]}.played")
            told = {"sha256": digest, "file": self._path.name, "session": self._who, "unix_time_s": time.time()}
            try:
                with open(mark, "x") as file:
                    file.write(json.dumps(told) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except FileExistsError:
                self._why = f"{self._path.name} was played before{_when(mark)}: bits sent twice are no key; store others"
        except OSError as error:
            self._why = f"it could not be noted that {self._path.name} is played: {error.strerror or error}"

    def blocked(self):
        """Why no key may be made of these choices, or None."""
        return self._why


def _when(mark):
    try:
        told = json.loads(mark.read_text())
        return time.strftime(", on %Y-%m-%d at %H:%M", time.localtime(told["unix_time_s"])) + f", by {told['session']}"
    except (OSError, ValueError, KeyError, TypeError):   # the mark counts, whatever it says
        return ""
