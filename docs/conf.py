"""The static site that `make site` builds: a front page, and the notebooks as they are stored.

Sphinx reads a folder with index.md and copies of README.md, experiments/, figures/, notebooks/
and results/. The site needs no network, to be built or to be read.
"""

import re
from pathlib import Path
from typing import Any

import jinja2
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

from kanlib.experiments import load_experiment

project = "kanlib"
html_title = "kanlib"
extensions = ["myst_nb"]
include_patterns = ["index.md", "notebooks/*.ipynb"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]

html_theme = "furo"
pygments_dark_style = "monokai"  # the theme's own underlines names as if they were links
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
smartquotes = False  # names as they are in the tables
html_show_copyright = html_show_sourcelink = html_copy_source = False
html_use_index = False
html_show_search_summary = False  # a page of the file system may not read the others
html_math_renderer = "mathml"


def findings(top: Path) -> str:
    """README.md up to its second section, its links turned into those that the site has.

    A link to results/<name>.md leads to that table on the page, one to another file to the file;
    what is not part of the site is named without a link.
    """

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        if re.fullmatch(r"results/[^/]+\.md", target):
            return f"[{text}](#{Path(target).stem})"
        return match[0] if target.startswith("http") or (top / target).is_file() else text

    text = "\n## ".join((top / "README.md").read_text().split("\n## ")[:2])
    return re.sub(r"(?<!!)\[([^]]+)\]\(([^)]+)\)", link, text)


def results(top: Path) -> list[dict[str, Any]]:
    """Tables and figures by experiment; a file is named <experiment>.* or <experiment>_<what>.*."""
    figures = sorted(top.glob("figures/*.png"))
    # A table for readers comes with a .md; times of single rounds do not.
    tables = [
        path for path in sorted(top.glob("results/*.csv")) if path.with_suffix(".md").exists()
    ]
    groups = []
    for name in sorted({path.stem.partition("_")[0] for path in tables + figures}):
        file = top / f"experiments/{name}.yaml"
        experiment = load_experiment(file) if file.exists() else None
        mine = [path for path in tables if path.stem.partition("_")[0] == name]
        groups.append(
            {
                "title": experiment.title if experiment else name,
                "about": experiment.about if experiment else "",
                # Rounded and in Markdown beside the CSV: see kanlib/report/tables.py.
                "tables": {path.stem: path.with_suffix(".md").read_text() for path in mine},
                "figures": [p.stem for p in figures if p.stem.partition("_")[0] == name],
            }
        )
    return groups


def fill_in(app: Sphinx, name: str, source: list[str]) -> None:
    """The front page from its template."""
    if name == "index":
        top = Path(app.srcdir)
        page = jinja2.Template(source[0], trim_blocks=True, lstrip_blocks=True)
        source[0] = page.render(findings=findings(top), results=results(top))


def inline_math(translator: Any, node: nodes.math) -> None:
    """Formulas as MathML, which browsers draw themselves: MathJax would come from the network."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """The same for a formula on a line of its own."""
    translator.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", fill_in)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
