"""What the tests of the lessons share: the signs of a checked answer, the notebooks' link, the data of a figure."""

from qkdlab.simulation import LinkModel

RIGHT, WRONG, OPEN = "&#10003;", "&#10007;", "&#9998;"
LINK = LinkModel(transmittance=0.8, dark_probability=1e-6, misalignment=0.01)


def data(live, name):
    """Columns of a named source of a live figure."""
    return live._layout.select_one({"name": name}).data
