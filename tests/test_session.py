"""The main job, end to end."""

import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

import qkdlab
from qkdlab import simulation
from qkdlab.accounting import Agreement
from qkdlab.bits import Bits
from qkdlab.choices import RecordedChoices, StoredPattern
from qkdlab.classical_channel import LocalChannel, SocketChannel
from qkdlab.datatypes import Clicks, DistillSettings, SourceSettings, TimeTags
from qkdlab.errors import BadInput
from qkdlab.parties import Alice, Bob, replayed
from qkdlab.receiver import Receiver, _secret_slots
from qkdlab.session import Session

SOURCE = {"intensities": (0.5, 0.15, 0.001), "probabilities": (0.6, 0.25, 0.15), "key_basis_probability": 0.7,
          "clock_hz": 2e8}


def make_link(seed=1, eve=0.0, **channel):
    tables = {name: cls() for name, cls in simulation.SECTIONS.items()}
    tables["source"] = SourceSettings(**SOURCE)
    tables["synchronisation"] = tables["synchronisation"].replace(frame_slots=1 << 16, header_slots=1 << 12)
    tables["channel"] = tables["channel"].replace(**{"distance_km": 10.0, **channel})
    tables["detectors"] = tables["detectors"].replace(key_basis_probability=0.7, efficiency=0.5, dead_time_ps=20_000)
    tables["clock"] = tables["clock"].replace(offset_ppm=3.0)
    tables["eve"] = tables["eve"].replace(intercept_fraction=eve)
    return simulation.simulate(tables, seed=seed)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A short run as `qkdlab simulate --format ptu` writes it."""
    config = tmp_path_factory.mktemp("run") / "link.toml"
    config.write_text(pathlib.Path(__file__).with_name("link.toml").read_text())
    from qkdlab import store

    return store.record(config, config.with_name("run"), seconds=0.2, seed=5, form="ptu")


@pytest.fixture(scope="module")
def report(recording):
    return Session(qkdlab.open(recording)).run()


def test_a_recording_becomes_two_equal_keys(report):
    assert report["secret_bits"] > 1000 and report["reason"] is None and report["simulated"] is True
    assert report["alice_key_sha256"] == report["bob_key_sha256"] and len(report["alice_key_sha256"]) == 64
    assert report["bound"]["length"] == report["secret_bits"]
    assert report["clock"]["locked"] and 0.9 < report["f_ec"] < 1.25
    json.dumps(report, allow_nan=False)


def test_the_leak_is_what_the_channel_counted(report):
    ledger = report["ledger"]
    assert ledger["key_bits_said"] == {"cascade-answer": report["leak_bits"], "verify": ledger["verification_bits"]}
    assert report["bound"]["leak_bits"] == report["leak_bits"]
    # log2(2 / eps_cor) is what the proof charges for the verification hash
    assert 0 < ledger["verification_bits"] <= np.log2(2 / 1e-15) + 1e-9


def test_counts_add_up(report):
    clicks, errors = np.array(report["counts"]["clicks"]), np.array(report["counts"]["errors"])
    assert (errors <= clicks).all() and clicks.sum() <= report["clicks"] <= report["tags"]
    assert report["qber_test"] == errors[:, 1].sum() / clicks[:, 1].sum()
    assert report["qber_key"] == errors[:, 0].sum() / clicks[:, 0].sum()


def test_same_recording_and_settings_give_the_same_key(recording, report):
    again = Session(qkdlab.open(recording)).run()
    assert again["alice_key_sha256"] == report["alice_key_sha256"]
    other = Session(qkdlab.open(recording), qkdlab.open(recording).distill.replace(eps_sec=1e-10)).run()
    assert other["alice_key_sha256"] != report["alice_key_sha256"]
    assert other["secret_bits"] < report["secret_bits"]


def test_both_parties_deliver_the_keys_of_the_report(recording, report):
    taken = {"alice": [], "bob": []}
    again = Session(qkdlab.open(recording), deliver=lambda party, key: taken[party].append(key)).run()
    for party, keys in taken.items():
        assert sum(len(key.bits) for key in keys) == again["secret_bits"] > 0
        assert Bits.concatenate(key.bits for key in keys).sha256() == report[f"{party}_key_sha256"]


def test_two_processes_over_a_socket_make_the_same_key(recording, report):
    run = qkdlab.open(recording)
    agreement = Agreement(run.source, run.sync, run.receiver, run.distill)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(300)
        port = server.getsockname()[1]
        script = pathlib.Path(__file__).with_name("alice_process.py")
        alice = subprocess.Popen([sys.executable, script, recording, str(port)], stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        connection, _ = server.accept()
        with connection:
            bob = Bob(agreement, SocketChannel(connection), replayed(run.public_seed), {"simulated": True})
            bob.hello()
            receiver = Receiver(run, agreement, bob, replayed(run.public_seed),
                                tell=lambda *step, **values: None, blocked=lambda: None)
            for tags in run.tag_blocks():
                receiver.take(tags)
            receiver.close()
            bob.bye()
        out, _ = alice.communicate(timeout=300)
    assert out.strip() == bob.sha256() == report["alice_key_sha256"]


@pytest.mark.parametrize("kind", ["simulated", "live"])
def test_one_session_takes_every_source(kind):
    link = make_link()
    source = link
    if kind == "live":
        from qkdlab.instruments import TimeTagger, simulated_tagger
        from qkdlab.live import LiveLink

        tagger = simulated_tagger.connect(link)
        assert isinstance(tagger, TimeTagger)
        source = LiveLink(link.choices, link.receiver, tagger)
    report = Session(source, block_seconds=0.02).run(seconds=0.1)
    assert report["secret_bits"] > 0 and report["alice_key_sha256"] == report["bob_key_sha256"]
    assert report["provenance"]["hash_seeds"] == "operating system"


def test_a_full_intercept_resend_is_caught():
    report = Session(make_link(eve=1.0)).run(seconds=0.05)
    assert report["secret_bits"] == 0 and report["alice_key_sha256"] is None
    assert abs(report["qber_test"] - 0.25) < 0.02
    assert "abort line" in report["reason"] and report["leak_bits"] == 0


def test_no_eve_changes_nothing():
    """At 0 the very same clicks; the QBER then is that of the link's own errors, and there is a key."""
    plain = make_link(seed=3)
    absent = make_link(seed=3, eve=0.0)
    for a, b in zip(plain.blocks(0.02, 0.01), absent.blocks(0.02, 0.01), strict=True):
        assert np.array_equal(a.time_ps, b.time_ps) and np.array_equal(a.channel, b.channel)
    clean = Session(make_link(seed=3, eve=0.0)).run(seconds=0.05)
    some = Session(make_link(seed=3, eve=0.2)).run(seconds=0.05)
    assert clean["secret_bits"] > 0
    # a share p of intercepted pulses adds p / 4 to the error rate
    assert abs(some["qber_test"] - clean["qber_test"] - 0.05) < 0.01


