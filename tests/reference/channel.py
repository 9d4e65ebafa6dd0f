import numpy as np


def detect(time_ps, detector, until_ps, dead_time_ps, delay_ps, last_ps, pending_ps, pending_detector, n_pending,
           out_ps, out_detector, out_origin):
    """The pending afterpulses are kept in a sorted list here, and written back in order (which is a heap)."""
    pending = sorted(zip(pending_ps[:n_pending].tolist(), pending_detector[:n_pending].tolist(), strict=True))
    used = clicks = 0
    done = False
    while clicks < len(delay_ps) and len(pending) < len(pending_ps):
        candidates = [(time_ps[used], 0)] if used < len(time_ps) else []
        candidates += [(pending[0][0], 1)] if pending else []
        if not candidates or min(candidates)[0] >= until_ps:
            done = True
            break
        now, is_afterpulse = min(candidates)
        if is_afterpulse:
            d, origin = pending.pop(0)[1], -1
        else:
            d, origin = detector[used], used
            used += 1
        if now - last_ps[d] < dead_time_ps:
            continue
        last_ps[d] = out_ps[clicks] = now
        out_detector[clicks], out_origin[clicks] = d, origin
        if delay_ps[clicks] >= 0:
            pending = sorted([*pending, (int(now + dead_time_ps + delay_ps[clicks]), int(d))])
        clicks += 1
    pending_ps[: len(pending)] = np.array([t for t, _ in pending], np.int64)
    pending_detector[: len(pending)] = np.array([d for _, d in pending], np.uint8)
    return used, len(pending), clicks, done
