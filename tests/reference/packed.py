"""Packed time differences in plain Python, on a string of bits."""


def differences(words, at, order, base_bits, start, ticks, base):
    bits, events, room = "".join(f"{int(word):032b}" for word in words), 0, min(len(ticks), len(base))
    while events < room and at + order + base_bits <= len(bits):
        i = at + order
        step = int(bits[at:i], 2)
        if step == 1:
            return i + base_bits, events, True
        if step == 0:
            if i + 32 + base_bits > len(bits):
                break
            step = int(bits[i : i + 32], 2)
            i += 32
        start += step
        ticks[events], base[events] = start, int(bits[i : i + base_bits] or "0", 2)
        events += 1
        at = i + base_bits
    return at, events, False
