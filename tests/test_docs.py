"""The documentation: the site builds without a warning, asks the net for nothing, and its links lead somewhere."""

import html.parser
import os
import pathlib
import re
import subprocess
import sys

import pytest

from qkdlab.errors import BadInput

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


class Links(html.parser.HTMLParser):
    """What a page fetches by itself, and where it leads within the site."""

    def __init__(self):
        super().__init__()
        self.fetched, self.led = [], []

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        if tag in ("script", "img", "iframe") and named.get("src"):
            self.fetched.append(named["src"])
        if tag == "link" and "stylesheet" in (named.get("rel") or "") and named.get("href"):
            self.fetched.append(named["href"])
        if tag == "a" and named.get("href"):
            self.led.append(named["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="the documentation's builder is not installed (extra `docs`)")
    place = tmp_path_factory.mktemp("site")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(place / "trees"),
               "docs", str(place / "html")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5000:]
    return place / "html"


def test_pages_stand_alone(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        links = Links()
        links.feed(page.read_text(encoding="utf-8"))
        assert not [a for a in links.fetched if a.startswith(("http:", "https:", "//"))], page
        for address in links.led:
            target = re.split("[#?]", address)[0]
            if target and "://" not in target and not target.startswith(("mailto:", "data:")):
                assert (page.parent / target).resolve().exists(), (page, address)


def test_three_users_are_at_the_door(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    assert all(f'href="users/{who}.html"' in front for who in ("physicist", "student", "technician"))


def test_every_command_is_on_the_page_of_commands():
    from qkdlab.cli import _parser

    told = (DOCS / "commands.md").read_text()
    names = [name for action in _parser()._actions for name in getattr(action, "choices", None) or ()]
    assert len(names) == 15 and [name for name in names if f"`qkdlab {name}" not in told] == []


def told_commands():
    """What README, docs and notebooks tell one to type, optional parts included."""
    pages = [ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "notebooks").glob("*/*.ipynb")]
    for page in pages:
        for line in re.findall(r"`(qkdlab[^`]*)`|^(qkdlab .*)$", page.read_text(encoding="utf-8"), re.M):
            words = re.sub(r"\\*\|\w+|[\[\]]", "", " ".join(line)).partition("#")[0].partition(">")[0].split()
            if words[0] == "qkdlab":                     # and not qkdlab.session
                yield page.name, " ".join(words)


@pytest.mark.parametrize("where, command", sorted(set(told_commands())))
def test_what_one_is_told_to_type_is_understood(where, command):
    from qkdlab.cli import _parser

    words = command.split()[1:]
    if words == ["COMMAND", "--help"]:
        return
    try:
        _parser().parse_args(words)
    except SystemExit:
        assert "--help" in words
    except BadInput as error:                            # a command that is only named, without what it needs
        assert "are required" in str(error) and not [w for w in words[1:] if not w.startswith("-")], where


def test_formulas_are_drawn_and_notebooks_show_what_they_look_like(site):
    for page in (site / "notebooks" / "tutorials").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "\\(" not in text and "\\[" not in text and "alt=\"The running notebook" in text, page
    assert all("<math" in (site / "notebooks" / "tutorials" / f"{name}.html").read_text(encoding="utf-8")
               for name in ("03-weak-pulses", "04-decoy-states", "08-privacy-amplification"))


def test_every_notebook_has_a_picture_and_is_chosen_by_it(site):
    chosen = (site / "notebooks.html").read_text(encoding="utf-8")
    pages = list((site / "notebooks").rglob("*.html"))
    assert len(pages) == len(list((ROOT / "notebooks").glob("*/*.ipynb")))
    assert [page for page in pages if "The running notebook" not in page.read_text(encoding="utf-8")] == []
    gallery = chosen.partition('class="gallery')[2]
    assert [page for page in pages if f'href="{page.relative_to(site).as_posix()}"' not in gallery] == []
    assert max(picture.stat().st_size for picture in (DOCS / "images").iterdir()) < 150_000


def test_every_target_of_make_that_is_also_a_folder_is_made():
    makefile = (ROOT / "Makefile").read_text()
    targets, phony = set(re.findall(r"^(\w+):(?!=)", makefile, re.M)), re.search(r"^\.PHONY: (.*)$", makefile, re.M).group(1)
    assert "docs" in targets and targets <= set(phony.split())
