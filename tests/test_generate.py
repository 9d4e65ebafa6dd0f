"""Labelled recordings: the truth agrees with what a distillation counts, and what it says is what went wrong."""

import json

import numpy as np
import pytest

import qkdlab
from qkdlab import datasets
from qkdlab.cli import main
from qkdlab.datasets.catalogue import CATALOGUE, SETTINGS, make
from qkdlab.datasets.faults import ADDED, FAULTS, Fault, fault, menu
from qkdlab.datasets.generate import COLUMNS, generate, read_truth, truth_path
from qkdlab.datatypes import TimeTags
from qkdlab.errors import BadInput
from qkdlab.parties import replayed
from qkdlab.postprocessing.characterise import characterise
from qkdlab.postprocessing.synchronise import synchronise
from qkdlab.simulation.detectors import AFTERPULSE, DARK, EVE, SIGNAL


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return make(tmp_path_factory.mktemp("catalogue") / "made")


@pytest.fixture(scope="module")
def reports(catalogue):
    return {name: qkdlab.Session(qkdlab.open(made.path)).run() for name, made in catalogue.items()}


@pytest.fixture(scope="module")
def truths(catalogue):
    return {name: read_truth(made.path) for name, made in catalogue.items()}


def size(path):
    return sum(f.stat().st_size for f in path.iterdir()) if path.is_dir() else path.stat().st_size


def all_tags(path):
    blocks = list(qkdlab.open(path).tag_blocks())
    return TimeTags(*(np.concatenate([getattr(b, name) for b in blocks]) for name in ("time_ps", "channel")))


def clicks_of(path):
    """Bob's clicks as a distillation of this recording makes them, double clicks included."""
    run = qkdlab.open(path)
    draw = replayed(run.public_seed)(16, "double clicks")
    rng = np.random.Generator(np.random.Philox(int.from_bytes(draw, "little")))
    return synchronise(run.tag_blocks(), run.source, run.sync, run.receiver, rng)[0]


def by_slot(truth, slots):
    """Rows of the truth for these slots; each must be there."""
    known, row = np.unique(truth["slot"], return_index=True)
    at = np.searchsorted(known, slots)
    assert np.array_equal(known[np.minimum(at, len(known) - 1)], slots)
    return {name: truth[name][row[at]] for name in COLUMNS}


# ------------------------------------------------------------------------------------------------------ the catalogue


