"""The same function over many tasks: one after the other, on threads, on processes, or on a Dask cluster."""

import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import typing

from .errors import BadInput
from .settings import nearest

__all__ = ["KINDS", "Executor", "executor"]


class Executor(typing.Protocol):
    """Runs a function over tasks; a context manager."""

    def run(self, function, tasks):
        """Yield ``(task, result)`` as they finish, in any order; `result` is the exception where one was raised.

        Few more tasks are under way than there are workers, so that little is lost when the caller stops.
        """


class _Serial:
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def run(self, function, tasks):
        for task in tasks:
            try:
                yield task, function(task)
            except Exception as error:
                yield task, error


class _Pool:
    """Futures of any kind: `submit(function, task)` and `wait(futures)` for the first to be done."""

    def __init__(self, workers):
        if workers is not None and workers < 1:
            raise BadInput("at least one worker is expected", field="--workers", value=workers)
        self._workers = workers or os.cpu_count() or 1

    def run(self, function, tasks):
        tasks, under_way = iter(tasks), {}
        more = True
        while more or under_way:
            while more and len(under_way) < self._workers + 1:
                try:
                    task = next(tasks)
                except StopIteration:
                    more = False
                    break
                under_way[self._submit(function, task)] = task
            for future in self._first(list(under_way)) if under_way else ():
                task = under_way.pop(future)
                error = future.exception()
                if isinstance(error, concurrent.futures.BrokenExecutor):
                    raise BadInput("a worker was ended from outside (out of memory?); what is finished is kept: run it "
                                   "again to go on", field="--workers")
                yield task, error if error is not None else future.result()


class _Threads(_Pool):
    def __enter__(self):
        self._pool = self._made()
        return self

    def _made(self):
        return concurrent.futures.ThreadPoolExecutor(self._workers, "qkdlab-worker")

    def __exit__(self, *exception):
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, function, task):
        return self._pool.submit(function, task)

    @staticmethod
    def _first(futures):
        return concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_COMPLETED).done


class _Processes(_Threads):
    def _made(self):
        # Spawned, not forked: threads and open HDF5 files do not survive a fork.
        return concurrent.futures.ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn"), _in_worker)


def _in_worker():
    """A worker ends quietly on Ctrl-C, and with its parent, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel):
    multiprocessing.connection.wait([sentinel])
    os._exit(1)


class _Dask(_Pool):
    """A cluster at an address, or one of our own on this machine, reached over loopback only."""

    def __init__(self, workers, address=None):
        super().__init__(workers)
        self._address = address

    def __enter__(self):
        try:
            import distributed
        except ImportError:
            raise BadInput("Dask is not installed: pip install 'qkdlab[dask]'", field="--workers", value="dask") from None
        self._distributed = distributed
        with contextlib.ExitStack() as stack:
            where = self._address
            if where is None:
                where = stack.enter_context(distributed.LocalCluster(
                    n_workers=self._workers, threads_per_worker=1, processes=True, host="127.0.0.1",
                    dashboard_address="127.0.0.1:0", silence_logs=50))
            try:
                self._client = stack.enter_context(distributed.Client(where, timeout=10, set_as_default=False))
            except OSError as error:
                raise BadInput(f"no Dask scheduler answers there: {error}", field="--workers", value=where) from None
            if self._address is not None:
                self._workers = max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        return self._stack.__exit__(*exception)

    def _submit(self, function, task):
        return self._client.submit(function, task, pure=False)

    def _first(self, futures):
        with self._client.as_current():
            return self._distributed.wait(futures, return_when="FIRST_COMPLETED").done


KINDS = {"serial": lambda _: _Serial(), "threads": lambda n: _Threads(_count(n)),
         "processes": lambda n: _Processes(_count(n)),
         "dask": lambda where: _Dask(int(where)) if where and where.isdigit() else _Dask(None, where)}


def executor(words="serial"):
    """An executor by its name.

    Parameters
    ----------
    words : str
        ``serial``; ``threads`` or ``processes``, as many as there are processors, or ``threads:N``, ``processes:N``;
        ``dask`` or ``dask:N`` for a cluster on this machine that is reached over loopback only, or
        ``dask:tcp://host:port`` for one that runs already (its workers need qkdlab).

    Returns
    -------
    Executor
        A context manager.

    Raises
    ------
    BadInput
        Where there is no such kind.
    """
    name, _, rest = str(words).partition(":")
    if name not in KINDS:
        raise BadInput(f"unknown kind of workers; {nearest(name, KINDS)}", field="--workers", value=words)
    if rest and name == "serial":
        raise BadInput("one after the other takes no number", field="--workers", value=words)
    return KINDS[name](rest)


def _count(text):
    if text and not text.isdigit():
        raise BadInput("a number of workers is expected", field="--workers", value=text)
    return int(text) if text else None
