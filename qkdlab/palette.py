"""What the colours mean, on screen and on paper: one palette, and a second channel besides colour for each meaning.

The palette is that of Okabe and Ito, "Color Universal Design" (2008), made to be told apart by colour-blind readers.
Its four darker colours are used for lines: their contrast is at least 3:1 on white, and on a dark page once blue is
exchanged for its sky blue.
"""

__all__ = ["ABORT", "DETECTORS", "EXPECTED", "INTENSITIES", "PALETTE", "intensity_style"]

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


def intensity_style(index):
    """Colour, dash and marker of the intensity of this index (0 is the signal)."""
    return INTENSITIES[index % len(INTENSITIES)]