@pytest.mark.parametrize("name", CATALOGUE)
def test_small_and_labelled(name, catalogue, truths):
    made, truth = catalogue[name], truths[name]
    assert size(made.path) + made.truth.stat().st_size < 2_000_000
    assert {len(truth[column]) for column in COLUMNS} == {made.tags} and "truth" in made.truth.name
    assert {f["fault"] for f in truth["faults"]} == {given.partition(":")[0] for given in CATALOGUE[name].faults}


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_distill_says(name, reports):
    entry, report = CATALOGUE[name], reports[name]
    assert bool(report["secret_bits"]) == entry.key, report["reason"]
    assert (report["reason"] is None) == entry.key
    words = " ".join([report["reason"] or "", *report["warnings"]])
    assert entry.says in words
    if entry.key:
        assert report["alice_key_sha256"] == report["bob_key_sha256"]
    else:
        assert report["alice_key_sha256"] is None and entry.says in report["reason"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_bound_never_exceeds_the_truth(name, reports, truths):
    """Among the clicks of a distillation, those from slots in which Alice emitted one photon, or none."""
    bound, truth = reports[name]["bound"], truths[name]
    key = (truth["slot"] >= 0) & (truth["basis"] == 0)
    assert (bound["s1"] or 0) <= np.sum(key & (truth["photons"] == 1))
    assert (bound["s0"] or 0) <= np.sum(key & (truth["photons"] == 0))
    # single photons alone, in matching bases, bound the key
    assert reports[name]["secret_bits"] <= np.sum(key & (truth["photons"] <= 1))


@pytest.mark.parametrize("name", [n for n in CATALOGUE if n not in ("swapped-channels", "truncated")])
def test_counts_are_those_of_the_truth(name, catalogue, reports, truths):
    clicks = clicks_of(catalogue[name].path)
    assert len(clicks) == reports[name]["clicks"]
    rows = by_slot(truths[name], clicks.slot)
    same = rows["basis"] == clicks.basis
    counted = np.zeros((3, 2), np.int64)
    np.add.at(counted, (rows["intensity"][same], clicks.basis[same]), 1)
    assert np.array_equal(counted, reports[name]["counts"]["clicks"])
    test = same & (clicks.basis == 1)
    wrong = np.bincount(rows["intensity"][test & (rows["bit"] != clicks.outcome)], minlength=3)
    assert np.array_equal(wrong, np.array(reports[name]["counts"]["errors"])[:, 1])
    single = np.sum(same & (clicks.basis == 0) & (rows["photons"] == 1))
    assert (reports[name]["bound"]["s1"] or 0) <= single
    assert len(clicks) > 0.85 * np.sum(np.isin(truths[name]["origin"], (SIGNAL, EVE)))


def test_origins(truths):
    clean = truths["clean"]["origin"]
    assert set(clean) == {SIGNAL, DARK, AFTERPULSE}
    assert abs(np.sum(clean == AFTERPULSE) / len(clean) - 0.01) < 0.002
    assert abs(np.sum(clean == DARK) - 4 * 100 * 0.4) < 70
    for name in ("intercept-resend", "photon-number-splitting", "faked-states"):
        origin = truths[name]["origin"]
        assert EVE in origin and SIGNAL not in origin
    assert ADDED in truths["gaps-and-doubles"]["origin"]
    assert not np.any(truths["photon-number-splitting"]["photons"][truths["photon-number-splitting"]["origin"] == EVE] < 2)


def test_photons_follow_poisson(truths):
    """Given a detection, the emitted number is one plus a Poisson number of the rest, to first order in the loss."""
    truth = truths["clean"]
    signal = (truth["origin"] == SIGNAL) & (truth["intensity"] == 0)
    n = truth["photons"][signal]
    law = 0.5 ** (n.astype(int) - 1) * np.exp(-0.5) / np.array([1, 1, 1, 2, 6, 24, 120, 720, 5040])[n]
    assert law.min() > 0
    for k in (1, 2, 3):
        share = 0.5 ** (k - 1) * np.exp(-0.5) / [1, 1, 2][k - 1]
        assert abs(np.mean(n == k) - share) < 5 * np.sqrt(share / len(n)) + 0.01


def test_photon_number_splitting_is_seen_in_the_gains(truths, reports):
    clean, split = (np.array(reports[n]["counts"]["clicks"])[:, 0] for n in ("clean", "photon-number-splitting"))
    assert abs(split[0] / clean[0] - 1) < 0.03 and split[1] / clean[1] < 0.45
    assert reports["photon-number-splitting"]["qber_test"] < 0.03


def test_characterise_sees_saturation(catalogue, truths):
    table = characterise(qkdlab.open(catalogue["saturation"].path).tag_blocks())
    assert abs(table["dead_time_ps"] / 4e6 - 1) < 0.01 and table["dead_share"] > 0.3
    doubled = characterise(qkdlab.open(catalogue["gaps-and-doubles"].path).tag_blocks())
    assert doubled["stray_gaps"] > 300


def test_the_same_seed_makes_the_same(catalogue, tmp_path):
    again = make(tmp_path, ["clock-jump"])["clock-jump"]
    other = make(tmp_path / "other", ["clock-jump"], seed=1)["clock-jump"]
    assert np.array_equal(all_tags(again.path).time_ps, all_tags(catalogue["clock-jump"].path).time_ps)
    assert not np.array_equal(all_tags(again.path).time_ps[:50], all_tags(other.path).time_ps[:50])
    with pytest.raises(BadInput, match="exists already"):
        make(tmp_path, ["clock-jump"])
    with pytest.raises(BadInput, match="did you mean 'clock-jump'"):
        make(tmp_path, ["clock-jumps"])


# ------------------------------------------------------------------------------------------------------ single faults


def small(tmp_path, *faults, seconds=0.05, seed=1, name="x.h5", **more):
    made = generate(tmp_path / name, seconds=seconds, seed=seed, faults=faults, settings=SETTINGS, **more)
    return all_tags(made.path), read_truth(made.path), made


def test_truth_of_each_tag(tmp_path):
    tags, truth, made = small(tmp_path)
    run = qkdlab.open(made.path)
    signal = truth["origin"] == SIGNAL
    slots = truth["slot"][signal]
    assert np.array_equal(run.choices.at(slots),
                          truth["bit"][signal] | truth["basis"][signal] << 1 | truth["intensity"][signal] << 2)
    arrival = tags.time_ps[signal] - SETTINGS["clock"].offset_ps - slots * 10_000 * (1 + 4.7e-6)
    delay = np.array(SETTINGS["detectors"].delay_ps)[tags.channel[signal]]
    assert np.abs(arrival - delay).max() < 600 and abs(np.std(arrival - delay) - 60) < 5
    noise = ~signal & (truth["slot"] >= 0)
    arrival = tags.time_ps[noise] - SETTINGS["clock"].offset_ps - truth["slot"][noise] * 10_000 * (1 + 4.7e-6)
    assert np.abs(arrival).max() < 5_100 and np.abs(arrival).max() > 4_000


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_alone(name, tmp_path):
    """Every fault runs with its defaults, changes something, and its menu entry says what."""
    kind = FAULTS[name]
    assert kind.__doc__ and kind.sees and kind.symptom and name in menu() and kind.sees in menu()
    plain = small(tmp_path)[0]
    faulty, truth, made = small(tmp_path, name, seconds=0.02 if name == "rng-bias" else 0.05, name="y.h5")
    assert len(faulty) != len(plain) or not np.array_equal(faulty.time_ps, plain.time_ps) \
        or not np.array_equal(faulty.channel, plain.channel) or name == "disordered-tags"
    assert len(truth["slot"]) == made.tags == len(faulty) and truth["faults"][0]["fault"] == name


def test_lost_data(tmp_path):
    (plain, _, _), (tags, _, made) = small(tmp_path), small(tmp_path, "lost-data:at=0.2,length=0.5", name="y.h5")
    lost = sum(b.lost for b in qkdlab.open(made.path).tag_blocks())
    assert lost == len(plain) - len(tags) > 0.4 * len(plain)
    _, _, silent = small(tmp_path, "lost-data:noticed=false", name="z.h5")
    assert sum(b.lost for b in qkdlab.open(silent.path).tag_blocks()) == 0


def test_missing_syncs(tmp_path):
    _, truth, _ = small(tmp_path, "missing-syncs:at=0,length=1")
    sent = truth["slot"][truth["slot"] >= 0]
    assert (sent % (1 << 16) >= 1 << 12).all() and len(sent) > 1000


def test_duplicates_and_disorder(tmp_path):
    (plain, _, _), (tags, truth, made) = small(tmp_path), small(tmp_path, "duplicate-tags:part=0.1,late_ps=5",
                                                                "disordered-tags:part=0.5", name="y.h5")
    added = truth["origin"] == ADDED
    assert abs(added.sum() / len(plain) - 0.1) < 0.02 and len(tags) == len(plain) + added.sum()
    back = [w for w in datasets.inspect(made.path)["warnings"] if "earlier than the one before" in w]
    assert back and int(back[0].split()[0]) > 0.02 * len(tags)
    with pytest.raises(BadInput, match="in order only"):
        small(tmp_path, "disordered-tags", name="z", form="ptu")
    assert not (tmp_path / "z").exists() and not truth_path(tmp_path / "z").exists()


def test_truncated_tail(tmp_path):
    for form, name in (("h5", "x.h5"), ("ptu", "x")):
        made = small(tmp_path, "truncated-tail", form=form, name=f"{form}-{name}")[2]
        info = datasets.inspect(made.path)
        assert info["warnings"] and not info["complete"]


def test_drift_and_pattern_effect_move_the_gains(tmp_path):
    def gains(*faults, name):
        _, truth, _ = small(tmp_path, *faults, seconds=0.2, name=name)
        return np.bincount(truth["intensity"][truth["origin"] == SIGNAL], minlength=3)

    plain, drift, pattern = gains(name="a.h5"), gains("modulator-drift", name="b.h5"), gains("pattern-effect:effect=0.1",
                                                                                             name="c.h5")
    assert np.allclose(drift[:2] / plain[:2], [1.1, 0.9], atol=0.03)
    # a tenth of the mean intensity of the pulse before: 0.2453 on average
    expected = (0.9 * np.array([0.5, 0.15]) + 0.1 * 0.2453) / [0.5, 0.15]
    assert np.allclose(pattern[:2] / plain[:2], expected, atol=0.03)


def test_polarisation_walk_raises_the_error_rate(tmp_path):
    tags, truth, _ = small(tmp_path, "polarisation-walk:radians=2", seconds=0.2, seed=3)
    basis, bit = tags.channel >> 1, tags.channel & 1
    same = (truth["origin"] == SIGNAL) & (basis == truth["basis"])
    wrong = same & (bit != truth["bit"])
    n = len(wrong) // 10
    early, late = wrong[:n].sum() / same[:n].sum(), wrong[-n:].sum() / same[-n:].sum()
    assert early < 0.06 and late > early + 0.03


def test_splice_loss(tmp_path):
    tags, _, _ = small(tmp_path, "splice-loss:loss_db=6,at=0.5", seconds=0.1)
    start = SETTINGS["clock"].offset_ps
    early, late = (np.sum((tags.time_ps - start >= a) & (tags.time_ps - start < a + 4 * 10**10)) for a in (0, 5 * 10**10))
    assert late / early == pytest.approx(10**-0.6, rel=0.1)


def test_blinded_detectors_are_silent(tmp_path):
    tags, _, _ = small(tmp_path, "blinding:detectors=0/2,at=0.5", seconds=0.1)
    late = tags.time_ps - SETTINGS["clock"].offset_ps > 5.2e10
    assert not np.isin(tags.channel[late], (0, 2)).any() and np.isin(tags.channel[~late], (0, 2)).any()


def test_names_and_settings_of_faults():
    assert isinstance(fault("clock-jump:jump_ps=5"), Fault) and fault("clock-jump:jump_ps=5").jump_ps == 5
    assert fault("modulator-drift:relative=1/2/3").relative == (1.0, 2.0, 3.0)
    for wrong, says in (("clok-jump", "did you mean 'clock-jump'"), ("clock-jump:jmp_ps=5", "did you mean 'jump_ps'"),
                        ("clock-jump:jump_ps", "setting=value"), ("clock-jump:at=2", "at most 1"),
                        ("clock-jump:at=soon", "a number"), (3, "the name of a fault")):
        with pytest.raises(BadInput, match=says):
            fault(wrong)


@pytest.mark.parametrize("changed, says", [
    ({"seconds": 0}, "above 0 s"), ({"seconds": float("nan")}, "above 0 s"), ({"seed": -1}, "whole number"),
    ({"seed": 1.5}, "whole number"), ({"form": "csv"}, "unknown form"), ({"faults": ["x"]}, "no such fault"),
    ({"settings": {"chanel": None}}, "did you mean 'channel'"),
    ({"faults": ["modulator-drift:relative=1/1"]}, "3 intensities"),
])
def test_bad_input_leaves_no_file(changed, says, tmp_path):
    with pytest.raises(BadInput, match=says):
        generate(tmp_path / "x.h5", **{"seconds": 0.01, "seed": 1} | changed)
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInput, match="no such file"):
        read_truth(tmp_path / "x.h5")
    (tmp_path / "y.truth.h5").write_bytes(b"no truth")
    with pytest.raises(BadInput, match="damaged"):
        read_truth(tmp_path / "y.h5")


