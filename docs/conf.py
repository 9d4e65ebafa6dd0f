"""The documentation site: ``make docs`` builds it into build/docs. Nothing is fetched from the net, and nothing is run."""

import importlib.metadata
import pathlib
import shutil

project = "qkdlab"
author = "the qkdlab team"
release = importlib.metadata.version("qkdlab") if "qkdlab" in {
    d.name for d in importlib.metadata.distributions() if d.name} else ""
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/.ipynb_checkpoints", "key_rate_peer.py"]
nb_execution_mode = "off"                       # the tests execute the notebooks; here they are read
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type", "ref.python"]  # a name is told where it is made and where it is offered

autosummary_generate = True
autodoc_typehints = "none"                      # types and units are in the docstrings
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": False, "show-inheritance": False}
autodoc_mock_imports = []
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "qkdlab"
html_static_path = []
html_show_sourcelink = False
html_theme_options = {"navigation_depth": 2, "show_toc_level": 2, "footer_start": [], "footer_end": [],
                      "secondary_sidebar_items": ["page-toc"], "navbar_align": "left"}
mathjax_path = "unused.js"                     # no page has a formula in TeX: nothing is asked from the net


# Pages of modules that are gone would stay.
shutil.rmtree(pathlib.Path(__file__).parent / "api" / "made", ignore_errors=True)


def setup(app):
    """A name is documented where it is made; where it is only offered, the page links to it."""
    def offered_only(app, what, name, obj, skip, options):
        here = app.env.temp_data.get("autodoc:module") or getattr(app.env.current_document, "autodoc_module", None)
        made = getattr(obj, "__module__", None)
        return True if what == "module" and here and made and made != here else None

    app.connect("autodoc-skip-member", offered_only)
