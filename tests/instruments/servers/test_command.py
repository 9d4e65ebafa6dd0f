"""``qkdlab serve-device`` as a user starts it."""

import contextlib
import signal
import socket
import subprocess
import sys

import pytest

from qkdlab.cli import main


def test_the_first_line_is_the_address_and_a_signal_ends_it():
    command = [sys.executable, "-m", "qkdlab", "serve-device", "thorlabs_osw", "--seed", "3"]
    with contextlib.ExitStack() as stack:
        served = [stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
                  for _ in range(2)]
        stack.callback(lambda: [each.kill() for each in served])
        for each, stop in zip(served, (signal.SIGTERM, signal.SIGINT), strict=True):
            host, port = each.stdout.readline().strip().split(":")
            with socket.create_connection((host, int(port)), 60) as line:
                line.sendall(b"S?\r\n")
                assert line.recv(10) == b"1\r\n" and host == "127.0.0.1"
            each.send_signal(stop)
            out, err = each.communicate(timeout=60)
            assert each.returncode == 0 and out == "" and err.count("\n") == 1


def test_the_list(capsys):
    assert main(["serve-device", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert "id900" in names and "meerstetter_tec" in names and "swabian" not in names and names == sorted(names)


@pytest.mark.parametrize(("arguments", "says"), [
    (["nonsense"], "there are agiltron_switch, "), (["swabian"], "there are"), ([], "--list"),
    (["id900", "--port", "70000"], "--port"), (["id900", "--seed", "-1"], "--seed")])
def test_what_cannot_be_served_is_one_line_and_code_2(capsys, arguments, says):
    assert main(["serve-device", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and says in err
