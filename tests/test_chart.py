import re
import xml.etree.ElementTree as ET

import pytest

from qkdlab.chart import line_chart


def points(svg):
    return [[tuple(map(float, p.split(","))) for p in line.get("points").split()]
            for line in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}polyline")]


def test_lines_go_where_the_values_are():
    (line,) = points(line_chart({"a": [(2, 30), (0, 10), (1, 20)]}))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x0 < x1 < x2 and x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 > y1 > y2 and y0 - y1 == pytest.approx(y1 - y2, abs=0.2)      # upwards is less in SVG


def test_decades_are_equally_far():
    (line,) = points(line_chart({"a": [(0, 1e3), (1, 1e5), (2, 1e7)]}, log_y=True))
    ys = [y for _, y in line]
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2) and ys[0] > ys[2]


def test_what_cannot_be_shown_makes_a_gap():
    lines = points(line_chart({"a": [(0, 5), (1, 0), (2, 7), (3, None), (4, float("nan")), (5, 9)]}, log_y=True))
    assert [len(line) for line in lines] == [1, 1, 1]


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": [(1, None)]}, {"a": [(1, 1)]}, {"a": [(0, 0), (0, 0)]},
                                   {"<&>": [(-1e9, 1e-12), (1e9, 1e12)]}])
@pytest.mark.parametrize("log_y", [False, True])
def test_any_values_make_a_picture(lines, log_y):
    svg = line_chart(lines, title="<t>", x_label="&", y_label="y", log_y=log_y)
    ET.fromstring(svg)
    assert "nan" not in svg and not re.search(r"\binf\b", svg)