def test_blocks_close_at_the_declared_size():
    distill = DistillSettings(block_key_bits=20_000, eps_sec=1e-6)
    report = Session(make_link(), distill, block_seconds=0.01).run(seconds=0.1)
    assert len(report["blocks"]) > 1
    assert sum(b["secret_bits"] for b in report["blocks"]) == report["secret_bits"]
    # the key of many blocks fails if any of them does
    assert report["epsilons"]["eps_sec"] == pytest.approx(1e-6 * len(report["blocks"]))
    assert sum(report["epsilons"]["eps_sec_parts"].values()) == pytest.approx(report["epsilons"]["eps_sec"])
    assert len({b["key_id"] for b in report["blocks"] if b["key_id"]}) == sum(bool(b["key_id"]) for b in report["blocks"])


def test_blocks_do_not_depend_on_how_the_tags_are_cut(recording):
    run, distill = qkdlab.open(recording), DistillSettings(block_key_bits=150_000, eps_sec=1e-6)
    reports = []
    for block_tags in (1 << 20, 7919):
        cut = dataclasses.replace(run, stream=lambda tally, _, n=block_tags: run.stream(tally, n))
        reports.append(Session(cut, distill).run())
    assert len(reports[0]["blocks"]) > 2 and reports[0]["secret_bits"] > 0
    for name in ("alice_key_sha256", "bob_key_sha256", "secret_bits", "leak_bits"):
        assert reports[0][name] == reports[1][name]
    assert [b["secret_bits"] for b in reports[0]["blocks"]] == [b["secret_bits"] for b in reports[1]["blocks"]]


def test_a_recording_watched_in_stretches_gives_the_same_key(recording, report):
    """What a workbench does: anything with `tag_blocks()` is a source."""
    run = qkdlab.open(recording)

    class Watched:
        def __getattr__(self, name):
            return getattr(run, name)

        def tag_blocks(self):
            return run.tag_blocks(10_000)

    assert Session(Watched()).run()["alice_key_sha256"] == report["alice_key_sha256"]


