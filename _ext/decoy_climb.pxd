# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
# The search for the settings that are worth most (header only, for decoy.pyx).
from decoy_worth cimport SETTINGS, Link, Price, usable, worth_of
from libc.math cimport exp, fabs
from libc.string cimport memcpy

cdef enum:
    FREE = 5                 # coordinates of the search


cdef inline void place_on(const double* x, double brightest, double weakest, double* settings) noexcept nogil:
    # Any five numbers to settings in order: weakest < mu2 < mu1 - weakest, probabilities that sum to 1, a basis.
    cdef double room = brightest - 2 * weakest, a = exp(x[2]), c = exp(x[3])
    settings[0] = 2 * weakest + room / (1 + exp(-x[0]))
    settings[1] = weakest + (settings[0] - 2 * weakest) / (1 + exp(-x[1]))
    settings[2] = weakest
    settings[3] = 1 / (1 + a + c)
    settings[4] = a / (1 + a + c)
    settings[5] = c / (1 + a + c)
    settings[6] = 1 / (1 + exp(-x[4]))


cdef inline double height_of(const double* x, double brightest, double weakest, const Link* link, double amount,
                             const Price* price) noexcept nogil:
    cdef double settings[SETTINGS]
    place_on(x, brightest, weakest, settings)
    return worth_of(settings, link, amount, price) if usable(settings) else -8e30


cdef inline Py_ssize_t climb_from(double* x, double* best, const double* step, double brightest, double weakest,
                                  const Link* link, double amount, const Price* price, Py_ssize_t most,
                                  double close) noexcept nogil:
    """Nelder and Mead, Comput. J. 7, 308 (1965), upwards, over the coordinates whose step is not 0."""
    cdef double corner[FREE + 1][FREE]
    cdef double height[FREE + 1]
    cdef double centre[FREE]
    cdef double trial[FREE]
    cdef double farther[FREE]
    cdef double h, h2
    cdef Py_ssize_t axis[FREE]
    cdef Py_ssize_t dims = 0, i, j, used, low, high, second
    for j in range(FREE):
        if step[j] != 0:
            axis[dims] = j
            dims += 1
    for i in range(dims + 1):
        memcpy(corner[i], x, FREE * sizeof(double))
        if i:
            corner[i][axis[i - 1]] += step[axis[i - 1]]
        height[i] = height_of(corner[i], brightest, weakest, link, amount, price)
    memcpy(trial, x, FREE * sizeof(double))
    memcpy(farther, x, FREE * sizeof(double))
    used = dims + 1
    while used < most:
        low, high = 0, 0
        for i in range(1, dims + 1):
            if height[i] < height[low]:
                low = i
            if height[i] > height[high]:
                high = i
        second = high
        for i in range(dims + 1):
            if i != low and height[i] < height[second]:
                second = i
        if height[high] - height[low] <= close * fabs(height[high]):
            break
        for j in range(dims):
            h = 0
            for i in range(dims + 1):
                if i != low:
                    h += corner[i][axis[j]]
            centre[j] = h / dims
            trial[axis[j]] = 2 * centre[j] - corner[low][axis[j]]
        h = height_of(trial, brightest, weakest, link, amount, price)
        used += 1
        if h > height[high]:
            for j in range(dims):
                farther[axis[j]] = 3 * centre[j] - 2 * corner[low][axis[j]]
            h2 = height_of(farther, brightest, weakest, link, amount, price)
            used += 1
            if h2 > h:
                memcpy(corner[low], farther, sizeof(farther))
                height[low] = h2
            else:
                memcpy(corner[low], trial, sizeof(trial))
                height[low] = h
            continue
        if h > height[second]:
            memcpy(corner[low], trial, sizeof(trial))
            height[low] = h
            continue
        for j in range(dims):
            if h > height[low]:
                farther[axis[j]] = 0.5 * centre[j] + 0.5 * trial[axis[j]]
            else:
                farther[axis[j]] = 0.5 * centre[j] + 0.5 * corner[low][axis[j]]
        h2 = height_of(farther, brightest, weakest, link, amount, price)
        used += 1
        if h2 > height[low] and h2 >= h:
            memcpy(corner[low], farther, sizeof(farther))
            height[low] = h2
            continue
        for i in range(dims + 1):
            if i != high:
                for j in range(dims):
                    corner[i][axis[j]] = 0.5 * (corner[i][axis[j]] + corner[high][axis[j]])
                height[i] = height_of(corner[i], brightest, weakest, link, amount, price)
        used += dims
    high = 0
    for i in range(1, dims + 1):
        if height[i] > height[high]:
            high = i
    best[0] = height[high]
    memcpy(x, corner[high], FREE * sizeof(double))
    return used
