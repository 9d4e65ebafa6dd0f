# cython: language_level=3
"""Which instruction path this processor can take."""

cdef extern from *:
    """
    static int qkd_cpu_path(void) {
    #if defined(__x86_64__) && defined(__GNUC__)
        __builtin_cpu_init();
        int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")
                && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt")
                && __builtin_cpu_supports("pclmul");
        int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
                && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq")
                && __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2")
                && __builtin_cpu_supports("avx512bitalg") && __builtin_cpu_supports("gfni")
                && __builtin_cpu_supports("vpclmulqdq");
        return avx512 ? 2 : avx2 ? 1 : 0;
    #else
        return 0;
    #endif
    }
    """
    int qkd_cpu_path() nogil


def supported():
    """Instruction paths of this processor, slowest first: a prefix of ('portable', 'avx2', 'avx512')."""
    return ("portable", "avx2", "avx512")[:qkd_cpu_path() + 1]
