"""The notebooks in JupyterLab, as a reader sees them in a browser; one is run from the menu."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

RUN = "02_train_autoencoder.ipynb"  # nbval runs all of them, in the same kernel
NOTEBOOKS = sorted(path.name for path in Path("notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.slow


def without_outputs(path):
    """Nothing stored can be taken for what was just computed."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, path)


def until(condition, on, seconds=30):
    """Wait; what moves, goes away or takes too long while it is looked at is looked at again."""
    from selenium.common import (
        ElementClickInterceptedException,
        StaleElementReferenceException,
        TimeoutException,
    )
    from selenium.webdriver.support.wait import WebDriverWait

    again = [ElementClickInterceptedException, StaleElementReferenceException, TimeoutException]
    return WebDriverWait(on, seconds, 0.2, again).until(condition)


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """Address of a JupyterLab that serves a copy of the repository's notebooks."""
    top = tmp_path_factory.mktemp("lab")
    for folder in ("notebooks", "experiments", "results"):
        # Without records of the digits, which 02 would have to replace.
        shutil.copytree(folder, top / folder, ignore=shutil.ignore_patterns("digits"))
    without_outputs(top / "notebooks" / RUN)
    own = {f"JUPYTER_{name}_DIR": str(top / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--ServerApp.root_dir={top}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (top / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)

    def address(server):
        assert server.poll() is None, (top / "log.txt").read_text()[-3000:]
        [text] = [file.read_text() for file in (top / "RUNTIME").glob("jpserver-*.json")] or [""]
        return json.loads(text or "{}")

    try:
        where = until(address, server, 120)
        yield f"{where['url']}lab/tree/notebooks/{{}}?reset&token={where['token']}"
    finally:
        server.terminate()  # and with it the kernels
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:  # a busy machine; kernels end without their server
            server.kill()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_shown_or_runs_in_jupyterlab(lab, browser, screenshots, name):
    stored = nbformat.read(f"notebooks/{name}", as_version=4)
    cells = [cell for cell in stored.cells if cell.cell_type == "code"]
    folds = [cell.metadata.get("jupyter", {}) for cell in cells]
    pictures = [
        output
        for cell, fold in zip(cells, folds, strict=True)
        if not fold.get("outputs_hidden")
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    folded = sum(fold.get("source_hidden", False) for fold in folds)

    def texts(selector):
        code = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return browser.execute_script(code, selector)

    def choose(item):
        def click(browser):
            browser.find_element("xpath", f"//li[starts-with(normalize-space(), '{item}')]").click()
            return True

        until(click, browser)

    def pictures_shown():
        return len(texts(".jp-RenderedImage img"))

    def errors():  # and warnings: a reader sees both in red
        return texts('[data-mime-type="application/vnd.jupyter.stderr"]')

    def is_done(_):
        shown = prompts()
        all_ran = len(shown) == len(cells) - folded and all(n[1:-2].isdigit() for n in shown)
        return errors() or (all_ran and is_idle() and pictures_shown() == len(pictures))

    def prompts():
        """Of the cells that are not folded."""
        return texts(".jp-CodeCell .jp-InputPrompt:not(.jp-Placeholder-prompt)")

    def is_idle():
        return texts('.jp-Notebook-ExecutionIndicator[data-status="idle"]')

    def opened(browser):
        browser.get(lab.format(name))
        until(lambda _: is_idle(), browser)
        return until(lambda _: len(texts(".jp-InputPlaceholder")) == folded, browser)

    def run_all(browser):
        """From a fresh page: now and then the menu does nothing, and it must be loaded again."""
        opened(browser)
        choose("Run")
        choose("Run All Cells")
        time.sleep(4)
        return set(prompts()) != {"[ ]:"} and until(is_done, browser, 120)

    browser.set_window_size(1280, 5000)  # all of the notebook
    until(run_all if name == RUN else opened, browser, 300)
    until(is_done, browser)
    browser.save_screenshot(str(screenshots / f"lab_{Path(name).stem}.png"))
    assert not errors()
