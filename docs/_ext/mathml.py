"""Render formulas as MathML when the pages are built, so that readers need no network.

docutils translates LaTeX, and browsers draw MathML. The alternative, MathJax, is loaded
from another site or is larger than all of the pages.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

# What docutils does not know, by what it does.
REPLACEMENTS = {
    r"\dots": r"\ldots",
    r"\Big/": "/",
    r"\big/": "/",
    r"\textstyle": "",
    r"\displaystyle": "",
}

logger = logging.getLogger(__name__)


def translate(tex: str, node: nodes.Node, as_block: bool = False) -> str:
    """Return MathML, or the formula as it is written, with a warning."""
    for unknown, known in REPLACEMENTS.items():
        tex = tex.replace(unknown + " ", known + " ").replace(unknown, known)
    try:
        return tex2mathml(tex, as_block=as_block)
    except Exception as error:
        logger.warning("cannot translate %r: %s", tex, error, location=node)
        return f"<code>{nodes.unescape(tex)}</code>"


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(translate(node.astext(), node))
    raise nodes.SkipNode


def visit_math_block(self: Any, node: nodes.math_block) -> None:
    """Write a formula by itself, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(translate(node.astext(), node, as_block=True))
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Make the renderer known."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
