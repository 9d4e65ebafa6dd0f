"""Any driver of QCoDeS behind one of our interfaces (extra ``qcodes``)."""

from qkdlab.errors import BadInput
from qkdlab.instruments.foreign import adapt, driver_class

__all__ = ["connect"]


def connect(address, *, driver, kind, parameters, methods=None, safe=None, arguments=None, **settings):
    """A device by its QCoDeS driver.

    Parameters
    ----------
    address : str
        As the driver takes it, with ``visa://`` before it or without.
    driver : str or class
        ``"qcodes.instrument_drivers.Keysight:Keysight33512B"``.
    kind, parameters, methods, safe, arguments, **settings
        As in :func:`qkdlab.instruments.pymeasure_adapter.connect`; an attribute names a parameter of the driver, of a
        submodule too (``"ch1.frequency"``). A unit that is not the driver's, where no ``scale`` turns one into the other,
        is refused.
    """
    resource = str(address).removeprefix("visa://")

    def make(_address):
        made = driver_class(driver, address)("qkdlab_" + "".join(c if c.isalnum() else "_" for c in resource), resource,
                                             **(arguments or {}))
        try:
            for name, entry in parameters.items():
                theirs = getattr(_parameter(made, entry["attribute"]), "unit", "")
                if theirs and theirs != entry["unit"] and "scale" not in entry:
                    raise BadInput(f"the driver gives it in {theirs}, not in {entry['unit']}: say the scale", where=address,
                                   field=name)
        except BaseException:
            made.close()
            raise
        return made

    verbs = {"make": make, "get": lambda device, name: _parameter(device, name).get(),
             "put": lambda device, name, value: _parameter(device, name).set(value), "ask_identity": _identity,
             "end": lambda device: device.close()}
    return adapt(address, kind, parameters, methods or {}, safe or {}, verbs, settings)


def _parameter(device, path):
    """The parameter at a dotted path."""
    for name in path.split("."):
        device = getattr(device, name)
    return device


def _identity(device):
    said = device.get_idn()
    return ",".join(str(said.get(part) or "") for part in ("vendor", "model", "serial", "firmware"))