def test_command_line(tmp_path, capsys):
    assert main(["simulate", "--faults"]) == 0
    assert "clock-jump" in capsys.readouterr().out
    out = tmp_path / "r.h5"
    assert main(["simulate", "-o", str(out), "--seconds", "0.02", "--seed", "1", "--fault", "clock-jump:at=0.3",
                 "--fault", "swapped-channels"]) == 0
    assert "truth" in capsys.readouterr().err
    assert [f["fault"] for f in read_truth(out)["faults"]] == ["clock-jump", "swapped-channels"]
    assert main(["simulate", "-o", str(tmp_path / "s.h5"), "--fault", "no-such"]) == 2
    assert main(["simulate", "-o", str(tmp_path / "s.h5"), "--fault", "clock-jump", "--notes", "x"]) == 2
    assert "--notes: goes without --fault only" in capsys.readouterr().err and not (tmp_path / "s.h5").exists()
    assert main(["inspect", str(out), "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_catalogue_command(tmp_path, capsys, monkeypatch):
    from qkdlab.datasets import catalogue as module

    monkeypatch.setattr(module, "CATALOGUE", {"clean": CATALOGUE["clean"]})
    monkeypatch.setattr(module, "SECONDS", 0.02)
    assert main(["simulate", "--catalogue", str(tmp_path / "c")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "c" / "clean.h5")]
    assert {p.name for p in (tmp_path / "c").iterdir()} == {"clean.h5", "clean.truth.h5"}
    assert main(["simulate", "--catalogue", str(tmp_path / "c")]) == 2


def test_one_value_is_a_list_of_one():
    assert fault("blinding:detectors=3").detectors == (3,)
    with pytest.raises(BadInput, match="detectors"):
        fault("blinding:detectors=4")


def test_late_duplicates_may_come_out_of_order(tmp_path):
    """A second tag can be later than the first ones of the next stretch."""
    made = generate(tmp_path / "x.h5", seconds=0.05, seed=7, faults=["duplicate-tags:late_ps=1000000,part=1"],
                    settings=SETTINGS)
    added = read_truth(made.path)["origin"] == ADDED
    assert added.sum() * 2 == len(added) == datasets.inspect(made.path)["records"]
