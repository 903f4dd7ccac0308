"""The command line: train, evaluate, encode."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_wine

import kanlib
from kanlib import KANAutoencoder
from kanlib.__main__ import main
from kanlib.data import load_images
from kanlib.experiments import Run, load_record

_LOADED: Any = load_wine(as_frame=True)
WINE: pd.DataFrame = _LOADED.data


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of results, made by the command line."""
    folder = tmp_path_factory.mktemp("results")
    command = "train --dataset digits --model pca --bottleneck 3 --device cpu --results-dir"
    assert main([*command.split(), str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def record(trained: Path) -> Path:
    return Run(model="pca", bottleneck=3).path(trained)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a command says that cannot be done."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stopped:  # by argparse
        code = stopped.code
    assert code in (1, 2)
    return capsys.readouterr().err


def test_train_writes_the_record_and_the_weights_of_a_run(record: Path):
    assert load_record(record).run == Run(model="pca", bottleneck=3)
    kanlib.load(record)
    assert not record.with_suffix(".checkpoint").exists()


def test_train_takes_every_parameter_of_a_run_and_says_what_it_means(
    capsys: pytest.CaptureFixture[str],
):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    text = capsys.readouterr().out
    assert all(f"--{name}" in text for name in Run.model_fields)
    assert "the code" in text


def test_values_have_their_types(tmp_path: Path, own_cache: Path):
    command = "train --model mlp --bottleneck 2 --epochs 1 --learning_rate 1e-3 --device cpu"
    command += " --match-parameters true --results-dir"
    assert main([*command.split(), str(tmp_path)]) == 0
    (path,) = tmp_path.rglob("*.json")
    wanted = Run(model="mlp", bottleneck=2, epochs=1, learning_rate=1e-3, match_parameters=True)
    assert load_record(path).run == wanted


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--botleneck 9", "--botleneck"),
        ("--bottle 9", "--bottle"),
        ("--bottleneck nine", "bottleneck='nine'"),
        ("--model kam", "model='kam'"),
        ("--model mlp --grid_size 3", "grid_size=3"),
        ("--dataset nowhere", "dataset='nowhere'"),
    ],
)
def test_a_wrong_parameter_is_named_before_anything_is_done(
    arguments: str, named: str, tmp_path: Path, own_cache: Path, capsys: pytest.CaptureFixture[str]
):
    where = ["--results-dir", tmp_path, "--device", "cpu"]
    assert named in refused(capsys, "train", *arguments.split(), *where)
    assert not list(tmp_path.rglob("*.json"))


def test_a_record_is_not_replaced_unasked(
    trained: Path, record: Path, capsys: pytest.CaptureFixture[str]
):
    before = record.read_bytes()
    again = ["train", "--model", "pca", "--bottleneck", "3", "--results-dir", str(trained)]
    assert "--replace-old" in refused(capsys, *again)
    assert record.read_bytes() == before
    assert main([*again, "--replace-old", "--device", "cpu"]) == 0


