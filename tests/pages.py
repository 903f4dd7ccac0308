"""The project's pages as texts: their prose, sentences, code, links and anchors."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

# The pages for readers; docs/index.md is the template of the site's front page.
TEMPLATES = ("index.md", "all-results.md")  # which the site fills in
DOCS = sorted(path for path in Path("docs").glob("*.md") if path.name not in TEMPLATES)
PAGES = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    Path("CHANGELOG.md"),
    Path("notebooks/README.md"),
    *DOCS,
]
NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))
GENERATED = re.compile(r"<!-- (results/\S+\.md) -->\n(.*?)<!-- end -->", re.DOTALL)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[((?:[^\]\\`]|`[^`]*`)*)\]\(([^)\s]+)\)")


def text_of(path: Path) -> str:
    """The Markdown of a page or notebook."""
    if path.suffix != ".ipynb":
        return path.read_text()
    cells = nbformat.read(path, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def fenced(path: Path, language: str) -> list[str]:
    """The code blocks of a language."""
    return [code for name, code in FENCED.findall(text_of(path)) if name == language]


def links(path: Path) -> list[str]:
    """The targets of links and images, without those to other sites."""
    text = FENCED.sub("", text_of(path))
    return [target for _, _, target in LINK.findall(text) if not target.startswith("http")]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub and Sphinx make of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", text_of(path)), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", LINK.sub(r"\2", heading)) for heading in headings]
    return {heading.strip().lower().replace(" ", "-") for heading in plain}


def readable(text: str) -> str:
    """What a reader sees as words: no code, addresses, generated tables or pictures."""
    for hidden in (GENERATED, FENCED, r"(?s)<!--.*?-->", r"(?s)\$\$.*?\$\$"):
        text = re.sub(hidden, "\n\n", text)
    text = LINK.sub(lambda link: "" if link[1] else link[2], text)
    return re.sub(r"`[^`]*`|\$[^$\n]+\$", "code", text)


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs, items of lists and cells of tables, each in one line; no headings."""
    lines: list[str] = []
    for line in [*readable(text).splitlines(), ""]:
        line = line.strip().removeprefix(">").strip()
        item = re.match(r"(?:[-*]|\d+\.) +", line)
        if not line or line[0] in "|#:" or item:
            if lines:
                yield " ".join(lines)
            lines = []
        if line.startswith("|"):
            yield from (cell.strip() for cell in line.strip("|").split("|"))
        elif line and line[0] not in "#:":
            lines.append(line[item.end() if item else 0 :])


def sentences(text: str) -> Iterator[str]:
    """The sentences of all paragraphs."""
    for paragraph in paragraphs(text):
        plain = re.sub(r"[*_]{1,2}(\S.*?)[*_]{1,2}", r"\1", paragraph)
        yield from re.split(r"(?<=[.!?])[\"')]*\s+(?=[\"'(\[A-Z0-9])", plain)


def words(sentence: str) -> list[str]:
    """Its words and numbers."""
    return [word for word in sentence.split() if re.search(r"\w", word)]


def table_rows(text: str) -> list[str]:
    """The rows of all tables as a reader sees them."""
    rows = [line.strip() for line in FENCED.sub("", text).splitlines() if line.startswith("|")]
    seen = [LINK.sub(r"\2", row).replace("`", "").replace("*", "") for row in rows]
    return [re.sub(r"\s+", " ", row) for row in seen if not re.fullmatch(r"[|:\- ]+", row)]


def assert_quoted(number: str, value: float, seen: list[str]) -> None:
    """A reader sees ``number`` on the page, and it is ``value`` with as many digits."""
    assert number in seen
    digits = number.strip("+\N{MINUS SIGN}%").replace(",", "")
    value *= 100 if number.endswith("%") else 1
    assert f"{abs(value):.{len(digits.partition('.')[2])}f}" == digits
