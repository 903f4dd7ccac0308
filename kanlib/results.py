"""Runs and their records: what was asked for, what came out, and what produced it.

Needs pydantic, pandas for ``load_records``, and the rooms of training and evaluation for their
dataclasses. ``experiments.py`` lists runs; tables and figures read records and nothing else.

A record is one JSON file, named by the parameters of its run, with an .npz file of the same name
beside it for the pictures. Both are written to a temporary name and renamed, the record last.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kanlib.autoencoders import Autoencoder
from kanlib.baselines import build_model
from kanlib.cpu import Products
from kanlib.evaluation import Evaluation
from kanlib.training import History, TrainingConfig, preset

if TYPE_CHECKING:
    import pandas as pd

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
Positive = Annotated[int, Field(ge=1)]


class Run(BaseModel):
    """The parameters of one run: they fix its numbers, and name its record.

    Attributes:
        dataset: "digits", "mnist", "cifar10", "svhn", "folder", or the name of an image folder.
        model: "kan", "kan-pure", "conv", "mlp" or "pca".
        bottleneck: size of the code, 1 to the number of values in an image.
        seed: of the weights and of the order of the batches, >= 0.
        preset: "paper" (its text) or "authors" (their code): the training settings.
        hidden: hidden width of "kan" and "mlp"; None: the bottleneck's, as in the paper.
        match_parameters: widen "mlp" or "conv" to the parameter count of "kan".
        separate_scale: keep the spline scale as a parameter, as in the paper.
        learning_rate: None: as the preset says. Likewise the three below.
        weight_decay: >= 0.
        epochs: >= 1.
        batch_size: >= 1.

    Raises:
        ValueError: a parameter is unknown, missing, of the wrong type or out of range.
    """

    model_config = _STRICT

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "digits"
    model: Literal["kan", "kan-pure", "conv", "mlp", "pca"] = "kan"
    bottleneck: Positive = 8
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    preset: Literal["paper", "authors"] = "paper"
    hidden: Positive | None = None
    match_parameters: bool = False
    separate_scale: bool = True
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    epochs: Positive | None = None
    batch_size: Positive | None = None

    def __init__(self, **parameters: Any) -> None:
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            raise ValueError(explain(error, list(type(self).model_fields))) from None

    def training(self) -> TrainingConfig:
        """The preset's training settings with this run's own put over them."""
        settings = vars(preset(self.preset, self.model, self.dataset))
        own = {name: getattr(self, name) for name in settings if hasattr(self, name)}
        return TrainingConfig(**settings | {k: v for k, v in own.items() if v is not None})

    def build_model(self, shape: tuple[int, int, int]) -> Autoencoder:
        """A fresh model for images of ``shape`` (C, H, W); its weights depend on the seed alone.

        Raises:
            ValueError: the bottleneck is larger than the image, or a parameter does not fit the
                model.
        """
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return build_model(
                self.model,
                shape,
                self.bottleneck,
                hidden=self.hidden,
                match_parameters=self.match_parameters,
                separate_scale=self.separate_scale,
                dataset=self.dataset,
            )

    @property
    def label(self) -> str:
        """How tables and figures call this model; runs that differ in size or seed share it."""
        family = {"kan": "KAN", "kan-pure": "KAN layers alone", "conv": "CNN"}
        words = [family.get(self.model, self.model.upper())]
        named = {"dataset", "model", "bottleneck", "seed", "preset"}
        for name, value in sorted(self.model_dump(exclude_defaults=True, exclude=named).items()):
            words.append(name if value is True else f"{name}={value}")
        if self.model.startswith("kan"):
            words.append(f"{self.preset}' preset" if self.preset == "authors" else "paper's preset")
        return ", ".join(words)

    def path(self, results_dir: str | Path) -> Path:
        """Where the record of this run lies: results_dir/runs/<dataset>/<model>/<...>.json."""
        stem = f"bottleneck={self.bottleneck:04d}_preset={self.preset}_seed={self.seed:02d}"
        named = {"dataset", "model", "bottleneck", "preset", "seed"}
        for name, value in sorted(self.model_dump(exclude_defaults=True, exclude=named).items()):
            stem += f"_{name}={str(value).lower()}"
        return Path(results_dir) / "runs" / self.dataset / self.model / f"{stem}.json"


class Environment(BaseModel):
    """What produced a record.

    Attributes:
        kanlib: version of the library.
        git_commit: of the checkout that the library was imported from; None outside a checkout.
        git_dirty: whether library or notebooks differed from that commit.
        torch: version.
        python: version.
        platform: operating system and processor architecture.
        device: name of the device.
        threads: of PyTorch on the CPU.
        products: library of float32 products, "default" or "onednn" (see ``kanlib.cpu``).
        malloc: glibc's malloc settings in force, if any.
    """

    model_config = _STRICT

    kanlib: str
    git_commit: str | None
    git_dirty: bool | None
    torch: str
    python: str
    platform: str
    device: str
    threads: Positive
    products: Products
    malloc: dict[str, str]


class Record(BaseModel):
    """One run, whole.

    Attributes:
        run: what was asked for.
        training: the settings that this came to.
        evaluation: every metric.
        history: losses of each epoch, seconds, peak memory.
        classes: names of the classes, in label order.
        data_fingerprint: SHA-256 of all pixels and labels.
        wall_seconds: from the start of the notebook to the writing of the record.
        environment: what produced it.
    """

    model_config = _STRICT

    run: Run
    training: TrainingConfig
    evaluation: Evaluation
    history: History
    classes: tuple[str, ...]
    data_fingerprint: str
    wall_seconds: float
    environment: Environment


def save_record(
    record: Record, results_dir: str | Path, arrays: Mapping[str, NDArray[Any]]
) -> Path:
    """Write a record and the arrays that its pictures need; each whole or not at all.

    Args:
        record: to be written as JSON.
        results_dir: folder that holds runs/; made if missing.
        arrays: by name, for the .npz file beside the record.

    Returns:
        The path of the record.

    Raises:
        OSError: the files could not be written; what was there before is untouched.
    """
    path = record.run.path(results_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    with atomic_file(path) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n")
    return path


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to ``path`` if the block succeeds, removed if not."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_record(path: str | Path) -> Record:
    """Read one record.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is not a whole, valid record; names the file and the field.
    """
    text = Path(path).read_text()
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{path} is not a valid record: {explain(error, [])}") from None


def load_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays stored beside the record at ``path``."""
    with np.load(Path(path).with_suffix(".npz"), allow_pickle=False) as file:
        return dict(file)


