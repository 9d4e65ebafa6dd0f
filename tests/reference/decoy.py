import numpy as np


def tally(intensity, basis, error, out):
    known = intensity < out.shape[1]
    where = intensity[known].astype(int), basis[known].astype(int) & 1
    np.add.at(out[0], where, 1)
    np.add.at(out[1], where, (error[known] & 1).astype(np.int64))
