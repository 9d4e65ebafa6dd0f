"""How the plots look: one palette, a light and a dark theme, and a second channel besides colour for each meaning.

The palette is that of Okabe and Ito, "Color Universal Design" (2008), made to be told apart by colour-blind readers.
Its four darker colours are used for lines: their contrast is at least 3:1 on white, and on the dark page once blue is
exchanged for its sky blue.
"""

from bokeh.themes import Theme

__all__ = ["ABORT", "DARK", "DETECTORS", "EXPECTED", "INTENSITIES", "LIGHT", "PALETTE", "dressed", "intensity_style"]

PALETTE = {
    "blue": "#0072B2", "vermillion": "#D55E00", "green": "#009E73", "purple": "#CC79A7",
    "sky": "#56B4E9", "orange": "#E69F00", "yellow": "#F0E442", "grey": "#808080",
}
ABORT = PALETTE["vermillion"]                 # the line above which a block is given up
EXPECTED = "dashed"                           # a model's curve beside the measured one

# colour says the intensity, and so do dash and marker
INTENSITIES = (
    {"color": PALETTE["blue"], "dash": "solid", "marker": "circle"},
    {"color": PALETTE["vermillion"], "dash": "dashed", "marker": "square"},
    {"color": PALETTE["green"], "dash": "dotted", "marker": "triangle"},
    {"color": PALETTE["purple"], "dash": "dotdash", "marker": "diamond"},
)
# colour says the basis, dash says the bit
DETECTORS = (
    {"name": "key 0", "color": PALETTE["blue"], "dash": "solid"},
    {"name": "key 1", "color": PALETTE["blue"], "dash": "dashed"},
    {"name": "test 0", "color": PALETTE["vermillion"], "dash": "solid"},
    {"name": "test 1", "color": PALETTE["vermillion"], "dash": "dashed"},
)
_ON_DARK = {PALETTE["blue"]: PALETTE["sky"]}  # 2.9:1 on the dark page, sky blue has 6.6:1

_FONT = "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"


def intensity_style(index):
    """Colour, dash and marker of the intensity of this index (0 is the signal)."""
    return INTENSITIES[index % len(INTENSITIES)]


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
            "inactive_fill_alpha": 0.7, "glyph_width": 22, "glyph_height": 14, "padding": 0, "margin": 2,
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
