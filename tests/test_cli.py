"""Commands as a user types them: exit codes, one JSON object, one line of complaint."""

import json
import pathlib
import shutil

import pytest

from qkdlab.cli import main

LINK = pathlib.Path(__file__).with_name("link.toml")
LIM_A = {   # worked example A of Lim et al.'s formulas
    "proof": "lim2014", "intensities": [0.5, 0.1, 0.0], "probabilities": [0.6, 0.25, 0.15],
    "key": {"n": [20_000_000, 1_750_000, 60_000], "m": [400_000, 52_000, 28_000]},
    "test": {"n": [2_000_000, 175_000, 6_000], "m": [40_000, 5_200, 2_800]},
    "eps_sec": 1e-9, "eps_cor": 1e-15, "f_ec": 1.16, "tails": "hoeffding", "sampling": "serfling", "clamp": True,
}


def run(capsys, *argv):
    code = main([str(a) for a in argv])
    out, err = capsys.readouterr()
    return code, out, err


def refused(capsys, *argv, says):
    code, out, err = run(capsys, *argv)
    assert code == 2 and out == "" and err.count("\n") == 1 and says in err, (code, out, err)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "run.h5"
    assert main(["simulate", str(LINK), "-o", str(path), "--seed", "7", "--seconds", "0.1"]) == 0
    return path


