"""A report as text."""

__all__ = ["short", "table"]


def table(report):
    """The ratio table of a report of :func:`qkdlab.benchmarks.run`, with the machine and the versions."""
    machine = report["machine"]
    lines = [f"{machine['processor']}, {machine['cores']} cores, {machine['system']}, {machine['instructions']} kernels, "
             f"load {machine['load']}",
             ", ".join(f"{name} {version}" for name, version in report["versions"].items()),
             "CPU time of one thread, medians of turns taken with the peers.", ""]
    rows = [("", "million a second", "times as fast as", "goal")]
    rows += [(row["name"], f"{short(row['rate'])} {row['unit']}", _beside(row), _goals(row)) for row in report["rows"]]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines += ["  ".join(part.ljust(width) for part, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows]
    notes = [f"{row['name']}: " + ", ".join(f"{name} {_fact(value)}" for name, value in row["facts"].items())
             for row in report["rows"] if row["facts"]]
    return "\n".join(lines + [""] + notes)


def _beside(row):
    return ", ".join(f"{name}: {peer['missing']}" if "missing" in peer else f"{name} {short(peer['ratio'])}"
                     for name, peer in row["peers"].items())


def _goals(row):
    goals = []
    if row["goal"] is not None:
        goals.append(f"{short(row['goal'])}: {_share(row['rate'] / row['goal'])}")
    if row["goal_over"] is not None:
        ratio, name = row["goal_over"]
        measured = row["peers"].get(name, {}).get("ratio")
        goals.append(f"{short(ratio)} x {name}" + (f": {_share(measured / ratio)}" if measured else ""))
    return ", ".join(goals)


def _share(part):
    return "reached" if part >= 1 else f"{100 * part:.0f}% of it"


def _fact(value):
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_fact(part)}" for name, part in value.items()) + ")"
    return "-" if value is None else str(value)


def short(value):
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
