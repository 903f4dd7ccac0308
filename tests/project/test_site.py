"""The site that `make site` builds, read from the file system in a browser without a network."""

import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from programs import run_program
from workflow import exclusive

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.slow
PACKAGES = ["nn", "data", "models", "training", "experiments", "report", "interpretability"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "site"
    here = [f"SITE={folder}", f"BIN={Path(sys.executable).parent}"]
    command = ["make", "-o", "setup", "site", *here]
    with exclusive():
        done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {page: BeautifulSoup(page.read_text(), "html.parser") for page in site.rglob("*.html")}


def texts(elements):
    return [element.get_text(" ", strip=True) for element in elements]


def test_every_notebook_is_there_with_its_pictures(site, pages):
    for path in Path("notebooks").glob("*.ipynb"):
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        stored = [o for c in cells for o in c.outputs if "image/png" in o.get("data", {})]
        page = pages[site / f"notebooks/{path.stem}.html"]
        assert len(page.select("article .cell_output img")) == len(stored)


def test_the_sidebar_leads_to_every_page_and_numbers_the_notebooks(site, pages):
    links = pages[site / "index.html"].select(".sidebar-tree a.reference")
    shown = {str(link["href"]): link.get_text() for link in links}
    for path in Path("notebooks").glob("*.ipynb"):
        assert shown[f"notebooks/{path.stem}.html"].startswith(path.stem[:2])
    written = {f"docs/{path.stem}.html" for path in Path("docs").glob("*.md")}
    assert written - {"docs/index.html"} <= set(shown)
    assert {f"docs/api/{package}.html" for package in PACKAGES} <= set(shown)


def test_the_front_page_has_the_short_answer_and_a_card_a_question(site, pages):
    page = pages[site / "index.html"]
    title, _, rest = Path("README.md").read_text().partition("\n")
    assert page.h1 and page.h1.get_text().startswith(title[2:])
    for paragraph in page.select("h1 ~ p"):  # those of the README, above all else
        assert " ".join(paragraph.get_text().split())[:20] in " ".join(rest.split())
    assert len(page.select("svg.idea")) == 2
    cards = page.select(".card")
    assert len(cards) >= 8
    for card in cards:
        assert card.a and card.img
        _, question, verdict = card.find_all("p")
        assert question.get_text().endswith("?")
        assert len(verdict.get_text().split()) <= 12
    assert len(page.select(".door")) == 3


def cells_of(table):
    """The texts of a table of a Markdown file, as a list of rows."""
    lines = table.strip().splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in [lines[0], *lines[2:]]]
    return [[re.sub(r"[*`]", "", cell).strip() for cell in row] for row in rows]


def test_all_results_are_on_one_page(site, pages):
    page = pages[site / "docs/all-results.html"]
    shown = {image["alt"] for image in page.select("article img")}
    # Those of the digits are made, perhaps at this moment, by the notebooks that other tests run.
    figures, tables = (
        [path for path in Path(folder).glob(pattern) if "digits" not in path.stem]
        for folder, pattern in (("figures", "*.png"), ("results", "*.md"))
    )
    assert {str(path) for path in figures} <= shown
    for path in tables:
        if not path.with_suffix(".csv").exists():
            continue
        [link] = [a for a in page.select("article a") if a.text == str(path.with_suffix(".csv"))]
        rows = [texts(row.select("th, td")) for row in link.find_next("table").select("tr")]
        wanted = cells_of(path.read_text())
        assert [len(row) for row in rows] == [len(row) for row in wanted]
        for row, cells in zip(rows, wanted, strict=True):
            for text, cell in zip(row, cells, strict=True):
                if text != "–" and re.fullmatch(r"-?\d+\.\d+", cell):
                    assert float(text) == pytest.approx(float(cell), rel=1e-3)
                elif text != "–":
                    assert text.replace(" ", "") == cell.replace(" ", "")


def test_tables_show_four_digits_and_no_nan(pages):
    for page, soup in pages.items():
        for text in texts(soup.select("article td")):
            assert text.lower() != "nan", page
            if re.fullmatch(r"-?\d+\.\d+", text):
                assert len(text.lstrip("-0.").replace(".", "")) <= 4, (page, text)


