"""The static site that `make site` builds: a front page, text pages, notebooks, API, all results.

Sphinx reads a folder laid out as the repository, with index.md at its top, and copies of docs/,
experiments/, figures/, notebooks/, results/ and README.md. Building and reading need no network.
"""

import importlib
import inspect
import json
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pydantic
import torch
from docutils import nodes
from docutils.nodes import make_id
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python._object import PyObject
from sphinx.transforms import SphinxTransform

import kanlib
from kanlib.experiments import load_experiment

project = "kanlib"
html_title = "kanlib"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
include_patterns = ["index.md", "docs/*.md", "docs/api/*.md", "notebooks/*.ipynb"]
include_patterns += ["results/benchmarks/summary.md"]
nb_execution_mode = "off"
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_display_short_literal_types = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # signatures have the types
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"
add_module_names = False

html_theme = "furo"
pygments_dark_style = "monokai"  # the theme's own underlines names as if they were links
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
smartquotes_action = "D"  # dashes alone: names stay as they are in the tables
html_show_copyright = html_show_sourcelink = html_copy_source = False
html_use_index = html_domain_indices = False
html_show_search_summary = False  # it fetches pages, which a page of the file system may not
html_math_renderer = "mathml"

# Pages by group; one of docs/ that is not named here comes last.
PAGES = {
    "Start": ["docs/install", "docs/layers", "docs/own-data", "docs/reproduce", "docs/cluster"],
    "Results": ["docs/findings", "docs/all-results", "docs/limitations", "docs/speed"],
    "Reference": ["docs/api/index", "docs/glossary"],
}
# Notebooks by the number in their names; one that is not named here goes further.
NOTEBOOKS = {
    "The paper": ["00"],
    "Understand": ["01", "02"],
    "Check the paper": ["05", "06"],
    "Go further": ["07", "08", "09", "10", "11", "12"],
    "Appendix": ["03", "04"],
}
# Sections of the page of all results, by what the names of experiments start with.
SECTIONS = {
    "The verdicts": ("paper", "scoreboard", "claims", "verdicts", "audit"),
    "The paper's error curves": ("elbow",),
    "The paper's comparison": ("small", "tuned", "linear", "mnist", "output", "matched"),
    "What it costs": ("worth", "training", "benchmarks"),
    "What it depends on": ("sensitivity", "pairs", "stability"),
    "What its edges are worth": ("interpretability",),
    "Time series": ("series",),
}


