"""The documentation site: ``make docs`` builds it into build/docs. Nothing is fetched from the net, and nothing is run."""

import functools
import importlib.metadata
import json
import pathlib
import shutil

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

project = "qkdlab"
author = "the qkdlab team"
release = importlib.metadata.version("qkdlab") if "qkdlab" in {
    d.name for d in importlib.metadata.distributions() if d.name} else ""
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["**/.ipynb_checkpoints", "key_rate_peer.py"]
nb_execution_mode = "off"                       # the tests execute the notebooks; here they are read
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist", "attrs_inline"]
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
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}          # light or dark as the browser likes it
html_sidebars = {page: [] for page in (             # they have no pages below them
    "start", "users/*", "concepts/*", "howto/*", "security", "cross-check", "performance", "developing", "commands")}
html_theme_options = {"header_links_before_dropdown": 4, "navigation_depth": 2, "show_toc_level": 2, "footer_start": [],
                      "footer_end": [], "secondary_sidebar_items": ["page-toc"], "navbar_align": "left"}
html_math_renderer = "mathml"                  # browsers draw it themselves: no script, nothing asked from the net


# Pages of modules that are gone would stay.
shutil.rmtree(pathlib.Path(__file__).parent / "api" / "made", ignore_errors=True)


def figure_of(docname):
    """The picture of a notebook while it runs, if one was taken: its file in images/."""
    folder, name = docname.split("/")[-2:]
    names = {"tutorials": ("first-key" if name.startswith("01") else f"tutorial-{name[:2]}"), "apps": f"app-{name}",
             "classroom": f"classroom-{name}", "lab": name}
    picture = pathlib.Path(__file__).parent / "images" / f"{names[folder]}.png"
    return picture if picture.exists() else None


def show_figure(app, docname, source):
    """Notebooks are kept without outputs: below its first words, each shows what it looks like when it runs."""
    picture = figure_of(docname) if docname.startswith("notebooks/") else None
    if picture is None:
        return
    notebook = json.loads(source[0])
    title = "".join(notebook["cells"][0]["source"]).splitlines()[0].lstrip("# ")
    words = f"![The running notebook: {title}](/images/{picture.name})"
    notebook["cells"].insert(1, {"cell_type": "markdown", "id": "figure", "metadata": {}, "source": words})
    source[0] = json.dumps(notebook)


def write_math(translator, node, block=False):
    translator.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app):
    """A name is documented where it is made; where it is only offered, the page links to it."""
    def offered_only(app, what, name, obj, skip, options):
        here = app.env.temp_data.get("autodoc:module") or getattr(app.env.current_document, "autodoc_module", None)
        made = getattr(obj, "__module__", None)
        return True if what == "module" and here and made and made != here else None

    app.connect("autodoc-skip-member", offered_only)
    app.connect("source-read", show_figure)
    block = functools.partial(write_math, block=True)
    app.add_html_math_renderer("mathml", (write_math, None), (block, None))
