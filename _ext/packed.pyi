import numpy as np

def differences(words: np.ndarray, at: int, order: int, base_bits: int, start: int, ticks: np.ndarray,
                base: np.ndarray) -> tuple[int, int, bool]: ...