def offered(package):
    """Full names of what a package offers; where it names nothing, its modules do."""
    found = importlib.import_module(package)
    if hasattr(found, "__all__"):
        return [f"{package}.{name}" for name in found.__all__]
    modules = [m.name for m in pkgutil.iter_modules(found.__path__, f"{package}.")]
    assert modules
    names = {module: vars(importlib.import_module(module)) for module in modules}
    return [
        f"{module}.{name}"
        for module, values in names.items()
        for name in values.get("__all__", [n for n in values if n[0] != "_"])
        if "__all__" in values or getattr(values[name], "__module__", "") == module
        if not inspect.ismodule(values[name])
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_of_a_package_has_each_public_name(site, pages, package):
    ids = {tag["id"] for tag in pages[site / f"docs/api/{package}.html"].select("[id]")}
    assert set(offered(f"kanlib.{package}")) <= ids


@pytest.mark.parametrize("path", [*sorted(Path("docs/api").glob("*.md")), Path("docs/install.md")])
def test_the_example_of_a_page_runs(path, tmp_path):
    for example in re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL):
        done = run_program(example, tmp_path)
        assert done.returncode == 0, done.stderr


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_the_network(pages):
    ids = {page: {tag["id"] for tag in soup.select("[id]")} for page, soup in pages.items()}
    for page, soup in pages.items():
        for tag in soup.select("[href], [src]"):
            url = urlsplit(str(tag.get("href") or tag["src"]))
            if url.scheme:
                assert tag.name == "a" or url.scheme == "data", tag
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            assert target.is_file(), (page, tag)
            assert not url.fragment or url.fragment in ids[target], (page, tag)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The page of one notebook, built from a folder that has little else."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "source/notebooks").mkdir(parents=True)
    (folder / "source/results/benchmarks").mkdir(parents=True)
    (folder / "source/results/benchmarks/summary.md").write_text("# Speed\n")
    (folder / "source/README.md").write_text("# Title\n")
    shutil.copytree("figures", folder / "source/figures")
    shutil.copytree("docs", folder / "source/docs", ignore=shutil.ignore_patterns("*.md"))
    shutil.copy("docs/index.md", folder / "source")
    hidden = {"jupyter": {"source_hidden": True}}
    table = nbformat.v4.new_output(
        "display_data", {"text/html": "<table><tr><td>NaN</td><td>3890.6457</td></tr></table>"}
    )
    links = "[table](../results/verdicts.md), [code](../kanlib/nn/linear.py)"
    cells = [
        nbformat.v4.new_markdown_cell(f"# Twelve\n\n{links}"),
        nbformat.v4.new_code_cell("folded_in_lab = 1", metadata=hidden),
        nbformat.v4.new_code_cell("folded_by_tag = 1", metadata={"tags": ["hide-input"]}),
        nbformat.v4.new_code_cell("open_to_all = 1", outputs=[table]),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbformat.write(notebook, folder / "source/notebooks/12_new.ipynb")
    command = [sys.executable, "-m", "sphinx", "-q", "-c", "docs"]
    done = subprocess.run(
        [*command, folder / "source", folder / "site"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    text = (folder / "site/notebooks/12_new.html").read_text()
    return BeautifulSoup(text, "html.parser")


def test_cells_are_folded_as_in_jupyterlab_or_by_tag(small):
    assert re.findall(r"\w+_\w+_\w+(?= =)", " ".join(texts(small.select("details.hide pre")))) == [
        "folded_in_lab",
        "folded_by_tag",
    ]
    assert "open_to_all" in small.article.get_text()


def test_tables_of_notebooks_are_made_readable(small):
    assert texts(small.select("article td")) == ["–", "3891"]


def test_a_new_notebook_is_in_the_sidebar(small):
    assert "12 Twelve" in texts(small.select(".sidebar-tree a"))


def test_links_to_tables_lead_to_all_results_and_those_to_code_are_names(small):
    links = {a.get_text(): a["href"] for a in small.select("article a.reference")}
    assert links == {"table": "../docs/all-results.html#verdicts"}


class View(NamedTuple):
    browser: "Chrome"
    name: str
    width: int
    theme: str

    def open(self, page: Path, anchor: str = "") -> None:
        self.browser.get("about:blank")  # an anchor alone loads nothing
        self.browser.get(page.as_uri() + anchor)
        # A click during a movement misses.
        self.browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")

    def find(self, selector: str) -> "list[WebElement]":
        return self.browser.find_elements("css selector", selector)

    def complaints(self) -> list[str]:
        return [str(entry) for entry in self.browser.get_log("browser")]


@pytest.fixture(scope="module", params=["1280-light", "1280-dark", "390-light", "390-dark"])
def view(request, browser):
    """The window of a desktop (1280 pixels wide) or a phone (390), in either theme."""
    width, theme = request.param.split("-")
    metrics = {"width": int(width), "height": 844, "deviceScaleFactor": 1, "mobile": width == "390"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    return View(browser, request.param, int(width), theme)


# What sticks out of the column of text, and out of all that scrolls.
TOO_WIDE = """
const scrolls = (e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
const article = document.querySelector("article");
const right = article.getBoundingClientRect().right + 10; // by 8 the theme's headings stick out
return [...article.querySelectorAll("*")].filter((e) => {
  if (e.getBoundingClientRect().right <= right || !e.checkVisibility()) return false;
  let at = e.parentElement;
  while (at !== article && !scrolls(at)) at = at.parentElement;
  return at === article;
}).map((e) => e.outerHTML.slice(0, 200));
"""


def test_every_page_fits_the_window_and_the_theme(pages, view, screenshots):
    run = view.browser.execute_script
    for page in pages:
        view.open(page)
        run("for (const details of document.querySelectorAll('details')) details.open = true")
        view.browser.save_screenshot(str(screenshots / f"site_{page.stem}_{view.name}.png"))
        assert run("return document.documentElement.scrollWidth") <= view.width, page
        assert run(TOO_WIDE) == [], page
        color = run("return getComputedStyle(document.body).backgroundColor")
        red = int(color.split("(")[1].split(",")[0])
        assert red > 200 if view.theme == "light" else red < 60
    assert not view.complaints()


def test_a_click_on_a_head_sorts_the_table(site, view):
    view.open(site / "docs/all-results.html", "#claims")
    table = view.find("section details[open] table")[0]
    column = [head.text for head in table.find_elements("css selector", "th")].index("better")

    def values():
        rows = table.find_elements("css selector", "tbody tr")
        return [row.find_elements("css selector", "td")[column].text for row in rows]

    before = values()
    head = table.find_elements("css selector", "th")[column]
    head.click()
    assert values() == sorted(before, key=float) != before
    head.click()
    assert values() == sorted(before, key=float, reverse=True)
    assert not view.complaints()


def test_a_click_on_a_figure_enlarges_it(site, view, screenshots):
    view.open(site / "index.html")
    figure = view.find("article .pair img")[0]
    width = figure.size["width"]
    figure.click()
    [large] = view.find("dialog[open] img")
    view.browser.save_screenshot(str(screenshots / f"site_figure_{view.name}.png"))
    assert large.size["width"] > 1.2 * width
    large.click()
    assert not view.find("dialog[open]")
    assert not view.complaints()


def test_a_click_on_a_card_leads_to_its_page(site, view):
    view.open(site / "index.html")
    [target] = view.find(".card:first-child a")
    address = target.get_attribute("href")
    view.find(".card:first-child a")[0].click()
    assert view.browser.current_url == address
    assert not view.complaints()


@pytest.mark.parametrize(
    ("word", "page"), [("KANLinear", "docs/api/nn.html"), ("astray", "notebooks/05_audit.html")]
)
def test_a_search_from_the_front_page_finds_a_word(site, browser, word, page):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support import expected_conditions
    from selenium.webdriver.support.wait import WebDriverWait

    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get((site / "index.html").as_uri())
    browser.find_element("css selector", ".sidebar-search").send_keys(word, Keys.ENTER)
    browser.implicitly_wait(10)
    browser.find_element("css selector", f"#search-results a[href*='{page}']").click()
    WebDriverWait(browser, 10).until(expected_conditions.url_contains(page))
    assert not browser.get_log("browser")