def load_records(runs: Iterable[Run], results_dir: str | Path) -> "pd.DataFrame":
    """The records of ``runs``, one row each.

    Returns:
        Columns: every parameter of the run; its label; test_mse; {knn, leaky_knn_code,
        leaky_knn_reconstruction}_{accuracy, f1}; parameters; seconds; peak_mib; path.

    Raises:
        FileNotFoundError: a run has no record; says how to make it.
        ValueError: a record is invalid, or of another run than its name says.
    """
    import pandas as pd

    rows = []
    for run in runs:
        path = run.path(results_dir)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; `make paper EXPERIMENT=...` makes it")
        record = load_record(path)
        if record.run != run:
            wrong = [n for n in type(run).model_fields if getattr(run, n) != getattr(record.run, n)]
            raise ValueError(f"{path} is the record of another run: {', '.join(wrong)} differ")
        rows.append(_row(record) | {"path": str(path)})
    return pd.DataFrame(rows)


def _row(record: Record) -> dict[str, Any]:
    evaluation = record.evaluation
    row = record.run.model_dump() | {"label": record.run.label, "test_mse": evaluation.test_mse}
    for name in ("knn", "leaky_knn_code", "leaky_knn_reconstruction"):
        score = getattr(evaluation, name)
        row |= {f"{name}_accuracy": score.accuracy, f"{name}_f1": score.f1}
    return row | {
        "parameters": evaluation.parameters,
        "seconds": record.history.seconds,
        "peak_mib": record.history.peak_memory / 2**20,
    }


def explain(error: ValidationError, known: list[str]) -> str:
    """A validation error in one line a field: name, value, rule."""
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"]) or "the file"
        line = f"{name}: {problem['msg']}"
        if problem["type"] == "extra_forbidden":
            line = f"{name} is not a known name"
            if known:
                line += f"; the known ones are {', '.join(known)}"
        elif problem["type"] != "missing" and problem["loc"]:
            line = f"{name}={problem['input']!r}: {problem['msg']}"
        lines.append(line)
    return "; ".join(lines)
