"""Settings panels, live plots and the workbench. The only importer of ipywidgets, bokeh and anywidget."""

from .live import arrivals, gains, key_length, qber, rates, watch
from .live_figure import LiveFigure
from .settings_panel import SettingsPanel
from .workbench import Workbench

__all__ = ["LiveFigure", "SettingsPanel", "Workbench", "arrivals", "gains", "key_length", "qber", "rates", "watch"]
