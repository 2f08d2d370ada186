"""How the documentation is built: ``sphinx-build -W -b html docs docs/_build/html``.

The build needs no network. The pages of the examples are made without running them;
``-D plot_gallery=1`` runs them and shows what they print.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx_gallery.sorting import ExplicitOrder

import skunlearn


def find_own_methods() -> dict[str, list[str]]:
    """Return the methods of each public class that scikit-learn does not define."""
    found = {}
    for module in ("", *skunlearn.__all__):
        name = f"skunlearn.{module}".rstrip(".")
        value = skunlearn if not module else getattr(skunlearn, module)
        if inspect.ismodule(value):
            for public in value.__all__:
                cls = getattr(value, public)
                if inspect.isclass(cls):
                    found[f"{name}.{public}"] = list_methods(cls)
    return found


def list_methods(cls: type) -> list[str]:
    """Return the names of methods that a class, or a mixin of ours, defines."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("skunlearn")]
    return sorted(
        {
            name
            for base in ours
            for name, value in vars(base).items()
            if not name.startswith("_")
            and not name.endswith("_request")
            and inspect.isroutine(getattr(cls, name, None) or value)
        }
    )


sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skunlearn"
author = "The skunlearn developers"
copyright = f"2026, {author}"
version = release = skunlearn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "charts",  # in _ext
    "mathml",  # in _ext
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
html_math_renderer = "mathml"
templates_path = ["_templates"]
default_role = "literal"
nitpicky = True  # a reference that leads nowhere fails the build
nitpick_ignore_regex = [
    ("py:obj", r"\w+_"),  # fitted attributes have no own page
    ("std:ref", "metadata_routing"),  # in docstrings that scikit-learn hands down
    ("std:term", "fit"),
]

copybutton_prompt_text = r">>> |\.\.\. "  # what is copied is ready to be pasted
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
autodoc_typehints = "none"  # the docstrings tell types in words
toc_object_entries_show_parents = "hide"
autosummary_context = {"own_methods": find_own_methods()}
numpydoc_show_class_members = False  # our own template lists the methods
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

plot_gallery = "False"  # the command line's -D plot_gallery=1 overrides it
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ExplicitOrder(
        ["../examples/requests", "../examples/exact", "../examples/linear_models", "*"]
    ),
    "backreferences_dir": "generated/backlinks",  # for "Examples using"
    "doc_module": ("skunlearn",),
    "inspect_global_variables": False,
    "filename_pattern": r"/(plot_|quickstart)",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skunlearn {release}"
html_static_path = ["_static"]
html_favicon = "_static/logo.svg"
html_css_files = ["custom.css"]
html_copy_source = False
html_theme_options = {
    "logo": {
        "text": "skunlearn",
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo.svg",
        "alt_text": "skunlearn: home",
    },
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version", "theme-version"],
    "secondary_sidebar_items": {"**": ["page-toc"], "benchmarks": []},
    "show_prev_next": False,
}
WITHOUT_SIDEBAR = (  # they have no pages below them
    "index",
    "getting_started",
    "benchmarks",
    "whats_new",
    "contributing",
    "search",
    "genindex",
    "py-modindex",
)
html_sidebars = {page: [] for page in WITHOUT_SIDEBAR}

# Pages of the libraries that docstrings refer to. (intersphinx would have to download
# their inventories at every build.)
PAGES = {
    "sklearn.": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "joblib.": "https://joblib.readthedocs.io/en/stable/generated/{}.html",
}


def link_to_library(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Return a link to the page of an object of another library, or None."""
    target = node.get("reftarget", "")
    for prefix, address in PAGES.items():
        if target.startswith(prefix):
            uri = address.format(target)
            return nodes.reference("", "", content, refuri=uri, internal=False)
    return None


def setup(app: Any) -> None:
    """Tell Sphinx of the links above."""
    app.connect("missing-reference", link_to_library)
