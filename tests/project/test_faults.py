"""What the user sees of a killed process, a full disk, damaged files: an exit code, one message."""

import json
import random
import shutil
import subprocess
import sys

import faults
import numpy as np
import psutil
import pytest
from PIL import Image
from workflow import ONE_RUN, finish, records, write_experiment

from kanlib.experiments import load_record

pytestmark = pytest.mark.slow


@pytest.fixture
def mount(tmp_path):
    """Mounts a tmpfs at tmp_path/results with the options given; returns the folder."""
    target = tmp_path / "results"
    target.mkdir()

    def mount_there(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(target)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            pytest.skip(f"a file system of the test's own is needed: {error}")
        if done.returncode != 0:
            pytest.skip(f"mounting a file system needs root: {done.stderr.strip()}")
        return target

    yield mount_there
    subprocess.run(["umount", str(target)], capture_output=True)


def test_a_kill_of_each_kind_does_no_harm(tmp_path, undisturbed):
    killed = faults.torment(tmp_path, undisturbed, kills=len(faults.KINDS), seed=0)
    assert killed == dict.fromkeys(faults.KINDS, 1)


def test_the_run_of_a_process_is_known_by_its_log(tmp_path):
    words = [
        "papermill",
        "notebooks/02.ipynb",
        f"{tmp_path}/logs/digits/kan/seed=00.ipynb",
        "-y",
        "{}",
    ]
    command = [sys.executable, "-c", "import time; print('', flush=True); time.sleep(60)", *words]
    process = psutil.Popen(command, stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        assert list(faults.runs_of([process])) == ["seed=00"]
    finally:
        process.kill()
        process.communicate()


def test_harm_would_be_noticed(tmp_path, undisturbed):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    victim = faults.Victim(tmp_path, random.Random(0))
    victim.check(undisturbed)
    table = tmp_path / "results/tiny_mse.csv"
    table.write_text(table.read_text() + "\n")
    with pytest.raises(AssertionError, match=r"tiny_mse\.csv"):
        victim.check(undisturbed)
    path = next(iter(records(tmp_path)))
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text) | {"wall_seconds": 0.5}))
    with pytest.raises(AssertionError, match=path.name):
        victim.check(undisturbed)
    path.write_text(text[:-100])
    with pytest.raises(ValueError, match=path.name):
        victim.check(undisturbed)


def test_a_full_disk_is_named_and_the_run_is_made_once_there_is_room(tmp_path, mount):
    experiment = write_experiment(tmp_path, ONE_RUN)
    ballast = mount("size=128k") / "ballast"
    ballast.write_bytes(bytes(120 * 1024))
    code, output = finish(tmp_path, experiment, "records")
    assert code == 1
    assert "No space left on device: '" in output and "/results/runs/digits/pca/" in output
    assert not records(tmp_path)

    ballast.unlink()
    code, output = finish(tmp_path, experiment, "records")
    assert code == 0, output
    (path,) = records(tmp_path)
    assert load_record(path).run.model == "pca"


def test_a_read_only_results_folder_is_named_before_anything_runs(tmp_path, mount):
    mount("ro")
    code, output = finish(tmp_path, write_experiment(tmp_path, ONE_RUN))
    assert code == 1
    assert f"{tmp_path}/results is read-only" in output


def test_a_damaged_record_is_named_and_deleting_it_is_the_cure(tmp_path, undisturbed):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    experiment = write_experiment(tmp_path)
    path = next(iter(records(tmp_path)))
    path.write_text(path.read_text()[:-100])
    code, output = finish(tmp_path, experiment, "tables")
    assert code == 1
    assert f"ValueError: {path} " in output
    path.unlink()
    code, output = finish(tmp_path, experiment, "tables")
    assert code == 0, output
    assert faults.tables(tmp_path) == faults.tables(undisturbed)


def test_an_image_cut_short_is_named_before_anything_runs(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    for split in ("train", "test"):
        for name in ("cats", "dogs"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            Image.fromarray(noise).save(folder / "1.png")
    cut = tmp_path / "pets/train/dogs/1.png"
    cut.write_bytes(cut.read_bytes()[:60])
    experiment = write_experiment(tmp_path, ONE_RUN.replace("digits", "pets"))
    code, output = finish(tmp_path, experiment, KANLIB_DATA=str(tmp_path))
    assert code == 1
    assert f"{cut} " in output
    assert not (tmp_path / "results/runs").exists()


def test_a_diverging_run_is_named_and_the_others_are_made(tmp_path):
    text = ONE_RUN.replace(
        "  - {", "  - {model: kan, bottleneck: 2, learning_rate: 1.0e+30}\n  - {"
    )
    code, output = finish(tmp_path, write_experiment(tmp_path, text), "records")
    assert code == 1
    assert "TrainingDiverged: " in output and "learning_rate=1e+30" in output
    (path,) = records(tmp_path)
    assert load_record(path).run.model == "pca"
