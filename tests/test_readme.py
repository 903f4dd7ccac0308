"""The README keeps its word: commands run, tables are the committed ones, links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

README = Path("README.md").read_text()
# Not run here, and why.
SKIPPED = {
    "git clone": "needs an address",
    "cd kanlib": "belongs to git clone",
    "make test": "would run itself",
    "make lab": "waits for a browser",
    "make lock": "asks the network for new versions",
    "make clean": "would remove what other tests are using",
    "conda": "needs conda",
    "make bench": "takes the machine for itself",
    "make faults": "takes minutes; tests/test_faults.py kills five times",
    ".venv/bin/snakemake --profile profiles/slurm": "needs a cluster; see tests/test_cluster.py",
}


def fenced(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands():
    lines = [line.split(" #")[0].strip() for block in fenced("bash") for line in block.splitlines()]
    return [line for line in dict.fromkeys(lines) if line and not line.startswith(tuple(SKIPPED))]


def test_the_readme_has_commands_to_test():
    assert "make paper" in commands()
    assert "make paper EXPERIMENT=mnist" in commands()


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_works(command):
    if not Path(".venv/.installed").exists():
        pytest.skip("the README's commands use .venv, which `make setup` makes")
    environment = os.environ | {"TQDM_DISABLE": "1"}
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("snippet", fenced("python"))
def test_a_python_snippet_of_the_readme_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", re.findall(r"<!-- (results/\S+\.md) -->", README))
def test_a_table_of_the_readme_is_the_committed_one(path):
    table = README.split(f"<!-- {path} -->\n")[1].split("<!-- end -->")[0]
    assert table == Path(path).read_text()


def test_every_error_in_the_prose_is_a_number_of_a_table():
    tables = [pd.read_csv(path) for path in Path("results").glob("**/*.csv")]
    known = {f"{v:.4f}" for t in tables for v in t.select_dtypes("number").to_numpy().flat}
    prose = re.sub(r"<!-- results.*?<!-- end -->", "", README, flags=re.DOTALL)
    quoted = set(re.findall(r"\b0\.\d{4}\b", prose))
    assert quoted and quoted <= known


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert targets
    missing = [t for t in targets if not t.startswith("http") and not Path(t).exists()]
    assert not missing
