"""Privacy amplification by a Toeplitz matrix."""

import numpy as np

from qkdlab.benchmarks.measure import Case, Peer
from qkdlab.bits import Bits
from qkdlab.postprocessing.amplify import amplify

__all__ = ["cases"]

GOALS = {10**5: 60, 10**6: 20, 10**7: 20, 10**8: 20}
SIZES = {"quick": (10**5, 10**6), "normal": (10**5, 10**6, 10**7), "long": tuple(GOALS)}


def cases(size):
    """n bits to 0.3 n."""
    for n in SIZES[size]:
        rng, m = np.random.default_rng(n), 3 * n // 10
        key, seed = (rng.integers(0, 2, length, dtype=np.uint8) for length in (n, n + m - 1))
        packed = Bits.from_numpy(key), m, Bits.from_numpy(seed)
        peers = [Peer("scipy.fft", lambda key=key, m=m, seed=seed: lambda: by_fourier(key, m, seed))]
        if n <= 10**7:
            peers.insert(0, Peer("scipy.signal", lambda key=key, seed=seed: lambda: by_convolution(key, seed)))
        if n <= 10**6:
            peers.append(Peer("randextract", lambda key=key, m=m, seed=seed: by_randextract(key, m, seed)))
        if not np.array_equal(amplify(*packed).to_numpy(), by_fourier(key, m, seed)):
            raise AssertionError("two exact hashes of the same key differ")
        yield Case(f"Toeplitz hash, {n:.0e} bits".replace("e+0", "e"), "bits", n / 1e6,
                   lambda packed=packed: amplify(*packed), tuple(peers), goal_over=(GOALS[n], peers[0].name))


def by_convolution(key, seed):
    """scipy's own convolution by float64 Fourier transforms, rounded; 0 and 1 in arrays of bytes."""
    import scipy.signal

    product = scipy.signal.fftconvolve(seed.astype(float), key.astype(float), mode="valid")
    return np.rint(product).astype(np.int64).astype(np.uint8) & 1


def by_fourier(key, m, seed):
    """The same with transforms half as long."""
    import scipy.fft

    length = scipy.fft.next_fast_len(len(seed), real=True)       # what wraps around is not looked at
    spectrum = scipy.fft.rfft(seed.astype(float), length)
    spectrum *= scipy.fft.rfft(key.astype(float), length)
    product = scipy.fft.irfft(spectrum, length)
    return np.rint(product[len(key) - 1 : len(key) + m - 1]).astype(np.int64).astype(np.uint8) & 1


def by_randextract(key, m, seed):
    import galois
    import randextract

    field = galois.GF(2)
    extractor = randextract.RandomnessExtractor.create("toeplitz", input_length=len(key), output_length=m)
    key, seed = field(key), field(seed)
    return lambda: extractor.extract(key, seed)
