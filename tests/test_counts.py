import json

import pytest
from samples import COUNTS

from qkdlab import datasets, proofs
from qkdlab.cli import main
from qkdlab.datasets import counts
from qkdlab.errors import BadInput


def write(tmp_path, text, name="a.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_a_table_gives_the_length_of_its_json(tmp_path, capsys):
    path = write(tmp_path, COUNTS)
    assert main(["keylength", str(path), "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    same = {"proof": "lim2014", "intensities": [0.5, 0.1, 0.0], "probabilities": [0.6, 0.25, 0.15], "eps_sec": 1e-9,
            "eps_cor": 1e-15, "f_ec": 1.16, "key": {"n": [20_000_000, 1_750_000, 60_000], "m": [400_000, 52_000, 28_000]},
            "test": {"n": [2_000_000, 175_000, 6_000], "m": [40_000, 5_200, 2_800]}}
    assert result["length"] == proofs.keylength(same)["length"] == 6_792_347
    assert "note: eps_cor is not given: 1e-15 is taken" in err
    table = datasets.inspect(path)
    assert table["format"] == "counts" and table["key"] == same["key"] and table["sent"]["test"][0] == 900_000_000
    with pytest.raises(BadInput, match="count table"):
        datasets.open(path)


def test_other_names_separators_and_order(tmp_path):
    rows = ["X;0.1;6;3", "Z;0.5;100;2", "Z;0.1;10;1", "X;0.5;50;3"]
    head = ["# probabilities = [0.7, 0.3]", "# f_ec = 1.2", "# made on = Monday", "Basis;mu;Clicks;m"]
    path = write(tmp_path, "\n".join(head + rows))
    assert counts.read(path).document["key"] == {"n": [100, 10], "m": [2, 1]}
    assert counts.read(path).document["test"] == {"n": [50, 6], "m": [3, 3]}


def test_probabilities_from_the_pulses_sent(tmp_path):
    text = COUNTS
    for column in ("probability,", "0.6,", "0.25,", "0.15,"):
        text = text.replace(column, "")
    path = write(tmp_path, text)
    table = counts.read(path)
    assert table.document["probabilities"] == pytest.approx([0.6, 0.25, 0.15])
    assert any("shares of the pulses sent" in w for w in table.warnings)


@pytest.mark.parametrize(("old", "new", "match"), [
    ("20000000,400000", "20000000,-4", r"line 6: errors: .*whole number of at least 0"),
    ("20000000,400000", "20000000,x", r"line 6: errors"),
    ("20000000,400000", "2.5,1", r"line 6: detections"),
    ("20000000,400000", "nan,1", r"line 6: detections"),
    ("20000000,400000", "20000000,30000000", r"line 6: errors: more errors"),
    ("20000000,400000", "90000000000,400000", r"line 6: detections: more than the pulses"),
    ("20000000,400000", "20000000", r"line 6: 6 fields"),
    ("key,0.1", "key,0.5", r"line 7: basis: a second row"),
    ("key,0.1", "middle,0.1", r"line 7: basis: one of key, test"),
    ("test,0.1,0.25,375000000,175000,5200\n", "", "no row for intensity 0.1 in the test basis"),
    ("test,0.1,0.25", "test,0.1,0.3", "probability: intensity 0.1 has two"),
    ("detections", "detektions", "line 5: detektions: unknown column; did you mean 'detections'"),
    (",errors", ",errors,errors", "line 5: errors: more than one"),
    ("errors\n", "n\n", "line 5: detections: more than one"),
    ("# f_ec = 1.16", "# f_ec = x", "line 4: f_ec"),
    ("9000000000", "", "line 6: sent: is missing")])
def test_spoilt_tables_are_named(tmp_path, old, new, match):
    assert old in COUNTS
    with pytest.raises(BadInput, match=match):
        counts.read(write(tmp_path, COUNTS.replace(old, new, 1)))


@pytest.mark.parametrize("text", ["", "basis,intensity,detections,errors\n", "# only = words\n", "\x00\x01\x02", "[1, 2]",
                                  "[" * 9999, '{"counts": 5}', '{"counts": [{"basis": "key"}]}', '{"counts": [], "eps": 1}'])
def test_what_is_no_table(tmp_path, text):
    with pytest.raises(BadInput, match="a.csv"):
        counts.read(write(tmp_path, text))


def test_a_binary_file_is_refused_in_a_short_line(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"PQ\x00\x01\x1b[2J" + b"A" * 5000 + b",n\n1,2\n")
    with pytest.raises(BadInput) as refused:
        counts.read(tmp_path / "x.csv")
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500
