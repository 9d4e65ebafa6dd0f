"""How requests and replies are cut out of a stream of bytes.

A framing has ``encode(request) -> bytes`` and ``read(connection, deadline) -> reply``. Binary protocols of one device
have theirs in the device's own file.
"""

from qkdlab.instruments.errors import GarbledReply

__all__ = ["Block", "Bytes", "Fixed", "Line", "Message", "block"]


class Line:
    """Lines of text.

    Parameters
    ----------
    end : str
        What ends a line that we send.
    reply_end : str, optional
        What ends a line that the device sends: any one of these characters, blank lines are skipped; absent: LF, and
        a CR before it is dropped.
    """

    def __init__(self, end="\n", reply_end=""):
        self.end, self.reply_end = end.encode("ascii"), reply_end.encode("ascii")

    def encode(self, request):
        return request.encode("latin-1") + self.end

    def read(self, connection, deadline):
        if not self.reply_end:
            return connection.read_until(b"\n", deadline).rstrip(b"\r\n").decode("latin-1")
        while True:
            line = connection.read_until_any(self.reply_end, deadline).strip(self.reply_end)
            if line:
                return line.decode("latin-1")

    def is_blank(self, rest):
        """Whether leftover bytes say nothing: the second half of a CR LF."""
        return not rest.strip(self.reply_end or b"\r\n")


class Message:
    """One message of text each way, for transports that keep messages apart (ZeroMQ)."""

    def encode(self, request):
        return request.encode("latin-1")

    def read(self, connection, deadline):
        return connection.read_message(deadline).decode("latin-1")

    def is_blank(self, rest):
        return not rest


class Bytes(Message):
    """One message of bytes back (HTTP)."""

    def read(self, connection, deadline):
        return connection.read_message(deadline)


class Fixed:
    """Frames of `size` bytes each way."""

    def __init__(self, size):
        self.size = size

    def encode(self, request):
        return bytes(request)

    def read(self, connection, deadline):
        return connection.read_exactly(self.size, deadline)

    def is_blank(self, rest):
        return not rest


class Block(Line):
    """An IEEE 488.2 arbitrary block as the reply to a line: ``#<d><length><bytes>``, or ``#0<bytes>`` up to the line's
    end."""

    def read(self, connection, deadline):
        head = connection.read_exactly(2, deadline)
        if head[:1] != b"#" or not head[1:].isdigit():
            raise GarbledReply("a block of bytes was expected", reply=head)
        digits = int(head[1:])
        if not digits:
            return connection.read_until(b"\n", deadline)[:-1]
        length = connection.read_exactly(digits, deadline)
        if not length.isdigit():
            raise GarbledReply("a block of bytes with its length was expected", reply=head + length)
        data = connection.read_exactly(int(length), deadline)
        connection.read_until(b"\n", deadline)
        return data


def block(data):
    """`data` as an IEEE 488.2 definite-length block."""
    length = str(len(data)).encode("ascii")
    return b"#%d%s%s" % (len(length), length, bytes(data))
