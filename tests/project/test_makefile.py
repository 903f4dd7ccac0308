"""The Makefile where a folder was moved, the user has no home, or Python keeps nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workflow import ONE_RUN

SHOW = "show:\n\t@echo $$HOME $$LOGNAME\n"
# May read and run what belongs to root, as this Python may, but write nothing of it.
READER = "+dac_read_search"
NOBODY = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
NOBODY += [f"--inh-caps={READER}", f"--ambient-caps={READER}"]


def make(folder: Path, *words: str, nobody: bool = False, **environment: str) -> tuple[int, str]:
    """Exit code and all that make printed in ``folder``, without a home unless one is given."""
    own = {k: v for k, v in os.environ.items() if k not in ("HOME", "USER", "LOGNAME")}
    done = subprocess.run(
        [*(NOBODY if nobody else []), "make", *words],
        cwd=folder,
        env=own | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What `make` needs of a clone, in a folder whose name wants quoting."""
    folder = tmp_path / "a clone's [1]"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(name, folder)
    return folder


def test_a_moved_clone_is_noticed_and_setup_makes_its_environment_again(clone, tmp_path):
    # A process of its own: the file says by which command the environment was made.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", clone / ".venv"], check=True)
    (clone / ".venv/.installed").touch()
    code, printed = make(clone, "-n", "lab")
    assert code == 0 and ".venv/bin/jupyter lab" in printed
    linked = tmp_path / "link"
    linked.symlink_to(clone)
    assert make(linked, "-n", "lab") == (code, printed)
    moved = clone.rename(tmp_path / "moved")
    code, printed = make(moved, "lab")
    assert code == 2 and "make it again for this one: make setup" in printed
    assert "jupyter" not in printed
    code, printed = make(moved, "-n", "setup")
    assert code == 0 and "-m venv --clear .venv" in printed
    assert make(moved, "help")[0] == 0


def test_who_has_no_home_gets_one_in_the_clone(clone):
    (clone / "show.mk").write_text(SHOW)
    words = ("-s", "-f", "Makefile", "-f", "show.mk", "show")
    made = f"{clone}/build/home nobody\n"
    assert make(clone, *words) == (0, made)
    assert make(clone, *words, HOME=str(clone / "none")) == (0, made)
    assert make(clone, *words, HOME=str(clone), USER="me") == (0, f"{clone} me\n")


def test_all_is_compiled_once_where_python_may_not_keep_what_it_compiles(clone):
    for forbids in ("", "1"):
        code, printed = make(clone, "-n", "setup", PYTHONDONTWRITEBYTECODE=forbids)
        assert code == 0 and ("--compile-bytecode" in printed) == bool(forbids)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, of Linux")
def test_an_experiment_is_made_by_a_user_without_a_name_or_a_home(clone):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become nobody")
    for name in ("Snakefile", "kanlib", "notebooks", "profiles", "results/published"):
        (clone / name).parent.mkdir(exist_ok=True)
        (clone / name).symlink_to(Path(name).resolve())
    (clone / "experiments").mkdir()
    (clone / "experiments/tiny.yaml").write_text(ONE_RUN)
    for folder in (*clone.parents[:1], clone, clone / "experiments", clone / "results"):
        os.chown(folder, 12345, 12345)
    words = (
        "-o",
        "setup",
        "paper",
        "EXPERIMENT=tiny",
        "CORES=1",
        f"BIN={Path(sys.executable).parent}",
    )
    code, printed = make(clone, *words, nobody=True, HOME="/")
    assert code == 0, printed
    assert (clone / "results/tiny_mse.csv").exists()
