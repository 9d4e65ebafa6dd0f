"""``qkdlab bench-check``: a dry run of a bench file. Each device tells who it is; nothing is switched on."""

from . import bench_file
from .bench import Bench

__all__ = ["as_text", "check"]


def check(path=None, *, simulate=None):
    """Connect the devices of a bench file one by one, ask who they are and what they allow, and let them go.

    What the file sets at the opening (``settings``) is set; what a session sets (``session``: light on) is only checked.

    Returns
    -------
    dict
        ``file, simulated, ok, tagger, devices``; of each device ``name, driver, address, identity, limits`` (setting to
        [low, high, unit]) and ``error`` (None: all is well).

    Raises
    ------
    BadInput
        Where the file itself is wrong.
    """
    file, failed = bench_file.read(path), {}
    with Bench(file, simulate=simulate, session="bench-check", _failed=failed) as bench:
        rows = [_row(bench, name, entry, failed.get(name)) for name, entry in file.devices.items()]
        return {"file": str(file.path), "simulated": bench.simulated, "ok": not failed, "devices": rows}


def _row(bench, name, entry, error):
    device = bench.devices.get(name)
    row = {"name": name, "driver": entry.driver, "address": device.address if device else entry.address,
           "identity": device.identity() if device else None, "limits": {}, "error": error}
    for setting, p in (device.parameters() if device else {}).items():
        if p.set is not None and p.limits(device) != (None, None):
            row["limits"][setting] = [*p.limits(device), p.unit]
    return row


def as_text(report):
    """The report of :func:`check` in lines."""
    width = max(len(row["name"]) for row in report["devices"])
    lines = [f"{report['file']}: {'simulated devices' if report['simulated'] else 'devices'}"]
    for row in report["devices"]:
        lines.append(f"  {row['name']:<{width}}  {row['identity'] or 'FAILED: ' + row['error']}")
        for setting, (low, high, unit) in row["limits"].items():
            span = f"at most {high:g}" if low is None else f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
            lines.append(f"  {'':<{width}}    {setting}: {span} {unit}".rstrip())
    missing = sum(row["error"] is not None for row in report["devices"])
    return "\n".join([*lines, "all devices answer" if not missing else f"{missing} of {len(report['devices'])} failed"])
