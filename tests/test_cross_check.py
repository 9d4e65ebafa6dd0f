"""The cross-check page says what the code computes."""

import pathlib
import re

import numpy as np
import pytest
from links import EXAMPLE_A, EXAMPLE_B
from test_proofs_imperfections import lucamarini
from test_proofs_ma2005 import gys, gys_eta

from qkdlab import proofs
from qkdlab.datatypes import DecoyCounts
from qkdlab.proofs import bbm92, device_independent, ma2005
from qkdlab.proofs.crossing import last_positive
from qkdlab.proofs.photons import binary_entropy

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "cross-check.md"
DARK, EFFICIENCY, DRIFT = 1e-5, 0.2, 0.122782758757646                  # TNO's standard detector
Y0, E_DET = 1 - (1 - DARK) ** 2, np.sin(DRIFT) ** 2


@pytest.fixture(scope="module")
def rows():
    """Cells of every table row, by the row's first two cells (an empty first one repeats the one above)."""
    found, above = {}, ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("|") and not line.startswith("|---"):
            cells = [c.strip() for c in line.strip("|").split("|")]
            above = cells[0] or above
            found[above, cells[1]] = cells
    return found


def cell(rows, first, column, second=None):
    matches = [cells for (a, b), cells in rows.items()
               if a.startswith(first) and (second is None or b.startswith(second))]
    assert len(matches) == 1, (first, second, len(matches))
    return matches[0][column]


def numbers(text):
    return [float(x) for x in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def shown(text, *values):
    """Whether these values, rounded as the text has them, are its numbers."""
    printed = numbers(text)
    assert len(printed) == len(values), text
    for word, value in zip(re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text), values, strict=True):
        mantissa, _, exponent = word.partition("e")
        decimals = len(mantissa.partition(".")[2])
        scale = 10.0 ** int(exponent or 0)
        assert abs(float(word) - value) <= 0.5000001 * scale * 10.0**-decimals, (word, value)


def test_anchors(rows):
    best = ma2005.optimal_intensity(0.033, [1.22, 1.0])
    shown(cell(rows, "best signal intensity, GYS", 2), best[0])
    shown(cell(rows, "best signal intensity, f = 1", 2), best[1])
    reach = last_positive(lambda km: ma2005.infinite_decoys(0.48, gys_eta(km), 1.7e-6, 0.033, f_ec=1.22), 0, 300)
    shown(cell(rows, "reach with infinitely", 2), reach)
    assert gys(140.61, 0.05)[1].length > 0 == gys(140.63, 0.05)[1].length
    shown(cell(rows, "reach with a vacuum", 2), 140.62)
    shown(cell(rows, "tolerable error rate, BB84", 2), 100 * bbm92.threshold())
    shown(cell(rows, "tolerable error rate, device", 2), 100 * device_independent.threshold())


def test_trojan_horse_anchors(rows):
    def reach(photons, decoy):
        return last_positive(lambda km: lucamarini(km, photons, decoy), 0, 300)

    shown(cell(rows, "reach with a Trojan horse, single", 2), reach(0, False), reach(1e-2, False))
    shown(cell(rows, "reach with a Trojan horse, decoys", 2), reach(0, True), reach(1e-6, True))
    shown(cell(rows, "most photons out", 2), *(last_positive(lambda m, d=d: lucamarini(0.0, m, d), 0, 0.1)
                                               for d in (False, True)))


@pytest.mark.parametrize("name, sampling, document", [
    ("A", "gamma", EXAMPLE_A), ("A", "Serfling", EXAMPLE_A), ("A", "hypergeometric", EXAMPLE_A),
    ("B", "gamma", EXAMPLE_B), ("B", "Serfling", EXAMPLE_B), ("B by", "Serfling", {**EXAMPLE_B, "proof": "wiesemann2024"})])
