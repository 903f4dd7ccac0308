"""What a record says about its origin, checked in a repository made for the purpose."""

import platform
import subprocess

import pytest
import torch

import kanlib
from kanlib.experiments import environment as provenance
from kanlib.experiments.environment import environment


def test_versions_device_and_settings_are_those_of_this_process(monkeypatch):
    monkeypatch.setenv("MALLOC_TOP_PAD_", "67108864")
    monkeypatch.setenv("NOT_MALLOC_", "1")
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    found = environment("cpu")
    assert found.kanlib == kanlib.__version__
    assert found.torch == torch.__version__
    assert found.python == platform.python_version()
    assert found.platform.startswith(platform.system())
    assert found.device.startswith("cpu (")
    assert found.threads == torch.get_num_threads()
    assert (found.products, found.passes) == ("default", "eager")
    assert found.malloc["MALLOC_TOP_PAD_"] == "67108864"
    assert found.malloc["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    assert "NOT_MALLOC_" not in found.malloc


@pytest.fixture(autouse=True)
def fresh():
    """Each test has a checkout of its own."""
    provenance.checkout.cache_clear()
    yield
    provenance.checkout.cache_clear()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git repository with one commit that holds kanlib/, notebooks/ and a README."""
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set inside a git hook
        monkeypatch.delenv(variable, raising=False)
    for name in ("kanlib/experiments/environment.py", "notebooks/02.ipynb", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first\n")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "kanlib/experiments/environment.py"))
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    return tmp_path


def git(folder, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_what_is_committed_later_is_not_what_this_process_runs(checkout):
    first = environment("cpu").git_commit
    assert first == git(checkout, "rev-parse", "HEAD")
    (checkout / "kanlib/experiments/environment.py").write_text("second\n")
    assert environment("cpu").git_dirty is False
    git(checkout, "commit", "--quiet", "--all", "--message", "second")
    assert environment("cpu").git_commit == first


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        ("kanlib/new.py", True),
        ("notebooks/02.ipynb", True),
        ("README.md", False),
    ],
)
def test_only_changes_of_library_and_notebooks_make_it_dirty(checkout, name, dirty):
    (checkout / name).write_text("changed\n")
    assert environment("cpu").git_dirty is dirty


@pytest.mark.parametrize("place", ["no checkout", "installed in another checkout", "no git"])
def test_without_a_checkout_of_its_own_there_is_no_commit(checkout, monkeypatch, tmp_path, place):
    if place == "no git":
        monkeypatch.setenv("PATH", str(checkout))
    else:
        inside = place.startswith("installed")
        folder = checkout / "site-packages" if inside else tmp_path.parent / f"{tmp_path.name}-out"
        folder.mkdir()
        monkeypatch.setattr(provenance, "__file__", str(folder / "environment.py"))
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", "" if inside else str(tmp_path.parent))
    found = environment("cpu")
    assert (found.git_commit, found.git_dirty) == (None, None)
