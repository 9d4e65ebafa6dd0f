"""The report of a run as one HTML page that needs nothing else: verdict, figures, numbers, ledger. Prints to PDF."""

import html
import pathlib

from . import figures
from .errors import BadInput
from .report import as_text, ledger_text
from .verdict import compared, judged

__all__ = ["page", "write"]

SHOWN = ("qber", "key_length", "rates", "gains", "bounds", "arrivals")
VERDICT_STYLE = """<style>
.verdict { border: 1px solid var(--jp-border-color2, #ccc); border-left: 8px solid #808080; border-radius: 4px;
  padding: 8px 16px; background: var(--jp-layout-color1, #fff); line-height: 1.45; margin: 0 0 10px; }
.verdict.key { border-left-color: #009E73; } .verdict.no { border-left-color: #D55E00; }
.verdict p { margin: 4px 0; } .verdict ul { margin: 4px 0; } .verdict p.headline { font-size: 18px; font-weight: 600; }
</style>"""
SIGNS = {"key": "&#10003;", "no key": "&#10007;", "failed": "&#9888;"}

STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif; color: #212121;
  max-width: 1020px; margin: 24px auto; padding: 0 20px; }
h1 { font-size: 22px; margin: 0 0 2px; } h2 { font-size: 17px; margin: 26px 0 8px; }
.sub { color: #555; margin: 0 0 16px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(400px, 1fr)); gap: 10px 20px; }
.figures figure { margin: 0; } .figures svg { width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 3px 14px 3px 0; text-align: left; border-bottom: 1px solid #e0e0e0; font-weight: normal; }
th { color: #555; } pre { font: 12.5px/1.4 ui-monospace, Consolas, monospace; white-space: pre-wrap; }
footer { color: #555; font-size: 13px; margin: 28px 0; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } pre { font-size: 7pt; }
  .figures, .verdict, pre, table { break-inside: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } details > * { display: block; } }
"""


def page(report, history=None, *, made="", abort_qber=0.11, intensities=(), before=None):
    """The report as an HTML document: no script, nothing fetched from anywhere.

    Parameters
    ----------
    report : dict
        As made by :class:`qkdlab.Session`.
    history : qkdlab.figures.History, optional
        What the session told; the figures are left out without it.
    made : str
        When the run was made, as the reader should see it.
    abort_qber : float
    intensities : sequence of float
        Mean photon numbers.
    before : dict, optional
        Report of an earlier run, to be set beside this one.

    Returns
    -------
    str
    """
    verdict = judged(report, abort_qber)
    name = html.escape(pathlib.PurePath(report["recording"]).name)
    parts = [f"<h1>Quantum key distribution: {name}</h1>",
             f'<p class="sub">{html.escape(made)}</p>' if made else "", verdict_html(verdict)]
    if history is not None and history.rows:
        parts += ["<h2>How the run went</h2>", '<div class="figures">', *(
            f'<figure role="img" aria-label="{html.escape(_title(figure))}">{figures.as_svg(figure)}</figure>'
            for figure in (figures.draw(n, history, abort_qber=abort_qber, intensities=intensities) for n in SHOWN)),
            "</div>"]
    if before is not None:
        parts += [f"<h2>Beside {html.escape(pathlib.PurePath(before['recording']).name)}</h2>",
                  comparison_html(compared(report, before))]
    parts += ["<h2>Step by step</h2>", f"<pre>{html.escape(as_text(report))}</pre>",
              "<h2>Security ledger</h2>",
              "<p>Every bit that was said aloud, every probability of failure, every assumption.</p>",
              f"<pre>{html.escape(ledger_text(report['ledger']))}</pre>",
              f"<footer>qkdlab {html.escape(str(report['provenance'].get('qkdlab', '')))} &middot; settings "
              f"{report['settings_sha256'][:16]} &middot; the key itself is not in this report</footer>"]
    return ('<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{name}: report</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts)
            + "\n</body></html>\n")


def write(path, *arguments, **options):
    """:func:`page` into a file that must not exist."""
    text = page(*arguments, **options)
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadInput(error.strerror or str(error), where=path) from None


def verdict_html(verdict):
    """A verdict as an HTML block: sign, headline, reasons, what to look at next."""
    kind = verdict.outcome.split()[0]
    parts = [VERDICT_STYLE, f'<div class="verdict {kind}" role="status">',
             f'<p class="headline"><span aria-hidden="true">{SIGNS[verdict.outcome]}</span> '
             f"{html.escape(verdict.headline)}</p>",
             *(f"<p>{html.escape(w)}</p>" for w in verdict.why)]
    if verdict.checks:
        parts += ["<p><b>What to look at next</b></p><ul>", *(f"<li>{html.escape(c)}</li>" for c in verdict.checks), "</ul>"]
    return "\n".join([*parts, "</div>"])


def comparison_html(rows):
    """Two runs beside each other, as an HTML table (rows of :func:`qkdlab.verdict.compared`)."""
    cells = "\n".join(f"<tr><th scope=row>{html.escape(r['name'])}</th><td>{html.escape(r['now'])}</td>"
                      f"<td>{html.escape(r['before'])}</td><td>{html.escape(r['words'])}</td></tr>" for r in rows)
    return f"<table><tr><th></th><th>this run</th><th>the other</th><th></th></tr>\n{cells}</table>"


def _title(figure):
    return figure.axes[0].get_title(loc="left")
