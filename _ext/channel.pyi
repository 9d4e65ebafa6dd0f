import numpy as np

def detect(
    time_ps: np.ndarray,
    detector: np.ndarray,
    until_ps: int,
    dead_time_ps: int,
    delay_ps: np.ndarray,
    last_ps: np.ndarray,
    pending_ps: np.ndarray,
    pending_detector: np.ndarray,
    n_pending: int,
    out_ps: np.ndarray,
    out_detector: np.ndarray,
    out_origin: np.ndarray,
) -> tuple[int, int, int, bool]: ...
