"""Controls made from a settings class: what a field declares (unit, range, choices, meaning) is what is shown."""

import dataclasses
import html
import math
import re
import types
import typing

import ipywidgets
import traitlets

from qkdlab.errors import BadInput

__all__ = ["SettingsPanel", "arranged"]


class SettingsPanel(traitlets.HasTraits):
    """Two-way controls of a settings object: ``panel.value`` follows the controls, the controls follow ``panel.value``.

    A combination that the settings class refuses is told in a line below the controls; ``value`` stays at the last one
    that it took.

    Parameters
    ----------
    settings : qkdlab.settings.Settings
        The first value.
    fields : sequence of str, optional
        Which fields to show, in this order; absent: all. One entry of a field that is a list is written
        ``"intensities.0"``.
    ranges : dict of str to (low, high), optional
        Ends of a slider, narrower than what the field allows. A number without two ends gets a box instead.
    log : sequence of str
        Fields whose slider is logarithmic.
    labels : dict of str to str, optional
        Other words for a field than its name.
    """

    value = traitlets.Any()
    disabled = traitlets.Bool(False)

    def __init__(self, settings, *, fields=None, ranges=None, log=(), labels=None):
        self._ranges, self._log, self._labels = ranges or {}, tuple(log), labels or {}
        self._kinds = typing.get_type_hints(type(settings))
        self._fields = {f.name: f for f in dataclasses.fields(settings)}
        self._following = False
        shown = fields if fields is not None else _paths(settings, self._fields)
        self.controls = {path: self._control(path, settings) for path in shown}
        self.message_line = ipywidgets.HTML()
        self.message_line.add_class("qk-message")
        self.view = ipywidgets.VBox([arranged(self.controls.values()), self.message_line])
        super().__init__(value=settings)
        for control in self.controls.values():
            control.observe(self._take, "value")

    def set(self, **changes):
        """Change some fields: ``panel.set(distance_km=40)``. Raises BadInput where the settings class refuses."""
        self.value = self.value.replace(**changes)

    @property
    def message(self):
        """Why the controls' present combination was not taken; empty where it was."""
        return html.unescape(re.sub("<[^>]*>", "", self.message_line.value))

    def _repr_mimebundle_(self, **options):
        return self.view._repr_mimebundle_(**options)

    # ------------------------------------------------------------------------------------------ controls <-> settings

    def _take(self, _change):
        if self._following:
            return
        changes = {}
        for path, control in self.controls.items():
            name, _, index = path.partition(".")
            if index:
                entries = list(changes.get(name, getattr(self.value, name)))
                entries[int(index)] = control.value
                changes[name] = tuple(entries)
            else:
                changes[name] = control.value
        try:
            taken = self.value.replace(**changes)
        except BadInput as error:
            self._say(str(error))
        else:
            self._say("")
            self.value = taken

    @traitlets.observe("value")
    def _follow(self, _change):
        self._following = True
        try:
            for path, control in self.controls.items():
                wanted = _look_up(self.value, path)
                if control.value != wanted and wanted is not None:
                    control.value = wanted
        finally:
            self._following = False
        self._say("")

    @traitlets.observe("disabled")
    def _switch(self, change):
        for control in self.controls.values():
            control.disabled = change["new"]

    def _say(self, text):
        self.message_line.value = f'<span role="alert">&#9888; {html.escape(text)}</span>' if text else ""
        self.message_line.layout.display = None if text else "none"

    # --------------------------------------------------------------------------------------------------- one control

    def _control(self, path, settings):
        name, _, index = path.partition(".")
        meta, kind = self._fields[name].metadata, _plain(self._kinds[name])
        if index:
            kind = typing.get_args(kind)[0]
        value = _look_up(settings, path)
        label = self._labels.get(path) or _label(name, meta.get("unit", ""))
        control = self._widget(path, kind, value, meta)
        control.description = label
        control.tooltip = " ".join(filter(None, [meta.get("help", ""), _range_words(meta)]))
        control.style.description_width = "112px"
        control.layout.width = "auto"
        control.add_class("qk-" + path.replace("_", "-").replace(".", "-"))
        return control

    def _widget(self, path, kind, value, meta):
        if meta.get("choices"):
            return ipywidgets.Dropdown(options=list(meta["choices"]), value=value)
        if kind is bool:
            return ipywidgets.Checkbox(value=value, indent=True)
        if kind in (int, float) and value is not None:
            low, high = self._ranges.get(path, (meta.get("low"), meta.get("high")))
            if low is None or high is None:
                return (ipywidgets.IntText if kind is int else ipywidgets.FloatText)(value=value)
            return _slider(kind, value, min(low, value), max(high, value), path in self._log)
        if kind is str:
            return ipywidgets.Text(value=value)
        raise TypeError(f"{path}: no control for a value of type {kind}; name its entries, or leave it out of `fields`")


def arranged(controls):
    """Controls side by side, as many as the page is wide enough for."""
    return ipywidgets.GridBox(list(controls), layout=ipywidgets.Layout(
        grid_template_columns="repeat(auto-fit, minmax(250px, 1fr))", grid_gap="0 16px", width="auto"))


def _slider(kind, value, low, high, log):
    if kind is int:
        return ipywidgets.IntSlider(value=value, min=low, max=high)
    if log:
        return ipywidgets.FloatLogSlider(value=value, min=math.log10(low), max=math.log10(high), step=0.01,
                                         readout_format=".3g")
    step = _round_step(high - low)
    return ipywidgets.FloatSlider(value=value, min=low, max=high, step=step,
                                  readout_format=f".{max(0, -math.floor(math.log10(step)))}f")


def _round_step(span):
    """A step of 1, 2 or 5 times a power of ten that divides a slider into some 200 parts."""
    power = 10.0 ** int(f"{span / 200:e}".split("e")[1])
    return next(m * power for m in (1, 2, 5, 10) if m * power >= span / 200 * 0.999)


def _paths(settings, fields):
    """Every field that a control can show; a list entry by entry."""
    for name in fields:
        value = getattr(settings, name)
        if isinstance(value, tuple):
            yield from (f"{name}.{i}" for i in range(len(value)))
        elif value is not None and not dataclasses.is_dataclass(value):
            yield name


def _look_up(settings, path):
    name, _, index = path.partition(".")
    value = getattr(settings, name)
    return value[int(index)] if index else value


def _plain(kind):
    """`X` for `X | None`."""
    if isinstance(kind, types.UnionType):
        return next(k for k in kind.__args__ if k is not type(None))
    return kind


def _label(name, unit):
    """'distance (km)' for distance_km in km."""
    words = name.split("_")
    if len(words) > 1 and words[-1].lower() == unit.lower():
        words.pop()
    return f"{' '.join(words)} ({unit})" if unit else " ".join(words)


def _range_words(meta):
    low, high = meta.get("low"), meta.get("high")
    unit = f" {meta['unit']}" if meta.get("unit") else ""
    if low is not None and high is not None:
        return f"({'above ' if meta.get('open_low') else ''}{low:g} to {high:g}{unit})"
    return ""
