import numpy as np

def symbols(
    key_words: np.ndarray, first_slot: int, basis_threshold: int, intensity_thresholds: np.ndarray, out: np.ndarray
) -> None: ...
def symbols_at(
    key_words: np.ndarray, slots: np.ndarray, basis_threshold: int, intensity_thresholds: np.ndarray, out: np.ndarray
) -> None: ...