def test_the_shipped_recording_gives_a_key(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and "SECRET KEY" in out and "(equal)" in out and "qkdlab lab" in out


def test_simulate_then_distill(capsys, recorded):
    code, out, _ = run(capsys, "distill", recorded, "--json")
    report = json.loads(out)
    assert code == 0 and report["secret_bits"] > 0
    assert report["alice_key_sha256"] == report["bob_key_sha256"]
    code, out, _ = run(capsys, "distill", recorded)
    assert code == 0 and report["bob_key_sha256"] in out


def test_ledger(capsys, recorded):
    code, out, _ = run(capsys, "distill", recorded, "--ledger")
    assert code == 0 and "SECRET KEY" in out and "BLOCK 0" in out and "eps_sec" in out and "rests on" in out
    assert "BLOCK" not in run(capsys, "distill", recorded)[1]


def test_the_same_seed_records_the_same_run(capsys, recorded, tmp_path):
    assert run(capsys, "simulate", LINK, "-o", tmp_path / "b.h5", "--seed", 7, "--seconds", 0.1)[0] == 0
    keys = [json.loads(run(capsys, "distill", p, "--json")[1])["alice_key_sha256"] for p in (recorded, tmp_path / "b.h5")]
    assert keys[0] == keys[1]


def test_no_key_is_exit_code_1(capsys, recorded):
    code, out, _ = run(capsys, "distill", recorded, "--json", "--set", "abort_qber=0.0001")
    report = json.loads(out)
    assert code == 1 and report["secret_bits"] == 0 and "abort line" in report["reason"]


def test_existing_files_are_never_replaced(capsys, recorded, tmp_path):
    before = recorded.read_bytes()
    refused(capsys, "simulate", LINK, "-o", recorded, says="exists already")
    assert recorded.read_bytes() == before
    folder = tmp_path / "run"
    folder.mkdir()
    refused(capsys, "simulate", LINK, "-o", folder, "--format", "ptu", says="exists already")
    assert not list(folder.iterdir())


@pytest.mark.parametrize("table, line, says", [
    ("source", "probabilities = [0.5, 0.2, 0.1]", "probabilities"),
    ("source", "intensities = [0.1, 0.5, 0.0]", "intensities"),
    ("channel", "extra_loss_db = -1.0", "extra_loss_db"),
    ("channel", "distance_kn = 10.0", "did you mean 'distance_km'"),
    ("eve", "intercept_fraction = 1.5", "intercept_fraction"),
    ("detektors", "efficiency = 0.5", "did you mean 'detectors'"),
])
def test_bad_configurations(capsys, tmp_path, table, line, says):
    config = tmp_path / "link.toml"
    config.write_text(f"[{table}]\n{line}\n")
    refused(capsys, "simulate", config, "-o", tmp_path / "run.h5", says=says)
    assert not (tmp_path / "run.h5").exists()


def test_bad_usage(capsys, tmp_path):
    refused(capsys, "distil", says="distil")
    refused(capsys, "simulate", LINK, says="--output")
    refused(capsys, "simulate", LINK, "-o", tmp_path / "r.h5", "--seconds", -1, says="--seconds")
    refused(capsys, "simulate", LINK, "-o", tmp_path / "no" / "r.h5", says="folder")
    refused(capsys, "simulate", tmp_path / "none.toml", "-o", tmp_path / "r.h5", says="no such file")
    refused(capsys, "distill", tmp_path / "none.h5", says="no such file")
    refused(capsys, "keylength", tmp_path / "none.json", says="none.json")
    refused(capsys, "inspect", tmp_path / "none.ptu", says="none.ptu")


def test_bad_distillation_settings(capsys, recorded):
    refused(capsys, "distill", recorded, "--set", "eps_sek=1e-9", says="did you mean 'eps_sec'")
    refused(capsys, "distill", recorded, "--set", "eps_sec=2", says="eps_sec")
    refused(capsys, "distill", recorded, "--proof", "lim", says="proof")
    refused(capsys, "distill", recorded, "--set", "eps_sec", says="NAME=VALUE")


def test_keylength(capsys, tmp_path):
    file = tmp_path / "counts.json"
    file.write_text(json.dumps(LIM_A))
    code, out, _ = run(capsys, "keylength", file, "--json")
    assert code == 0 and json.loads(out)["length"] == 6_792_347
    code, out, _ = run(capsys, "keylength", file)
    assert code == 0 and "6,792,347 secret bits" in out


LIM_100_KM = """
[source]
clock_hz = 1e9
[channel]
distance_km = 100
misalignment = 0.005
[detectors]
efficiency = 0.1
dark_rate_hz = 600
afterpulse_probability = 0.04
dead_time_ps = 0
[optimise]
"""


def test_optimise(capsys, tmp_path):
    file = tmp_path / "lim.toml"
    file.write_text(LIM_100_KM + "n_key = 1e7\nsampling = 'gamma'\nclamp = false\n")
    code, out, _ = run(capsys, "optimise", file, "--json")
    best = json.loads(out)
    assert code == 0 and best["rate"] == pytest.approx(4.733e-5, rel=5e-3) and best["rate_hz"] == best["rate"] * 1e9
    assert best["length"] == best["bound"]["length"] and best["seconds"] == pytest.approx(best["n_pulses"] / 1e9)
    assert sum(best["probabilities"]) == pytest.approx(1) and best["intensities"] == sorted(best["intensities"])[::-1]
    assert 0.5 < best["key_basis_probability"] < 1 and best["bound"]["details"]["n_key"] == pytest.approx(1e7, abs=2)
    code, out, _ = run(capsys, "optimise", file)
    assert code == 0 and f"{best['length']:,} secret bits" in out
    seconds = [json.loads(run(capsys, "optimise", write(tmp_path, f"{end}\n"), "--json")[1]) for end in
               ("seconds = 60", "n_pulses = 6e10")]
    assert seconds[0] == seconds[1] and seconds[0]["length"] > 0
    passive = json.loads(run(capsys, "optimise", write(tmp_path, "seconds = 60\nbob = 'passive'\n"), "--json")[1])
    assert 0 < passive["length"] < seconds[0]["length"]


def write(folder, lines):
    file = folder / "link.toml"
    file.write_text(LIM_100_KM + lines)
    return file


def test_optimise_takes_a_simulation_as_it_is(capsys, tmp_path):
    code, out, _ = run(capsys, "optimise", LINK, "--json")
    assert code == 0 and json.loads(out)["plan"]["n_key"] == 10_000_000
    file = tmp_path / "both.toml"
    file.write_text(LINK.read_text() + "\n[optimise]\nseconds = 1\n[distill]\neps_sec = 1e-10\n")
    assert json.loads(run(capsys, "optimise", file, "--json")[1])["plan"]["eps_sec"] == 1e-10
    assert run(capsys, "simulate", file, "-o", tmp_path / "run.h5", "--seconds", 0.001)[0] == 0


def test_optimise_without_a_key_is_exit_code_1(capsys, tmp_path):
    code, out, _ = run(capsys, "optimise", write(tmp_path, "n_pulses = 1e6\n"), "--json")
    assert code == 1 and json.loads(out)["length"] == 0 and json.loads(out)["reason"]
    dead = tmp_path / "dead.toml"
    dead.write_text("[detectors]\nefficiency = 0\ndark_rate_hz = 0\n")
    code, out, _ = run(capsys, "optimise", dead, "--json")
    assert code == 1 and json.loads(out)["n_pulses"] is None and "no detections" in json.loads(out)["reason"]
    code, out, _ = run(capsys, "optimise", dead)
    assert code == 1 and "no key" in out


@pytest.mark.parametrize("lines, says", [
    ("n_key = 1e7\nseconds = 3\n", "seconds"), ("n_key = 0\n", "n_key"), ("n_kee = 1e7\n", "did you mean 'n_key'"),
    ("eps_sec = 2\n", "eps_sec"), ("eps_cor = 0\n", "eps_cor"), ("eps_sec = 1.0\n", "eps_sec"), ("f_ec = 0.5\n", "f_ec"),
    ("sampling = 'best'\n", "sampling"), ("intensities = [0.5, 0.1]\n", "intensities"), ("seconds = -1\n", "seconds"),
    ("bob = 'alice'\n", "bob"), ("seconds = 1e8\n", "n_pulses"), ("[eve]\nintercept_fraction = 2\n", "intercept_fraction"),
    ("[detektors]\n", "did you mean 'detectors'"),
])
def test_bad_links_to_optimise(capsys, tmp_path, lines, says):
    refused(capsys, "optimise", write(tmp_path, lines), "--json", says=says)
    refused(capsys, "optimise", write(tmp_path, lines), says="link.toml")


def test_noise_beyond_the_model_is_refused(capsys, tmp_path):
    file = tmp_path / "noisy.toml"
    file.write_text("[source]\nclock_hz = 1e5\n[detectors]\ndark_rate_hz = 1e5\n")
    refused(capsys, "optimise", file, says="dark_probability")
    refused(capsys, "optimise", tmp_path / "none.toml", says="no such file")


@pytest.mark.parametrize("change, says", [
    ({"eps_sec": 0}, "eps_sec"), ({"probabilities": [0.6, 0.2, 0.1]}, "probabilities"), ({"f_ec": None}, "f_ec"),
    ({"prof": "lim2014"}, "did you mean 'proof'"), ({"key": {"n": [1, 2, 3], "m": [2, 2, 3]}}, "key.m"),
])
def test_bad_counts(capsys, tmp_path, change, says):
    file = tmp_path / "counts.json"
    file.write_text(json.dumps({**LIM_A, **change}))
    refused(capsys, "keylength", file, "--json", says=says)
    assert "counts.json" in (run(capsys, "keylength", file)[2])


def test_places_that_cannot_be_written(capsys, recorded, tmp_path):
    """No traceback: the file and the system's complaint in one line, and nothing left behind."""
    long = tmp_path / ("a" * 300 + ".h5")
    refused(capsys, "simulate", LINK, "-o", long, "--seconds", 0.01, says="too long")
    refused(capsys, "simulate", LINK, "-o", long.with_suffix(""), "--seconds", 0.01, "--format", "ptu", says="too long")
    refused(capsys, "convert", recorded, long.with_suffix(".npz"), says="too long")
    if pathlib.Path("/proc").is_dir():           # a folder in which nobody may make files, not even root
        refused(capsys, "convert", recorded, "/proc/x.npz", says="/proc/")
        refused(capsys, "simulate", LINK, "-o", "/proc/x.h5", "--seconds", 0.01, says="/proc/x.h5")
    assert not list(tmp_path.iterdir())


def test_a_complaint_is_one_line_whatever_the_name(capsys, tmp_path):
    refused(capsys, "inspect", tmp_path / "two\nlines.ptu", says="two lines.ptu")


def test_json_that_is_none(capsys, tmp_path):
    file = tmp_path / "counts.json"
    file.write_text("[" * 100_000)
    refused(capsys, "keylength", file, says="not valid JSON")
    file.write_text("{")
    refused(capsys, "keylength", file, says="not valid JSON")


def test_inspect_the_shipped_tags(capsys, tmp_path):
    from qkdlab import datasets

    tags = pathlib.Path(datasets.__file__).with_name("demo") / "bob.ptu"
    code, out, _ = run(capsys, "inspect", tags, "--json")
    info = json.loads(out)
    assert code == 0 and info["complete"] and sum(info["channels"].values()) == info["photons"]
    cut = tmp_path / "cut.ptu"
    shutil.copy(tags, cut)
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size - 4002)
    code, out, _ = run(capsys, "inspect", cut, "--json")
    assert code == 0 and not json.loads(out)["complete"] and json.loads(out)["warnings"]
    refused(capsys, "inspect", LINK, says="link.toml")


