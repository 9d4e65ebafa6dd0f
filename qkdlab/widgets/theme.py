"""How the plots look on the page: a light and a dark theme over the one palette."""

from bokeh.themes import Theme

from qkdlab.palette import PALETTE

__all__ = ["DARK", "LIGHT", "dressed"]

_ON_DARK = {PALETTE["blue"]: PALETTE["sky"]}  # 2.9:1 on the dark page, sky blue has 6.6:1

_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"


def _theme(text, quiet, line, page):
    """A bokeh theme: transparent background, so that the page's own colour shows and no frame is seen."""
    font = {"text_font": _FONT, "text_color": text}
    axis = {
        "axis_label_text_font": _FONT, "axis_label_text_color": text, "axis_label_text_font_style": "normal",
        "axis_label_text_font_size": "13px", "major_label_text_font": _FONT, "major_label_text_color": text,
        "major_label_text_font_size": "12px", "axis_line_color": line, "major_tick_line_color": line,
        "minor_tick_line_color": None, "axis_label_standoff": 6,
    }
    return Theme(json={"attrs": {
        "Plot": {"background_fill_color": None, "border_fill_color": None, "outline_line_color": None},
        "Axis": axis,
        "Grid": {"grid_line_color": line, "grid_line_alpha": 0.35},
        "Title": font | {"text_font_size": "14px", "text_font_style": "bold"},
        "Label": font | {"text_font_size": "13px", "background_fill_color": page, "background_fill_alpha": 0.8},
        "Legend": {
            "label_text_font": _FONT, "label_text_color": text, "label_text_font_size": "12px", "label_height": 14,
            "background_fill_color": None, "border_line_color": None, "inactive_fill_color": page,
            "inactive_fill_alpha": 0.7, "glyph_width": 18, "glyph_height": 14, "padding": 0, "margin": 2,
            "spacing": 10, "label_standoff": 4,
        },
        "Span": {"line_color": quiet},
    }})


LIGHT = _theme(text="#212121", quiet="#616161", line="#bdbdbd", page="#ffffff")
DARK = _theme(text="#e8eaed", quiet="#a8adb3", line="#4d5257", page="#111111")


def dressed(item, dark):
    """A bokeh JSON item with the line colours of the page: on a dark page blue becomes sky blue."""
    if not dark:
        return item
    if isinstance(item, dict):
        return {key: dressed(value, dark) for key, value in item.items()}
    if isinstance(item, list):
        return [dressed(value, dark) for value in item]
    return _ON_DARK.get(item, item) if isinstance(item, str) else item
