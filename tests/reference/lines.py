"""Lines of whole numbers in plain Python."""

import re

import numpy as np

DECIMAL, HEXADECIMAL = re.compile(rb"-?[0-9]+"), re.compile(rb"[0-9a-fA-F]{1,16}")


def table(text, hexadecimal, columns, values):
    used = lines = rows = 0
    for line in bytes(text).split(b"\n")[:-1]:
        words = [word for word in re.split(rb"[ \t\r,;]", line) if word]
        if words:
            if rows == len(values) // columns:
                return used, lines, rows, False
            fine = len(words) == columns and all((HEXADECIMAL if hexadecimal else DECIMAL).fullmatch(w) for w in words)
            numbers = [int(w, 16 if hexadecimal else 10) for w in words] if fine else []
            if not fine or not hexadecimal and any(not -(2**63) <= n < 2**63 for n in numbers):
                return used, lines, rows, True
            values[rows * columns : (rows + 1) * columns] = np.array([n % 2**64 for n in numbers], np.uint64).view(np.int64)
            rows += 1
        used += len(line) + 1
        lines += 1
    return used, lines, rows, False
