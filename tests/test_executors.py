import os
import subprocess
import sys
import threading
import time

import pytest

from qkdlab.errors import BadInput
from qkdlab.executors import executor

KINDS = ["serial", "threads:2", "processes:2"]


def square(x):
    if x == 3:
        raise ValueError("three")
    return x * x, os.getpid()


def die(x):
    os._exit(3)


@pytest.mark.parametrize("kind", KINDS)
def test_every_task_once_and_errors_as_results(kind):
    with executor(kind) as crew:
        found = list(crew.run(square, range(8)))
    assert sorted(task for task, _ in found) == list(range(8))
    for task, result in found:
        assert isinstance(result, ValueError) if task == 3 else result[0] == task * task
    others = {result[1] for task, result in found if task != 3} != {os.getpid()}
    assert others == kind.startswith("processes")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_to_do(kind):
    with executor(kind) as crew:
        assert list(crew.run(square, [])) == []


def test_few_tasks_are_under_way():
    begun = []

    def note(x):
        begun.append(x)
        time.sleep(0.005)

    with executor("threads:2") as crew:
        for _, _ in crew.run(note, range(1000)):
            break
        assert len(begun) <= 5


def test_threads_work_side_by_side():
    meet = threading.Barrier(3, timeout=60)
    with executor("threads:3") as crew:
        assert not any(isinstance(result, Exception) for _, result in crew.run(lambda _: meet.wait(), range(3)))


def test_a_worker_that_dies_is_told():
    with executor("processes:1") as crew, pytest.raises(BadInput, match="ended from outside"):
        list(crew.run(die, range(3)))


@pytest.mark.parametrize("kind", ["threds", "threads:x", "processes:0", "serial:2", ""])
def test_unknown_kinds(kind):
    with pytest.raises(BadInput), executor(kind):
        pass


DASK = """
import os
from qkdlab.executors import executor

def square(x):
    if x == 3:
        raise ValueError("three")
    return x * x, os.getpid()

if __name__ == "__main__":
    with executor("dask:2") as crew:
        addresses = [crew._client.scheduler.address, crew._client.dashboard_link]
        assert all("127.0.0.1" in a for a in addresses), addresses
        found = dict(crew.run(square, range(8)))
        assert all(found[x][0] == x * x and found[x][1] != os.getpid() for x in range(8) if x != 3)
        assert isinstance(found[3], ValueError)
        with executor("dask:" + addresses[0]) as guest:
            assert dict(guest.run(square, [5]))[5][0] == 25
    print("fine")
"""


def test_dask(tmp_path):
    """In a program of its own: the workers import its main module."""
    (tmp_path / "main.py").write_text(DASK)
    from qkdlab import __file__ as here

    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(here))}
    done = subprocess.run([sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, timeout=300,
                          env=environment, cwd=tmp_path, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / "main.py").write_text("""
import os, signal, time
from qkdlab.executors import executor

def work(x):
    if x:
        time.sleep(600)
    return os.getpid()

if __name__ == "__main__":
    with executor("processes:2") as crew:
        for _, pid in crew.run(work, [0, 1, 2]):
            print(pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
""")
    from qkdlab import __file__ as here

    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(here))}
    done = subprocess.run([sys.executable, str(tmp_path / "main.py")], stdout=subprocess.PIPE, timeout=300, env=environment,
                          check=False)              # returns once nobody holds the pipe any more: all workers are gone
    assert done.returncode == -9 and done.stdout.strip().isdigit()
