"""The verdict in plain words: each of the ways in which a run can end, made by the simulator rather than by hand."""

import dataclasses

import pytest

from qkdlab import simulation
from qkdlab.datatypes import DistillSettings, ReceiverSettings, SourceSettings, TimeTags
from qkdlab.session import Session
from qkdlab.simulation import ChannelSettings, DetectorSettings, EveSettings
from qkdlab.verdict import compared, failed, judged

BRIGHT = {
    "source": SourceSettings(intensities=(0.5, 0.15, 0.001), probabilities=(0.5, 0.25, 0.25), key_basis_probability=0.7,
                             clock_hz=100e6),
    "channel": ChannelSettings(distance_km=5.0),
    "detectors": DetectorSettings(key_basis_probability=0.7),
}


class Other:
    """A link of which the session is told something untrue."""

    def __init__(self, link, **lies):
        self._link, self._lies = link, lies

    def blocks(self, *stretch):
        for tags in self._link.blocks(*stretch):
            seen = tags.channel != self._lies.get("silent")
            yield TimeTags(tags.time_ps[seen], tags.channel[seen])

    def __getattr__(self, name):
        return self._lies[name] if name in self._lies else getattr(self._link, name)


def report(seconds=0.25, lies=None, distill=None, **parts):
    link = simulation.simulate({**BRIGHT, **parts}, seed=5)
    return Session(Other(link, **lies) if lies else link, distill).run(seconds)


@pytest.fixture(scope="module")
def good():
    return report(0.5, distill=DistillSettings(eps_sec=1e-6))


def test_a_key(good):
    verdict = judged(good)
    assert verdict.outcome == "key" and f"{good['secret_bits']:,} bits" in verdict.headline
    assert "for study" in " ".join(verdict.why) and not verdict.checks
    near = judged(good, abort_qber=1.2 * good["qber_test"])
    assert "close to the limit" in near.checks[0]
    assert judged({**good, "bob_key_sha256": "x"}).outcome == "no key"


@pytest.mark.parametrize("words, lies, parts", [
    ("not one detection", None, {"detectors": DetectorSettings(efficiency=0.0, dark_rate_hz=0.0)}),
    ("pulses were not found", None, {"channel": ChannelSettings(distance_km=400.0)}),
    ("measures every pulse", None, {"eve": EveSettings(intercept_fraction=1.0)}),
    ("exchanged", {"receiver": ReceiverSettings(channels=(1, 0, 3, 2))}, {}),
    ("too short", None, {"channel": ChannelSettings(distance_km=60.0)}),
    ("saw almost nothing", {"silent": 1}, {}),
    ("The error rate is", None, {"channel": ChannelSettings(distance_km=5.0, misalignment=0.14)}),
])
def test_no_key(words, lies, parts):
    found = report(lies=lies, **parts)
    verdict = judged(found)
    assert verdict.outcome == "no key" and found["secret_bits"] == 0
    assert words in " ".join(verdict.why), (verdict, found["reason"])
    assert verdict.checks and all(c.endswith((".", "?")) for c in (*verdict.checks, *verdict.why, verdict.headline))


def test_losses_are_told(good):
    assert "lost 7 detections" in " ".join(judged({**good, "lost_tags": 7}).checks)
    many = judged({**good, "warnings": [f"w{i}" for i in range(9)]}).checks
    assert many == ("W0.", "W1.", "W2.", "There are 6 further warnings in the full report.")


def test_files_of_which_nothing_can_be_said():
    assert failed("x is damaged").why == ("X is damaged.",) and failed("x").outcome == "failed"
    assert failed("stopped short: no pulses").why and not failed("stopped before it began", stopped=True).checks


def test_beside_another_run(good):
    weaker = {**good, "secret_bits": good["secret_bits"] // 4, "qber_test": 1.5 * good["qber_test"], "qber_key": None}
    rows = {r["name"]: r for r in compared(weaker, good)}
    assert rows["secret key"]["words"].endswith("times, worse") and rows["jitter"]["words"] == "as before"
    assert rows["error rate, test basis"]["words"] == "50 % more, worse"
    assert rows["error rate, key basis"] == {"name": "error rate, key basis", "now": "\u2013",
                                             "before": f"{100 * good['qber_key']:.2f} %", "words": "only in one of the two"}
    assert dataclasses.is_dataclass(judged(good))
