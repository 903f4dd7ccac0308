"""``python -m kanlib train | evaluate | encode``: runs and codes from the command line."""

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import kanlib
import kanlib.extras
from kanlib.data import load_images, read_folder
from kanlib.estimator import KANAutoencoder, holds_estimator
from kanlib.experiments import Run, execute, load_record, splits_of
from kanlib.files import try_to_write, write_together
from kanlib.nn.arguments import as_device
from kanlib.training import Score, TrainingDiverged, evaluate
from kanlib.training.evaluation import apply, check_pixels

_MEANING = re.compile(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", re.MULTILINE)


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 0 if it was done, 1 if not, 2 if it was not understood."""
    asked = vars(_parser().parse_args(arguments))
    command: Callable[..., None] = asked.pop("command")
    try:
        command(**asked)
    except (MemoryError, ModuleNotFoundError, OSError, TrainingDiverged, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def train(
    *,
    data_root: str | None,
    results_dir: str,
    device: str,
    fast_cpu: bool,
    compiled: bool,
    replace_old: bool,
    **fields: Any,
) -> None:
    """Train a model, measure it, and write its record.

    Raises:
        FileExistsError: there is a record of the run, and ``replace_old`` is False.
        OSError, ValueError: as ``load_images``, ``execute`` and ``Result.save`` say.
    """
    run = Run(**fields)
    path = run.path(results_dir)
    if path.exists() and not replace_old:  # said before the training
        raise FileExistsError(f"{path} is there; pass --replace-old to train the run again")
    path.parent.mkdir(parents=True, exist_ok=True)
    images = load_images(run.dataset, data_root).to(device)
    result = execute(
        run,
        images,
        results_dir=results_dir,
        fast_cpu=fast_cpu,
        compiled=compiled,
        checkpoint=path.with_suffix(".checkpoint"),
    )
    record = result.save(results_dir, replace_old=replace_old).record
    _show(record.evaluation)
    print(f"wrote {record.path}")


def evaluate_(*, record: str, data_root: str | None, device: str) -> None:
    """Measure the model of a record again.

    Raises:
        ValueError: the data are not those of the record.
        OSError: there is no record, or its weights or data are not there.
    """
    read = load_record(record)
    images = load_images(read.run.dataset, data_root)
    if images.fingerprint != read.data_fingerprint:
        raise ValueError(f"dataset={images.name!r} has other data than those of {record}")
    model = kanlib.load(read).to(device)
    print(f"{record}, measured on the {read.run.measured_on} split:")
    _show(evaluate(model, splits_of(read.run, images.to(device))))


def encode(*, source: str, codes: str, weights: str, device: str) -> None:
    """Write the codes of the images in a folder, or of the rows of a table, as a CSV file.

    Raises:
        ValueError: the model does not take such images or rows.
        OSError: a file cannot be read or written.
    """
    pair = [Path(weights).with_suffix(ending) for ending in (".json", ".safetensors")]
    for name, taken in (("source", [Path(source)]), ("weights", [Path(weights), *pair])):
        if Path(codes).resolve() in (path.resolve() for path in taken):
            raise ValueError(f"codes={codes!r} must be another file than those of {name}")
    try_to_write({Path(codes): ""})
    if holds_estimator(weights):
        estimator = KANAutoencoder.load(weights, device)
        named = hasattr(estimator, "feature_names_in_")
        if named and not Path(source).is_file():
            raise ValueError(
                f"source={source!r} must be a CSV file; {weights} was fitted to columns with names"
            )
        rows = _table(source, estimator) if Path(source).is_file() else _flat(source)
        made = pd.DataFrame(estimator.transform(rows if named else rows.to_numpy()), rows.index)
    else:
        pixels, files = _images(source)
        model, tensor = kanlib.load(weights).to(device), torch.from_numpy(pixels).to(device)
        tensor = tensor.float().div_(127.5).sub_(1)
        check_pixels(model, tensor, source)
        made = pd.DataFrame(apply(model.encode, tensor).cpu().numpy(), files)
    made.columns = [f"code{number}" for number in range(made.shape[1])]
    write_together({Path(codes): made.to_csv(index_label=made.index.name)})
    print(f"wrote {len(made)} codes of {made.shape[1]} numbers to {codes}")


def _table(path: str, estimator: KANAutoencoder) -> pd.DataFrame:
    """The columns of a CSV file that the estimator knows."""
    try:
        table = pd.read_csv(path).rename_axis("row")
    except ValueError as error:  # it is empty, no text, or has a row that is too long
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the first cells for names of rows
        raise ValueError(
            f"{path} has rows with more cells than its first line; each column must have a name"
        )
    if table.empty:
        raise ValueError(f"{path} has no rows below its first line")
    names = list(getattr(estimator, "feature_names_in_", table.columns))
    if missing := [name for name in names if name not in table]:
        raise ValueError(f"{path} has no column {missing[0]!r}; must have {', '.join(names)}")
    numbers: Any = pd.to_numeric(pd.Series(table.columns), errors="coerce")
    if numbers.notna().all() and list(numbers) != list(range(len(numbers))):
        raise ValueError(f"{path} begins with numbers; its first line must name the columns")
    if others := [str(name) for name in table if name not in names]:
        print(f"not used of {path}: {', '.join(others)}", file=sys.stderr)
    cells = table.loc[:, names]
    values = cells.apply(pd.to_numeric, errors="coerce")
    for row, column in np.argwhere(~np.isfinite(values.to_numpy(dtype=float)))[:1]:
        raise ValueError(
            f"{path}, row {row + 1} below the first line, column {names[column]!r}: "
            f"{cells.iat[row, column]!r} must be a finite number (nan is an empty cell)"
        )
    return values


def _images(folder: str) -> tuple[Any, pd.Index]:
    """Pixels (N, C, H, W) from 0 to 255, and the files' names; what was changed is told."""
    pixels, files, notes = read_folder(folder)
    for note in notes:
        print(note, file=sys.stderr)
    return pixels, pd.Index(files, name="file")


def _flat(folder: str) -> pd.DataFrame:
    """An image a row."""
    pixels, files = _images(folder)
    return pd.DataFrame(np.reshape(pixels, (len(pixels), -1)), files)


def _show(evaluation: dict[str, Any]) -> None:
    for name, value in evaluation.items():
        number = value.accuracy if isinstance(value, Score) else value
        print(f"{name + ' accuracy' if isinstance(value, Score) else name:34} {number:.6g}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m kanlib", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(function: Callable[..., None], name: str, about: str) -> argparse.ArgumentParser:
        """A command, with the option that all have."""
        added = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        added.set_defaults(command=function)
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        added.add_argument("--device", type=_device, default=automatic, help="cpu, cuda, ...")
        return added

    training = command(train, "train", "train a model, measure it, and write its record")
    meanings = {
        name: " ".join(text.split()) for name, text in _MEANING.findall(inspect.getdoc(Run) or "")
    }
    for name, field in Run.model_fields.items():
        kept_as_text = isinstance(field.default, str)
        training.add_argument(
            *_flags(name),
            dest=name,
            type=str if kept_as_text else _value,
            default=field.default,
            help=meanings[name].replace("%", "%%"),
            metavar="X",
        )
    training.add_argument(*_flags("results_dir"), default="results", help="folder of the records")
    for name, about in (
        ("fast_cpu", "see kanlib.training.cpu"),
        ("compiled", "compile the passes (see there); pays for thousands of steps"),
        ("replace_old", "write over a record of this run"),
    ):
        training.add_argument(*_flags(name), action="store_true", help=about)
    measuring = command(evaluate_, "evaluate", "measure the model of a record again")
    measuring.add_argument("record", help="a .json file in results/runs, with weights beside it")
    for added in (training, measuring):
        added.add_argument(*_flags("data_root"), help="folder of the data; default: KANLIB_DATA")
    encoding = command(encode, "encode", "write the codes of images or rows as a CSV file")
    encoding.add_argument("source", help="a folder of images, or a CSV file with a header")
    encoding.add_argument("codes", help="the CSV file to write")
    encoding.add_argument(
        "--weights", required=True, help="a record or its .safetensors, or what an estimator saved"
    )
    return parser


def _flags(name: str) -> list[str]:
    """With dashes, or as the notebook spells it."""
    return list(dict.fromkeys([f"--{name.replace('_', '-')}", f"--{name}"]))


def _device(text: str) -> str:
    """The name of a device that is there."""
    try:
        return str(as_device(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _value(text: str) -> Any:
    """A number, true, false, null, or a mapping in JSON; anything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main())
