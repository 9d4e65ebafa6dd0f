"""What can go wrong between a driver and its device. A refused setting is :class:`qkdlab.errors.BadInput` instead."""

__all__ = ["DeviceError", "GarbledReply", "InstrumentDisconnected", "InstrumentError", "InstrumentInUse",
           "InstrumentTimeout"]


class InstrumentError(Exception):
    """Something failed at a device.

    Parameters
    ----------
    why : str
        What happened and what to do, in one line.
    device : str, optional
        The device's name or address.
    """

    def __init__(self, why, *, device=""):
        self.why, self.device = why, str(device)
        super().__init__(why)

    def __str__(self):
        return f"{self.device}: {self.why}" if self.device else self.why


class InstrumentTimeout(InstrumentError):
    """The device did not answer in time. The connection was given up, so that a late answer is never read."""


class InstrumentDisconnected(InstrumentError):
    """There is nobody at the address, or the connection broke."""


class InstrumentInUse(InstrumentError):
    """Another session holds the device; ``holder`` is its name."""

    def __init__(self, why, *, device="", holder=""):
        super().__init__(why, device=device)
        self.holder = holder


class DeviceError(InstrumentError):
    """The device refused, or answered something that makes no sense; ``reply`` is what it said."""

    def __init__(self, why, *, device="", reply=None):
        super().__init__(f"{why} (it said {str(reply)[:80]!r})" if reply is not None else why, device=device)
        self.reply = reply


class GarbledReply(DeviceError):
    """A reply whose frame or checksum is wrong. The connection was given up."""