def title(path: Path) -> str:
    """The first heading of a page or notebook."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    return next(line[2:] for line in text.splitlines() if line.startswith("# "))


def groups(top: Path) -> dict[str, list[str]]:
    """The lines of the sidebar by group; notebooks have their numbers there."""

    def numbered(path: Path) -> str:
        return f"{path.stem[:2]} {title(path)} <notebooks/{path.stem}>"

    def pages(names: list[str]) -> list[str]:
        return [name for name in names if (top / f"{name}.md").is_file()]

    placed = [name for names in PAGES.values() for name in names]
    other = {f"docs/{path.stem}" for path in top.glob("docs/*.md")}.difference(placed)
    further = set().union(*NOTEBOOKS.values())
    found: dict[str, list[str]] = {name: [] for name in NOTEBOOKS}
    for path in sorted(top.glob("notebooks/*.ipynb")):
        number = path.stem[:2] if path.stem[:2] in further else NOTEBOOKS["Go further"][0]
        found[next(k for k, v in NOTEBOOKS.items() if number in v)].append(numbered(path))
    return {
        "Start": pages(PAGES["Start"]),
        "Results": [*pages(PAGES["Results"]), "Benchmarks <results/benchmarks/summary>"],
        "Reference": pages(PAGES["Reference"] + sorted(other)),
        **{name: lines for name, lines in found.items() if lines},
    }


def answer(top: Path) -> str:
    """What README.md says before its first section, without its pictures and tables."""
    text = (top / "README.md").read_text().split("\n## ")[0]
    return re.sub(r"^(\||!\[|<!--).*\n?", "", text, flags=re.MULTILINE)


def brief(number: str) -> str:
    """A number with a decimal point in four significant digits; its whole part stays."""
    whole, _, decimals = number.lstrip("-").partition(".")
    zeros = len(decimals) - len(decimals.lstrip("0"))
    keep = zeros + 4 if whole == "0" else max(0, 4 - len(whole))
    if len(decimals) <= keep:
        return number
    shorter = f"{float(number):.{keep}f}"
    return brief(shorter) if keep else shorter  # 999.96 is 1000.0 now, one digit too many


def readable(text: str) -> str:
    """Tables in Markdown or HTML: numbers as ``brief``, and a dash where there is none."""
    cell = r"(\|\s*|<td[^>]*>\s*)({})(?=\s*\||\s*</td>)"
    text = re.sub(cell.format(r"-?\d+\.\d+"), lambda m: m[1] + brief(m[2]), text)
    return re.sub(cell.format("(?i:nan|none)"), r"\1–", text)


def results(top: Path) -> dict[str, list[dict[str, Any]]]:
    """Tables and figures by section and experiment, of which file names start with the name."""
    figures = sorted(top.glob("figures/*.png"))
    # A table for readers comes with a .md; times of single rounds do not.
    tables = [p for p in sorted(top.glob("results/*.csv")) if p.with_suffix(".md").exists()]
    sections: dict[str, list[dict[str, Any]]] = {name: [] for name in [*SECTIONS, "More"]}
    for name in sorted({path.stem.partition("_")[0] for path in tables + figures}):
        file = top / f"experiments/{name}.yaml"
        experiment = load_experiment(file) if file.exists() else None
        mine = {p.stem: p for p in tables if p.stem.partition("_")[0] == name}
        drawn = [p.stem for p in figures if p.stem.partition("_")[0] == name]
        starts = (key for key, names in SECTIONS.items() if name.split("-")[0] in names)
        sections[next(starts, "More")].append(
            {
                "title": experiment.title if experiment else name.capitalize(),
                "about": experiment.about if experiment else "",
                "holds": f"tables: {len(mine)}, figures: {len(drawn)}",
                "tables": {
                    stem: readable(path.with_suffix(".md").read_text())
                    for stem, path in mine.items()
                },
                "figures": drawn,
            }
        )
    return {section: found for section, found in sections.items() if found}


def public(module: Any) -> list[str]:
    """The names that a module offers: ``__all__``, or what it defines without an underscore."""
    own = (name for name, value in vars(module).items() if is_own(module, name, value))
    return list(getattr(module, "__all__", own))


def is_own(module: Any, name: str, value: Any) -> bool:
    """A public class or function that is written in this module."""
    kind = inspect.isclass(value) or inspect.isfunction(value)
    return kind and not name.startswith("_") and value.__module__ == module.__name__


def modules(package: str) -> list[str]:
    """The package, if it names what it offers; otherwise its modules."""
    found = importlib.import_module(package)
    if hasattr(found, "__all__"):
        return [package]
    return [module.name for module in pkgutil.iter_modules(found.__path__, f"{package}.")]


def arguments(cls: type) -> str:
    """A signature to read where Python's own is none: of protocols and pydantic's models."""
    if getattr(cls, "_is_protocol", False):
        return "()"
    if not issubclass(cls, pydantic.BaseModel):
        return ""
    fields = cls.model_fields.items()
    given = (
        n if f.is_required() else f"{n}={f.get_default(call_default_factory=True)!r}"
        for n, f in fields
    )
    return f"(*, {', '.join(given)})"


def described(module: str) -> str:
    """The directives that describe all public names of a module, in their order."""
    found = importlib.import_module(module)
    lines = [f".. py:module:: {module}", ""]
    for name in public(found):
        value, path = getattr(found, name), f"{module}.{name}"
        if inspect.isclass(value):
            lines += [f".. autoclass:: {path}{arguments(value)}", "   :members:"]
            lines += ["   :show-inheritance:"] * issubclass(value, torch.nn.Module)
            lines += ["   :exclude-members: model_config, model_post_init", ""]
        elif callable(value):
            lines += [f".. autofunction:: {path}", ""]
        else:
            names = ", ".join(f"``{key}``" for key in value)
            lines += [f".. py:data:: {name}", f"   :type: {type(value).__name__}", ""]
            lines += [f"   {names}.", ""]
    return "\n".join(lines)


def api(package: str) -> str:
    """A package's page: its own names, or a section a module."""
    parts = []
    for module in modules(package):
        if module != package:
            parts += [f"## {module}", ""]
        parts += ["````{eval-rst}", described(module), "````", ""]
    return "\n".join(parts)