def test_worked_examples(rows, name, sampling, document):
    result = proofs.keylength({**document, "sampling": sampling.lower()})
    cells = next(c for (a, b), c in rows.items() if (a == name or len(name) > 1 and a.startswith(name))
                 and b.startswith(sampling))
    for text, field in zip(cells[2:], ("s0", "s1", "phase_error", "leak_bits", "length"), strict=True):
        shown(text, result[field])


def eta(loss_db):
    return EFFICIENCY * 10 ** (-loss_db / 10)


def peer_channel(mu, loss_db):
    """Gain and error rate as TNO's program has them."""
    light = np.asarray(mu) * eta(loss_db)
    gain = 1 - (1 - DARK) ** 2 * np.exp(-light)
    wrong = (1 + (1 - DARK) * (np.exp(-light * np.cos(DRIFT) ** 2) - np.exp(-light * E_DET))
             - (1 - DARK) ** 2 * np.exp(-light)) / 2
    return gain, wrong / gain


@pytest.mark.parametrize("loss_db", [10, 25])
def test_endless_blocks_beside_the_other_library(rows, loss_db):
    where = f"{loss_db} dB"
    arm = eta(loss_db / 2)
    pairs = bbm92.rate(0.1, arm, arm, DARK, DARK, 0.0, q=1.0)
    shown(cell(rows, "BBM92", 3, where), pairs)
    assert numbers(cell(rows, "BBM92", 2, where))[0] == pytest.approx(pairs, rel=1e-9)
    many = ma2005.infinite_decoys(0.5, eta(loss_db), Y0, E_DET, q=1.0)
    shown(cell(rows, "BB84, infinitely", 3, where), many, many + np.exp(-0.5) * Y0)
    mu, p = np.array([0.5, 0.1, 0.001]), np.ones(3) / 3
    gain, error = peer_channel(mu, loss_db)
    bound = proofs.bound(counted(10**16 * np.outer(p, [0.5, 0.5]), gain, error), intensities=mu, probabilities=p,
                         proof="ma2005", eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0)
    two = (bound.signed_length + bound.s0) / (10**16 / 6)
    shown(cell(rows, "BB84, two decoys", 3, where), two)
    assert 0.999 < two / numbers(cell(rows, "BB84, two decoys", 2, where))[0] < 1


def counted(sent, gain, error):
    found = sent * gain[:, None]
    return DecoyCounts(*(np.rint(a).astype(np.int64) for a in (sent, found, found * error[:, None])))


@pytest.mark.parametrize("pulses", ["1e10", "1e12"])
@pytest.mark.parametrize("loss_db", [10, 25])
def test_finite_blocks_beside_the_other_library(rows, loss_db, pulses):
    cells = rows[f"{loss_db} dB", pulses]
    mu, p = np.array([0.5, 0.1, 0.001]), np.array([0.7, 0.2, 0.1])
    gain, error = peer_channel(mu, loss_db)
    counts = counted(float(pulses) * np.outer(p, [0.9, 0.1]), gain, error)
    for column, tails, sampling in ((3, "hoeffding", "serfling"), (4, "chernoff", "hypergeometric")):
        bound = proofs.bound(counts, intensities=mu, probabilities=p, eps_sec=1e-9, eps_cor=1e-15, f_ec=1.0,
                             tails=tails, sampling=sampling)
        shown(cells[column], bound.length / float(pulses))
    y1, e1 = ma2005.single_photons(eta(loss_db), Y0, E_DET)
    sent = 0.9 * p * np.exp(-mu)
    singles, found = (sent * mu).sum() * y1, 0.9 * (p * gain).sum()
    free = sent.sum() * Y0 + singles - found * binary_entropy(0.9 * (p * gain * error).sum() / found)
    shown(cells[5], free - singles * binary_entropy(e1))
    shown(cells[6], free)
    peer = numbers(cells[2])[0]
    assert peer < free and (peer > numbers(cells[5])[0]) is ((loss_db, pulses) != (25, "1e10"))
