import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from reference import lines as reference

PIECES = ["1", "-1", "0", "007", "-", "--1", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
          "-9223372036854775809", "99999999999999999999999", "000000000000000000000000000012", "1.5", "nan", "abcdef01",
          "FFFFFFFFFFFFFFFF", "10000000000000000", "0x1", "g", ",", ";", " ", "\t", "\r", "\r\n", "\n", "\n", "\n", "\0",
          "\xff"]


def both(kernel, text, hexadecimal, columns, room):
    found = []
    for module in kernel("lines"), reference:
        values = np.zeros(room, np.int64)
        told = module.table(np.frombuffer(text, np.uint8), hexadecimal, columns, values)
        found.append((*told, values[: told[2] * columns].tolist()))
    assert found[0] == found[1]
    return found[0]


def test_a_table(kernel):
    used, lines, rows, bad, values = both(kernel, b"1,2\n\n 3 ;4\r\n-5\t6\n7,", False, 2, 100)
    assert (used, lines, rows, bad) == (17, 4, 3, False) and values == [1, 2, 3, 4, -5, 6]
    assert both(kernel, b"1,2\n3,4\n", False, 2, 2)[:4] == (4, 1, 1, False)
    assert both(kernel, b"1,2\n3\n", False, 2, 9)[:4] == (4, 1, 1, True)
    assert both(kernel, b"ffffffffffffffff\n", True, 1, 9)[4] == [-1]
    assert both(kernel, b"", False, 1, 0)[:3] == (0, 0, 0)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 5000])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_any_numbers(kernel, n, columns):
    numbers = np.random.default_rng(n).integers(-(2**63), 2**63, (n, columns)) >> np.arange(n)[:, None] % 63
    text = "".join(",".join(map(str, row)) + "\n" for row in numbers.tolist()).encode()
    assert both(kernel, text, False, columns, n * columns) == (len(text), n, n, False, numbers.ravel().tolist())
    text = "".join(" ".join(f"{v % 2**64:x}" for v in row) + "\n" for row in numbers.tolist()).encode()
    assert both(kernel, text, True, columns, n * columns) == (len(text), n, n, False, numbers.ravel().tolist())


@hypothesis.settings(max_examples=300, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(pieces=st.lists(st.sampled_from(PIECES), max_size=25), hexadecimal=st.booleans(),
                  columns=st.integers(1, 3), room=st.integers(0, 12))
def test_any_text(kernel, pieces, hexadecimal, columns, room):
    both(kernel, "".join(pieces).encode("latin-1"), hexadecimal, columns, room)


def test_no_columns(kernel):
    with pytest.raises(ValueError, match="column"):
        kernel("lines").table(np.zeros(3, np.uint8), False, 0, np.zeros(3, np.int64))