def at_top() -> dict[str, str]:
    """What ``kanlib`` itself offers: name -> the package that describes it."""
    packages = [kanlib.nn, kanlib.models]
    packages += map(importlib.import_module, ("kanlib.experiments", "kanlib.estimator"))
    return {
        name: next(p.__name__ for p in packages if name in p.__all__) for name in kanlib.__all__
    }


def folded(notebook: str) -> str:
    """A notebook whose cells are folded as in JupyterLab, and its tables made readable."""
    content = json.loads(notebook)
    for cell in content["cells"]:
        hidden = cell["metadata"].get("jupyter", {})
        tags = cell["metadata"].setdefault("tags", [])
        tags += ["hide-input"] * hidden.get("source_hidden", False)
        tags += ["hide-output"] * hidden.get("outputs_hidden", False)
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output["data"]["text/html"] = readable("".join(output["data"]["text/html"]))
    return json.dumps(content)


def as_written(app: Sphinx, what: str, name: str, it: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written for Python's prompt: |w| and ``name``_sd are no markup there."""
    kinds = [line.removeprefix(":type: ") for line in lines if line.startswith(":type: ")]
    if what == "property" and kinds:  # napoleon takes what stands before a colon for a type
        lines[:] = [f"{kinds[0]}: {lines[0]}", *(x for x in lines[1:] if ":type: " not in x)]
    for number, line in enumerate(lines):
        parts = line.split("``")  # every second one is a literal
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        parts[2::2] = [re.sub(r"^(?=\w)", r"\\ ", part) for part in parts[2::2]]
        lines[number] = "``".join(parts)


def fill_in(app: Sphinx, name: str, source: list[str]) -> None:
    """Pages from their templates; notebooks as they are shown."""
    top = Path(app.srcdir)
    if name.startswith("notebooks/"):
        source[0] = folded(source[0])
        return
    scoreboard = top / "results/scoreboard.md"
    offered: dict[str, Callable[[], Any]] = {
        "index": lambda: {
            "answer": answer(top),
            "groups": groups(top),
            "scoreboard": readable(scoreboard.read_text()) if scoreboard.exists() else "",
        },
        "docs/all-results": lambda: {"sections": results(top)},
        "docs/api/index": lambda: {"names": at_top()},
    }
    if name in offered:
        page = jinja2.Template(source[0], trim_blocks=True, lstrip_blocks=True)
        source[0] = page.render(offered[name]())
    elif name.startswith("docs/api/"):
        source[0] = jinja2.Template(source[0]).render(api=api)


class Links(SphinxTransform):
    """Links that are right in the repository lead to what the site has instead.

    A table in Markdown is a place on the page of all results, README.md is the front page. What is
    not part of the site, such as code, is named without a link.
    """

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Called by Sphinx on each page."""
        kinds = (addnodes.download_reference, addnodes.pending_xref)
        for node in [n for kind in kinds for n in self.document.findall(kind)]:
            path, _, anchor = node["reftarget"].partition("#")
            if node.get("reftype") != "myst" or not path:
                continue
            if node.get("refdomain") == "doc":  # a page, as seen from the top and without .md
                if path in self.env.found_docs:
                    continue
                place = Path(f"{path}.md")
                anchor = node.get("reftargetid") or ""
            else:
                place = Path(self.env.relfn2path(path)[0])
            if place == Path("README.md"):
                self.lead(node, "index", anchor if anchor == "scoreboard" else "")
            elif re.fullmatch(r"results/[^/]+\.md", place.as_posix()):
                self.lead(node, "docs/all-results", make_id(place.stem))
            elif not (Path(self.env.srcdir) / place).is_file() and re.search("[/.]", path):
                node.replace_self(node.children)

    def lead(self, node: nodes.Element, page: str, anchor: str) -> None:
        """Make ``node`` a link to ``anchor`` on ``page``."""
        here = self.app.builder.get_relative_uri(self.env.docname, page)
        link = nodes.reference("", "", internal=True, refuri=f"{here}#{anchor}" if anchor else here)
        link.extend(node.children)
        node.replace_self(link if link.astext() else [])


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
    app.connect("autodoc-process-docstring", as_written)
    app.add_transform(Links)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as docstrings call them
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
