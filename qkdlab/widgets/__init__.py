"""Settings panels, live plots and the workbench. The only importer of ipywidgets, bokeh and anywidget."""

from . import lessons
from .bench_app import BenchApp
from .calibration_panel import CalibrationPanel
from .live import arrivals, bounds, gains, key_length, qber, rates, watch
from .live_figure import LiveFigure
from .replay_app import ReplayApp
from .settings_panel import SettingsPanel
from .workbench import Workbench

__all__ = [
    "BenchApp", "CalibrationPanel", "LiveFigure", "ReplayApp", "SettingsPanel", "Workbench",
    "arrivals", "bounds", "gains", "key_length", "lessons", "qber", "rates", "watch",
]