def test_evaluate_prints_what_the_record_says(record: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", str(record), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert f"{load_record(record).evaluation['test_mse']:.6g}" in printed
    assert "test split" in printed


def test_evaluate_refuses_other_data(
    record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for path in (record, record.with_suffix(".safetensors")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    copy = tmp_path / record.name
    content = json.loads(copy.read_text()) | {"data_fingerprint": "0" * 64}
    copy.write_text(json.dumps(content))
    assert "other data" in refused(capsys, "evaluate", copy, "--device", "cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six digits as files, in no folders of classes."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "more").mkdir()
    pixels = load_images("digits").test.images[:6, 0]
    for number, image in enumerate(((pixels + 1) * 127.5).round().byte().numpy()):
        place = folder / "more" if number > 3 else folder
        Image.fromarray(image).save(place / f"{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_encode_writes_a_code_for_each_image(
    record: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    codes = tmp_path / "made" / "codes.csv"
    command = ["encode", images, codes, "--weights", record, "--device", "cpu"]
    assert main([str(argument) for argument in command]) == 0
    assert "left out: 1 .txt" in capsys.readouterr().err
    made = pd.read_csv(codes, index_col="file")
    assert list(made.index) == ["0.png", "1.png", "2.png", "3.png", "more/4.png", "more/5.png"]
    with torch.no_grad():
        wanted = kanlib.load(record).encode(load_images("digits").test.images[:6])
    assert made.to_numpy() == pytest.approx(wanted.numpy(), abs=0.05)  # pixels were rounded


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An estimator in a file."""
    path = tmp_path_factory.mktemp("wine") / "wine.safetensors"
    KANAutoencoder(3, model="pca", device="cpu").fit(WINE).save(path)
    return path


def test_encode_writes_a_code_for_each_row_of_a_table(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table, codes = tmp_path / "wine.csv", tmp_path / "codes.csv"
    WINE.assign(name="x").iloc[:, ::-1].to_csv(table, index=False)  # another order
    command = ["encode", table, codes, "--weights", wine, "--device", "cpu"]
    assert main([str(argument) for argument in command]) == 0
    assert "not used" in capsys.readouterr().err
    made = pd.read_csv(codes, index_col="row")
    assert list(made) == ["code0", "code1", "code2"]
    assert made.to_numpy() == pytest.approx(KANAutoencoder.load(wine).transform(WINE))


def test_encode_takes_images_for_rows_if_the_estimator_was_fitted_to_such(
    images: Path, tmp_path: Path
):
    weights, codes = tmp_path / "digits.safetensors", tmp_path / "codes.csv"
    pixels = np.random.default_rng(0).integers(0, 256, (20, 64))
    estimator = KANAutoencoder(2, model="pca", scaling="table", device="cpu").fit(pixels)
    estimator.save(weights)
    assert main(["encode", str(images), str(codes), "--weights", str(weights)]) == 0
    assert pd.read_csv(codes).shape == (6, 3)


def test_a_file_that_cannot_be_written_is_found_before_the_work(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").touch()
    missing = tmp_path / "missing.safetensors"  # would be found first by the work
    for codes, named in ((tmp_path / "file" / "codes.csv", tmp_path / "file"), (tmp_path,) * 2):
        assert f"'{named}'" in refused(capsys, "encode", images, codes, "--weights", missing)
    folder = Run(model="pca").path(tmp_path / "results")
    folder.mkdir(parents=True)
    said = refused(capsys, "train", "--model", "pca", "--results-dir", tmp_path / "results")
    assert str(folder) in said


def test_encode_does_not_write_over_what_it_reads(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    WINE.to_csv(tmp_path / "wine.csv", index=False)
    for read in (tmp_path / "wine.csv", wine):
        before = read.read_bytes()
        said = refused(capsys, "encode", tmp_path / "wine.csv", read, "--weights", wine)
        assert f"codes={str(read)!r}" in said
        assert read.read_bytes() == before


def test_encode_does_not_write_over_the_other_file_of_a_record(
    record: Path, images: Path, capsys: pytest.CaptureFixture[str]
):
    files = record, record.with_suffix(".safetensors")
    before = [file.read_bytes() for file in files]
    for codes, weights in (files, files[::-1]):
        said = refused(capsys, "encode", images, codes, "--weights", weights)
        assert f"codes={str(codes)!r}" in said
    assert [file.read_bytes() for file in files] == before


def test_rows_with_more_cells_than_names_are_refused(
    wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    # pandas would take the first cell for the name of the row, and shift the others.
    first, *rows = WINE.to_csv(index=False).splitlines()
    for more in (",", ",1"):
        table = tmp_path / "wine.csv"
        table.write_text("\n".join([first, *(row + more for row in rows)]))
        said = refused(capsys, "encode", table, tmp_path / "codes.csv", "--weights", wine)
        assert f"{table} has rows with more cells than its first line" in said


@pytest.mark.parametrize(
    "content", [b"", "a,b\n1,2".encode("utf-16"), b"a,b\n1,2\n1,2,3\n"], ids=str
)
def test_a_table_that_is_none_is_named(
    content: bytes, wine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (table := tmp_path / "wine.csv").write_bytes(content)
    said = refused(capsys, "encode", table, tmp_path / "codes.csv", "--weights", wine)
    assert f"{table} cannot be read" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.splitlines()[0] + "\n", "has no rows below its first line"),
        (lambda text: text.replace("14.23", "", 1), "row 1 below the first line, column 'alcohol'"),
        (lambda text: text.replace("14.23", "a lot", 1), "'a lot' must be a finite number"),
        (lambda text: text.replace("14.23", "1e999", 1), "must be a finite number"),
    ],
)
def test_a_cell_that_is_no_number_is_named(
    change: Callable[[str], str],
    said: str,
    wine: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    (table := tmp_path / "wine.csv").write_text(change(WINE.to_csv(index=False)))
    assert said in refused(capsys, "encode", table, tmp_path / "codes.csv", "--weights", wine)


def test_a_table_without_names_is_refused_where_none_are_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    weights, table, codes = (tmp_path / name for name in ("w.safetensors", "t.csv", "c.csv"))
    KANAutoencoder(2, model="pca").fit(WINE.to_numpy()).save(weights)
    WINE.to_csv(table, index=False, header=False)
    assert "begins with numbers" in refused(capsys, "encode", table, codes, "--weights", weights)
    pd.DataFrame(WINE.to_numpy()).to_csv(table, index=False)  # named 0, 1, ...
    assert main(["encode", str(table), str(codes), "--weights", str(weights)]) == 0
    assert len(pd.read_csv(codes)) == len(WINE)


def test_a_device_that_is_not_there_is_named_before_anything_is_done(
    capsys: pytest.CaptureFixture[str],
):
    for device in ("gpu", "meta"):
        said = refused(
            capsys, "encode", "nowhere", "codes.csv", "--weights", "x", "--device", device
        )
        assert f"argument --device: device={device!r} cannot be used" in said


def test_encode_refuses_what_the_model_does_not_take(
    record: Path, wine: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table, codes = tmp_path / "wine.csv", tmp_path / "codes.csv"
    WINE.drop(columns="hue").to_csv(table, index=False)
    assert "no column 'hue'" in refused(capsys, "encode", table, codes, "--weights", wine)
    assert "must be a CSV file" in refused(capsys, "encode", images, codes, "--weights", wine)
    assert "not a folder" in refused(capsys, "encode", table, codes, "--weights", record)
    (tmp_path / "none").mkdir()
    empty = refused(capsys, "encode", tmp_path / "none", codes, "--weights", record)
    assert "no images" in empty
    Image.new("L", (9, 9)).save(tmp_path / "none" / "1.png")
    large = refused(capsys, "encode", tmp_path / "none", codes, "--weights", record)
    assert "(1, 1, 9, 9)" in large
    assert not codes.exists()
