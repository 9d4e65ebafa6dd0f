# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Lines of whole numbers, as text, to integers in one pass."""
from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum:
    TAB = 9
    LINE_END = 10
    RETURN = 13
    SPACE = 32
    COMMA = 44
    MINUS = 45
    SEMICOLON = 59

cdef enum:
    DONE = 0                       # the text ends, between two lines or inside one, or there is no room for more
    BAD = 1                        # the next line is not the expected number of integers


cdef inline int _digit(uint8_t c) noexcept nogil:
    # Value of a hexadecimal digit; 16 and more: none.
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    if 97 <= c <= 102:
        return c - 87
    return 99


cdef inline bint _between(uint8_t c) noexcept nogil:
    return c == SPACE or c == COMMA or c == SEMICOLON or c == TAB or c == RETURN


cdef inline Py_ssize_t _decimal(const uint8_t* text, Py_ssize_t i, int64_t* value) noexcept nogil:
    # Offset behind a decimal int64 that begins at i, or -1.
    cdef bint minus = text[i] == MINUS
    cdef uint64_t number = 0, most = (<uint64_t>1 << 63) - (not minus)
    cdef Py_ssize_t start
    cdef int digit
    i += minus
    start = i
    while True:
        digit = _digit(text[i])
        if digit > 9:
            break
        # 18 digits are far below 2^63: only longer numbers can pass it.
        if i - start >= 18 and (number > most // 10 or 10 * number > most - digit):
            return -1
        number = 10 * number + digit
        i += 1
    if i == start:
        return -1
    value[0] = <int64_t>(0 - number if minus else number)
    return i


cdef inline Py_ssize_t _hexadecimal(const uint8_t* text, Py_ssize_t i, int64_t* value) noexcept nogil:
    # Offset behind 1 to 16 hexadecimal digits that begin at i, or -1.
    cdef uint64_t number = 0
    cdef Py_ssize_t start = i
    cdef int digit
    while True:
        digit = _digit(text[i])
        if digit > 15:
            break
        number = number << 4 | <uint64_t>digit
        i += 1
    if i == start or i - start > 16:
        return -1
    value[0] = <int64_t>number
    return i


cdef Py_ssize_t _table(const uint8_t* text, Py_ssize_t last_end, bint hexadecimal, Py_ssize_t columns, int64_t* values,
                       Py_ssize_t room, Py_ssize_t* used, Py_ssize_t* lines, int* state) noexcept nogil:
    # Number of rows. last_end: offset of the last line end, at which every scan stops at the latest.
    cdef Py_ssize_t i = 0, rows = 0, column
    while i <= last_end:
        column = 0
        while True:
            while _between(text[i]):
                i += 1
            if text[i] == LINE_END:
                break
            if column == columns:
                state[0] = BAD
                return rows
            if rows == room:
                return rows
            if hexadecimal:
                i = _hexadecimal(text, i, values + rows * columns + column)
            else:
                i = _decimal(text, i, values + rows * columns + column)
            if i < 0 or not (_between(text[i]) or text[i] == LINE_END):
                state[0] = BAD
                return rows
            column += 1
        if column != 0 and column != columns:
            state[0] = BAD
            return rows
        i += 1
        rows += column != 0
        lines[0] += 1
        used[0] = i
    return rows


def table(const uint8_t[::1] text, bint hexadecimal, Py_ssize_t columns, int64_t[::1] values):
    """Whole lines of `columns` integers each, parted by spaces, tabs, commas or semicolons; empty lines are passed over.

    Decimal: int64, with a minus sign or without. Hexadecimal: 1 to 16 digits, the bits of an int64. Returns
    (used, lines, rows, bad): bytes and lines read over, rows found, and whether the line at ``used`` is not like that.
    It stops before a line that has no end yet, and where `values` is full.
    """
    cdef Py_ssize_t used = 0, lines = 0, rows = 0, last_end = text.shape[0] - 1
    cdef int state = DONE
    if columns < 1:
        raise ValueError(f"at least one column is expected, got {columns}")
    while last_end >= 0 and text[last_end] != LINE_END:
        last_end -= 1
    if last_end >= 0:
        with nogil:
            rows = _table(&text[0], last_end, hexadecimal, columns, &values[0] if values.shape[0] else NULL,
                          values.shape[0] // columns, &used, &lines, &state)
    return used, lines, rows, state == BAD
