"""The documentation as it is built: no link leads nowhere, and search finds things."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.thorough


class Page(HTMLParser):
    """The links of a page, and the names that links can point at."""

    def __init__(self, path):
        super().__init__()
        self.links, self.names = set(), set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        """Keep what points somewhere and what can be pointed at."""
        attrs = dict(attrs)
        self.names.update(filter(None, (attrs.get("id"), attrs.get("name"))))
        for key in ("href", "src"):
            if attrs.get(key):
                self.links.add((tag, attrs[key]))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build all pages; the examples are not run."""
    pytest.importorskip("pydata_sphinx_theme")
    pytest.importorskip("sphinx_gallery")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html"]
    places = [f"-d{folder / 'doctrees'}", ROOT / "docs", folder / "html"]
    subprocess.run([*command, *places], check=True)
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site):
    """All pages, by their paths."""
    places = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path: Page(path) for path in places}


def test_internal_links(site, pages):
    """They lead to a file of the site, and to a name in it."""
    broken = set()
    for path, page in pages.items():
        for _, link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = path if not parts.path else target
            names = pages[target].names if target in pages else {parts.fragment}
            if not target.exists() or parts.fragment not in names | {""}:
                broken.add((str(path.relative_to(site)), link))
    assert len(pages) > 50
    assert broken == set()


def test_nothing_is_loaded_from_elsewhere(pages):
    """Scripts, pictures and styles come with the pages: readers need no network."""
    loaded = {
        link
        for page in pages.values()
        for tag, link in page.links
        if tag in {"script", "img", "link"} and urlsplit(link).netloc
    }
    assert loaded == set()


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("forget", "user_guide/how_to_forget"),
        ("queue", "user_guide/groups_and_queues"),
        ("imbal", "user_guide/imbalance"),
    ],
)
def test_search(site, word, page):
    """A word leads to the page that is about it."""
    index = (site / "searchindex.js").read_text()
    names = re.search(r'"?docnames"?:\s*(\[.*?\])', index)[1]
    number = re.findall(r'"([^"]+)"', names).index(page)
    found = re.findall(rf'[{{,]"?{word}"?:\s*(\[[\d,\s]*\]|\d+)', index)
    assert str(number) in re.findall(r"\d+", " ".join(found))  # in texts or titles


def test_examples_are_linked_from_the_reference(site):
    """Below each class stand the examples that use it."""
    page = site / "generated" / "skunlearn.ShardedUnlearningClassifier.html"
    assert "Examples using" in page.read_text()
