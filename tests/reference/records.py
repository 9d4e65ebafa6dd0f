STATE = 6
OFFSET, OVERFLOWS, MARKERS, SYNCS, UNKNOWN, DTIMES = range(STATE)


def _decode(records, period, limit, state, read, outputs):
    """`read(record)` gives ("photon", values), ("overflow", count) or the item of `state` that counts this record."""
    photons = 0
    for used, record in enumerate(records.tolist()):
        what, value = read(record)
        if what == "photon":
            for output, item in zip(outputs, value, strict=True):
                output[photons] = item
            outputs[0][photons] += state[OFFSET]
            photons += 1
        elif what == "overflow":
            if int(state[OFFSET]) + value * period > limit:
                return used, photons
            state[OFFSET] += value * period
            state[OVERFLOWS] += 1
        else:
            state[what] += 1
    return len(records), photons


def hydraharp_t2(records, period, counted, limit, state, ticks, channel):
    def read(record):
        special, field, time = record >> 31, record >> 25 & 63, record & 0x1FFFFFF
        if not special:
            return "photon", (time, field)
        if field == 63:
            return "overflow", max(1, time) if counted else 1
        return (SYNCS if field == 0 else MARKERS if field <= 15 else UNKNOWN), None

    return _decode(records, period, limit, state, read, (ticks, channel))


def picoharp_t2(records, limit, state, ticks, channel):
    def read(record):
        if record >> 28 != 15:
            return "photon", (record & 0xFFFFFFF, record >> 28)
        return (MARKERS, None) if record & 15 else ("overflow", 1)

    return _decode(records, 210_698_240, limit, state, read, (ticks, channel))


def hydraharp_t3(records, counted, limit, state, nsync, dtime, channel):
    def read(record):
        special, field, time, sync = record >> 31, record >> 25 & 63, record >> 10 & 0x7FFF, record & 1023
        if not special:
            return "photon", (sync, time, field)
        if field == 63:
            return "overflow", max(1, sync) if counted else 1
        return (MARKERS if 1 <= field <= 15 else UNKNOWN), None

    used, photons = _decode(records, 1024, limit, state, read, (nsync, dtime, channel))
    state[DTIMES] += int(dtime[:photons].sum(dtype="int64"))
    return used, photons


def picoharp_t3(records, limit, state, nsync, dtime, channel):
    def read(record):
        if record >> 28 != 15:
            return "photon", (record & 0xFFFF, record >> 16 & 0xFFF, record >> 28)
        return (MARKERS, None) if record >> 16 & 0xFFF else ("overflow", 1)

    used, photons = _decode(records, 65536, limit, state, read, (nsync, dtime, channel))
    state[DTIMES] += int(dtime[:photons].sum(dtype="int64"))
    return used, photons


def encode_t2(ticks, channel, state, records):
    written = 0
    for tick, field in zip(ticks.tolist(), channel.tolist(), strict=True):
        count, time = divmod(tick - int(state[OFFSET]), 1 << 25)
        state[OFFSET] += count << 25
        while count:
            step = min(count, (1 << 25) - 1)
            records[written] = 1 << 31 | 63 << 25 | step
            count -= step
            written += 1
            state[OVERFLOWS] += 1
        records[written] = field << 25 | time
        written += 1
    return written
