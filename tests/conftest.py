"""Fixtures that several tests share."""

import importlib
import os
import pathlib

import hypothesis
import pytest

from qkdlab import _ext
from qkdlab.instruments.instrument import Instrument
from qkdlab.instruments.thorlabs_osw import ThorlabsOsw

pytest_plugins = ["browser_pages"]

PATIENCE_S = 60.0
ROOT = pathlib.Path(__file__).resolve().parent.parent

# The same examples in every run, however slow the machine: a commit is not refused by the throw of a die. New examples are
# drawn where they are asked for: HYPOTHESIS_PROFILE=many, as `make sanitize` does, or --hypothesis-profile=default.
hypothesis.settings.register_profile("same", deadline=None, derandomize=True, print_blob=True,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("many", deadline=None, max_examples=1000, print_blob=True,
                                     suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(params=_ext.paths)
def kernel(request):
    """A kernel by name, once for each instruction path of this machine: ``kernel("sift").compress(...)``."""
    return lambda name: importlib.import_module(f"qkdlab._ext.{request.param}.{name}")


@pytest.fixture(autouse=True)
def patient_drivers(monkeypatch):
    """A driver to which a test gives no time limit waits long for its answers: a busy machine may stand still."""
    for driver in (Instrument, ThorlabsOsw):
        monkeypatch.setattr(driver, "timeout_s", PATIENCE_S)


@pytest.fixture(scope="session")
def shared():
    """The folder of real recordings that lies beside the checkout in CI (``QKDLAB_SHARED`` names another)."""
    folder = pathlib.Path(os.environ.get("QKDLAB_SHARED", ROOT.parent / "shared"))
    if not (folder / "timetags").is_dir():
        pytest.skip(f"the real recordings are not here ({folder}); set QKDLAB_SHARED to their folder")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With QKDLAB_NO_SKIP=1 (as in CI) a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("QKDLAB_NO_SKIP") == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which QKDLAB_NO_SKIP forbids: {report.longrepr}"