def test_the_few_tags_of_a_short_rest_tell_no_rate_of_their_own(recording):
    whole = qkdlab.open(recording)
    tags = sum(len(block) for block in whole.tag_blocks())
    rates = []
    for rest in (1, 2, 7):
        session = Session(dataclasses.replace(whole, stream=lambda tally, _, n=(tags - rest) // 2: whole.stream(tally, n)))
        session.subscribe(lambda event: rates.append(event["rates_hz"]) if event.step == "block" else None)
        session.run()
    told = np.array([rate for rate in rates if any(rate)])
    assert len(told) >= 3 * 2 and np.ptp(told, axis=0).max() < 0.05 * told.min()


def test_a_dark_link_says_why_there_is_no_key():
    report = Session(make_link(extra_loss_db=90.0)).run(seconds=0.05)
    assert report["secret_bits"] == 0 and not report["clock"]["locked"] and report["reason"]


def test_a_repeating_pattern_gives_no_key():
    link = make_link()
    pattern = StoredPattern(link.source, link.sync, link.choices.train(0, 1 << 18).symbols)
    tables = {name: cls() for name, cls in simulation.SECTIONS.items()}
    tables |= {"source": link.source, "synchronisation": link.sync, "channel": link.channel,
               "detectors": link.detectors, "clock": link.clock}
    report = Session(simulation.simulate(tables, seed=1, choices=pattern)).run(seconds=0.05)
    assert report["secret_bits"] == 0 and "repeats after 262,144 slots" in report["reason"]


def test_a_bare_tag_file_is_refused(recording):
    with pytest.raises(BadInput, match="bob.ptu"):
        Session(qkdlab.open(recording / "bob.ptu"))


def test_stop_pause_and_events():
    session, seen = Session(make_link(), block_seconds=0.005), []
    first = threading.Event()

    def listen(event):
        seen.append(event)
        if event.step == "block":
            first.set()

    unsubscribe = session.subscribe(listen)
    session.start()
    assert session.running and first.wait(60)
    session.pause()
    session.stop()
    assert session.wait(60) and not session.running
    steps = [e.step for e in seen]
    assert steps[0] == "start" and steps[-1] == "end" and {"clock", "block", "amplify"} <= set(steps)
    block = next(e for e in reversed(seen) if e.step == "block")
    assert len(block["rates_hz"]) == 4 and len(block["gains"]) == len(block["gains_expected"]) == 3
    assert block["qber_low"] <= block["qber_test"] <= block["qber_high"]
    unsubscribe()
    with pytest.raises(RuntimeError):
        session.start()


def test_a_pause_after_a_stop_holds_nothing():
    session, busy = Session(make_link(), block_seconds=0.005), threading.Event()

    def listen(event):
        if event.step == "block" and not busy.is_set():
            session.pause()
            session.stop()
            session.pause()
            busy.set()

    session.subscribe(listen)
    session.pause()
    session.start()
    assert not session.wait(0.3)
    session.resume()
    assert session.wait(60) and session.report


def test_what_is_amiss_with_a_recording_is_reported(recording, tmp_path):
    """A key may come of what is left, but not without a word."""
    import shutil

    from qkdlab.report import as_text

    cut = tmp_path / "run"
    shutil.copytree(recording, cut)
    with (cut / "bob.ptu").open("r+b") as file:
        file.truncate((cut / "bob.ptu").stat().st_size - 4002)
    report = Session(qkdlab.open(cut)).run()
    assert any("the header promises" in w for w in report["warnings"])
    assert any("inside a record" in w for w in report["warnings"])
    assert "WARNING     the header promises" in as_text(report)


def test_the_reason_is_the_blocks_even_if_the_light_goes_out_later():
    link = make_link(eve=1.0)

    class Fading:
        simulated, source, sync, receiver, choices = True, link.source, link.sync, link.receiver, link.choices

        def blocks(self, seconds, block_seconds):
            tags = next(iter(link.blocks(0.05, 0.05)))
            yield tags
            start, end = int(tags.time_ps[-1]), int(tags.time_ps[-1]) + 2 * 10**11
            yield TimeTags(np.sort(np.random.default_rng(0).integers(start, end, 4000)), np.zeros(4000, np.uint8))

    report = Session(Fading()).run()
    assert "abort line" in report["reason"]
    assert report["warnings"] and "s of Bob's clock are not used: " in report["warnings"][-1]


def test_no_key_bits_in_events_or_report():
    """Whatever is told or reported can be turned to JSON, which refuses key bits."""
    from qkdlab.datatypes import as_table

    session, seen = Session(make_link(), block_seconds=0.02), []
    session.subscribe(seen.append)
    session.run(seconds=0.06)
    for event in seen:
        json.dumps(as_table(event.values))
    with pytest.raises(TypeError):
        as_table({"key": Bits.from_numpy([1, 0, 1])})


def run_parties(choices, agreement, clicks_of_bob, tamper=None, more_bits=("", 0)):
    """Both parties on perfect clicks; `tamper(kind, payload)` may change what Alice says, `more_bits` (kind, number)
    what she declares of it."""
    ends = LocalChannel.pair()
    send = ends[0].send

    def say(kind, payload=b"", key_bits=0):
        send(kind, tamper(kind, payload) if tamper else payload,
             key_bits=key_bits + (more_bits[1] if kind == more_bits[0] else 0))

    ends[0].send = say
    alice, bob = Alice(choices, agreement, ends[0]), Bob(agreement, ends[1])
    thread = threading.Thread(target=alice.serve, daemon=True)
    thread.start()
    bob.hello()
    bob.announce(clicks_of_bob, 1_000_000)
    report = bob.distill()
    bob.bye()
    thread.join(60)
    return report, alice, bob


@pytest.fixture
def perfect():
    """Choices and clicks of a link that errs in 1 % of the bits."""
    link = make_link()
    rng = np.random.default_rng(0)
    symbols = link.choices.train(1 << 12, 1 << 15).symbols          # slots after a header
    choices = RecordedChoices(link.source, None, symbols, first_slot=1 << 12)
    chance = np.array([0.9, 0.35, 0.004])[symbols >> 2]
    slot = np.flatnonzero(rng.random(len(symbols)) < chance)
    basis = (rng.random(len(slot)) < 0.3).astype(np.uint8)
    outcome = (symbols[slot] & 1) ^ (rng.random(len(slot)) < 0.01)
    wrong = ((symbols[slot] >> 1) & 1) != basis
    outcome[wrong] = rng.integers(0, 2, wrong.sum())
    agreement = Agreement(link.source, link.sync, link.receiver, DistillSettings(eps_sec=1e-6))
    return choices, agreement, Clicks(slot + (1 << 12), basis, outcome.astype(np.uint8))


def test_a_failed_verification_gives_no_key(perfect):
    def tamper(kind, payload):
        return payload[:-1] + bytes([payload[-1] ^ 1]) if kind == "verify" else payload

    report, alice, bob = run_parties(*perfect, tamper)
    assert report.secret_bits == 0 and "still differ" in report.bound.reason
    assert report.reconciliation["leak_bits"] > 0 and not alice.keys and not bob.keys


def test_untampered_parties_agree(perfect):
    report, alice, bob = run_parties(*perfect)
    assert report.reconciliation["verified"] and alice.sha256() == bob.sha256()


def test_different_settings_are_noticed(perfect):
    choices, agreement, _ = perfect
    ends = LocalChannel.pair()
    other = Agreement(agreement.source, agreement.sync, agreement.receiver, DistillSettings(eps_sec=1e-7))
    alice, bob = Alice(choices, agreement, ends[0]), Bob(other, ends[1])
    failures = []

    def serve():
        try:
            alice.serve()
        except BadInput as error:
            failures.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(BadInput, match="different settings"):
        bob.hello()
    thread.join(10)
    assert failures


def test_secret_slots_leave_the_headers_out():
    sync = make_link().sync
    slots = np.arange(5 * sync.frame_slots)
    secret = slots % sync.frame_slots >= sync.header_slots
    rng = np.random.default_rng(2)
    for first, stop in np.sort(rng.integers(0, len(slots), (50, 2)), axis=1):
        assert _secret_slots(sync, int(first), int(stop)) == secret[first:stop].sum()


def test_stored_choices_that_are_not_as_stated_give_no_key():
    link = make_link()
    symbols = link.choices.train(0, 1 << 24).symbols.copy()
    symbols[::7] |= 1                          # ones are 57 %
    tables = {name: cls() for name, cls in simulation.SECTIONS.items()}
    tables |= {"source": link.source, "synchronisation": link.sync, "channel": link.channel,
               "detectors": link.detectors, "clock": link.clock}
    crooked = RecordedChoices(link.source, link.sync, symbols)
    report = Session(simulation.simulate(tables, seed=1, choices=crooked)).run(seconds=0.05)
    assert report["secret_bits"] == 0 and "not what the source states" in report["reason"]


def test_detectors_that_are_told_when_to_click_are_noticed():
    """Faked states on blinded detectors make no error; but never a click in both bases at once."""
    honest = make_link(seed=4)
    faked = make_link(seed=4)
    faked.update(eve=faked.eve.replace(faked_fraction=1.0))
    reports = [Session(link).run(seconds=0.05) for link in (honest, faked)]
    assert reports[0]["secret_bits"] > 0
    assert reports[1]["secret_bits"] == 0 and "clicked together" in reports[1]["reason"]
    assert reports[1]["qber_test"] < 0.005