def test_what_a_file_does_not_say_is_said_by_hand(capsys, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1000,1\n2000,2\n")
    for command in ("inspect", "characterise"):
        refused(capsys, command, path, "--reader", "unit", says="NAME=VALUE")
        refused(capsys, command, path, "--format", "csv", "--reader", "unit=years", says="unit: one of fs, ps")
        refused(capsys, command, path, "--format", "csv", "--reader", "tick_ps=3", says="tick_ps")
    _, out, _ = run(capsys, "inspect", path, "--format", "csv", "--reader", "unit=ns", "--json")
    assert json.loads(out)["first_ps"] == 10**6
    run(capsys, "convert", path, tmp_path / "b.parquet", "--format", "csv", "--reader", "unit=us")
    _, out, _ = run(capsys, "inspect", tmp_path / "b.parquet", "--json")
    assert json.loads(out)["last_ps"] == 2 * 10**9


def test_inspect_a_real_recording(capsys, shared):
    code, out, _ = run(capsys, "inspect", shared / "timetags/libpicoquant/v30_t2.ptu", "--json")
    info = json.loads(out)
    assert code == 0 and info["photons"] == 305_565
    assert info["first_ps"] == 24_433_765 and info["last_ps"] == 4_999_964_931_763


def test_convert(capsys, tmp_path):
    from qkdlab import datasets

    tags = pathlib.Path(datasets.__file__).with_name("demo") / "bob.ptu"
    assert run(capsys, "convert", tags, tmp_path / "bob.npz")[0] == 0
    assert run(capsys, "convert", tmp_path / "bob.npz", tmp_path / "again.ptu")[0] == 0
    files = (tags, tmp_path / "bob.npz", tmp_path / "again.ptu")
    infos = [json.loads(run(capsys, "inspect", p, "--json")[1]) for p in files]
    for field in ("photons", "channels", "first_ps", "last_ps"):
        assert infos[0][field] == infos[1][field] == infos[2][field]
    refused(capsys, "convert", tags, tmp_path / "bob.npz", says="exists already")
