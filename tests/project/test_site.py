"""The site that `make site` builds, read from the file system in a browser without a network."""

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from workflow import exclusive

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.slow


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


def test_every_notebook_is_there_with_its_pictures(site, pages):
    for path in Path("notebooks").glob("*.ipynb"):
        cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        stored = [o for c in cells for o in c.outputs if "image/png" in o.get("data", {})]
        page = pages[site / f"notebooks/{path.stem}.html"]
        assert len(page.select("article .cell_output img")) == len(stored)


def rounded(value, like):
    """What a table shows for a value of its CSV file: as many decimals as ``like`` has."""
    if pd.isna(value):
        return "–"
    decimals = len(like.partition(".")[2])
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


def test_the_front_page_has_the_findings_and_every_table_and_figure(site, pages):
    page = pages[site / "index.html"]
    assert page.h1 and page.h1.text.startswith(Path("README.md").read_text()[2:].split("\n")[0])
    shown = {image["alt"] for image in page.select("article img")}
    # Those of the digits are made, perhaps at this moment, by the notebooks that other tests run.
    figures, tables = (
        [path for path in Path(folder).glob(pattern) if "digits" not in path.stem]
        for folder, pattern in (("figures", "*.png"), ("results", "*.md"))
    )
    assert {str(path) for path in figures} <= shown
    for path in (table.with_suffix(".csv") for table in tables):
        [link] = [a for a in page.select("article a") if a.text == str(path)]
        rows = [
            [c.text for c in row.select("th, td")] for row in link.find_next("table").select("tr")
        ]
        table = pd.read_csv(path)
        assert rows[0] == list(table.columns)
        assert len(rows) == len(table) + 1
        for texts, values in zip(rows[1:], table.to_numpy(dtype=object), strict=True):
            assert texts == [rounded(v, like=text) for v, text in zip(values, texts, strict=True)]


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


class View(NamedTuple):
    browser: "Chrome"
    name: str
    width: int
    theme: str

    def open(self, page: Path) -> None:
        self.browser.get(page.as_uri())
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


def test_every_page_fits_the_window_and_the_theme(pages, view, screenshots):
    run = view.browser.execute_script
    for page in pages:
        view.open(page)
        run("for (const details of document.querySelectorAll('details')) details.open = true")
        view.browser.save_screenshot(str(screenshots / f"site_{page.stem}_{view.name}.png"))
        assert run("return document.documentElement.scrollWidth") <= view.width
        color = run("return getComputedStyle(document.body).backgroundColor")
        red = int(color.split("(")[1].split(",")[0])
        assert red > 200 if view.theme == "light" else red < 60
    assert not view.complaints()


def test_a_click_on_a_head_sorts_the_table(site, view):
    view.open(site / "index.html")
    head = view.find("article table thead th:nth-child(4)")[0]
    rows = len(view.find("article table")[0].find_elements("css selector", "tbody tr"))

    def column():
        return [cell.text for cell in view.find("article table tbody td:nth-child(4)")[:rows]]

    before = column()
    known = sorted((text for text in before if text != "–"), key=float)
    missing = ["–"] * (len(before) - len(known))
    head.click()
    assert column() == known + missing != before
    head.click()
    assert column() == known[::-1] + missing
    assert not view.complaints()


def test_a_click_on_a_figure_enlarges_it(site, view, screenshots):
    view.open(site / "index.html")
    figure = view.find("article img")[0]
    width = figure.size["width"]
    figure.click()
    [large] = view.find("dialog[open] img")
    view.browser.save_screenshot(str(screenshots / f"site_figure_{view.name}.png"))
    assert large.size["width"] > 1.2 * width
    large.click()
    assert not view.find("dialog[open]")
    assert not view.complaints()


def test_a_search_finds_the_notebook(site, browser):
    browser.get((site / "search.html").as_uri() + "?q=leaky")
    browser.implicitly_wait(10)
    browser.find_element("link text", "The tables of an experiment")
    assert not browser.get_log("browser")
