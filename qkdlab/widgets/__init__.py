"""Settings panels, live plots and the workbench. The only importer of ipywidgets, bokeh and anywidget."""
