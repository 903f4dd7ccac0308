"""Records of runs: what was asked for, what came out, and what produced it.

Tables and figures are made of nothing but records. A record is one JSON file, named by its run's
parameters. Beside it lie the arrays for its pictures (.npz) and the trained weights (.safetensors).
All are written to temporary names and renamed, the record last.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from numpy.typing import NDArray
from pydantic import Field, PrivateAttr, ValidationError

from kanlib.experiments.environment import Environment
from kanlib.experiments.run import Run
from kanlib.files import pack_arrays, read_arrays, write_together
from kanlib.strict import Checked, explain
from kanlib.training.config import Positive, TrainingConfig
from kanlib.training.diagnostics import EVERY
from kanlib.training.evaluation import Value
from kanlib.training.loop import History

SCHEMA = 3  # 1: before weights were kept; 2: before notes on the data
CURE = "delete it, and `make paper EXPERIMENT=...` makes it again"
Arrays = dict[str, NDArray[Any]]


class Weights(Checked):
    """The file of trained weights beside a record.

    Attributes:
        file: its name.
        sha256: of its bytes.
    """

    file: str
    sha256: str


class InFile(Checked):
    """What a run gave, and the file in which it lies.

    Attributes:
        schema_version: of the description; of each kind of file there is another newest one.
        run: what was asked for.
    """

    schema_version: int
    run: Run

    _path: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path:
        """Where it was read from or saved to.

        Raises:
            ValueError: it was neither read nor saved.
        """
        if self._path is None:
            what = type(self).__name__.lower()
            raise ValueError(f"the {what} of {self.run!r} lies in no file; save it first")
        return self._path

    def at(self, path: Path) -> Self:
        """The same values, which lie at ``path``."""
        copy = self.model_copy()
        copy._path = path
        return copy


class Record(InFile):
    """One run, whole.

    Attributes:
        schema_version: of this description; records of older ones stay valid.
        run: what was asked for.
        training: the settings that this came to.
        evaluation: name of each metric -> its value (see ``kanlib.training.METRICS``). A metric
            that is younger than the record is absent.
        history: losses of each epoch, seconds, peak memory.
        classes: names of the classes, in label order.
        data_fingerprint: SHA-256 of all pixels and labels.
        data_notes: what the loader left out or changed, and what is odd; see ``Images.notes``.
        shape: (C, H, W) of the images; None in older records.
        wall_seconds: from the start of the run, or from where it was resumed last, to its record.
        step_log_every: steps between two entries of the log of its steps.
        environment: what produced it.
        weights: where the trained model is; None: nowhere.
        measured_later: metric -> what measured it, where that was not the run itself.
    """

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA)] = 1
    training: TrainingConfig
    evaluation: dict[str, Value]
    history: History
    classes: tuple[str, ...]
    data_fingerprint: str
    data_notes: tuple[str, ...] = ()
    shape: tuple[int, int, int] | None = None
    wall_seconds: float
    step_log_every: Positive = EVERY
    environment: Environment
    weights: Weights | None = None
    measured_later: dict[str, Environment] = Field(default_factory=dict)


def save_record(
    record: Record,
    results_dir: str | Path,
    arrays: Mapping[str, NDArray[Any]],
    weights: bytes | None = None,
) -> Record:
    """Write a record and what belongs to it; all or nothing.

    Args:
        record: to be written as JSON.
        results_dir: folder that holds runs/; made if missing.
        arrays: what figures need, by name. ``originals`` are written once a data set, but for runs
            that are measured on a validation split of their own; ``load_arrays`` returns them with
            the ``reconstructions``.
        weights: of the trained model, as ``kanlib.experiments.weights.pack`` returns them.

    Returns:
        The record, with its path, and the name of its weights in it.

    Raises:
        OSError: a file could not be written; what was there before is untouched.
    """
    record, contents = files_of(record, results_dir, arrays, weights)
    write_together(contents)
    return record


def files_of(
    record: Record,
    results_dir: str | Path,
    arrays: Mapping[str, NDArray[Any]],
    weights: bytes | None,
) -> tuple[Record, dict[Path, str | bytes]]:
    """What ``save_record`` returns, and what it writes: path -> content."""
    path = record.run.path(results_dir)
    kept = None
    if weights is not None:
        name = path.with_suffix(".safetensors").name
        kept = Weights(file=name, sha256=hashlib.sha256(weights).hexdigest())
    record = record.model_copy(update={"weights": kept}).at(path)
    shared = {"originals"} if record.run.measured_on == "test" else set()
    own = {name: array for name, array in arrays.items() if name not in shared}
    contents: dict[Path, str | bytes] = {path: record.model_dump_json(indent=1) + "\n"}
    contents[path.with_suffix(".npz")] = pack_arrays(own)
    if arrays.keys() & shared and not _originals(record).exists():
        contents[_originals(record)] = pack_arrays({"originals": arrays["originals"]})
    if weights is not None and kept is not None:
        contents[path.with_name(kept.file)] = weights
    return record, contents


def load_record(path: str | Path) -> Record:
    """Read one record.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is not a whole, valid record; names the file and the field.
    """
    try:
        return Record.model_validate_json(Path(path).read_bytes()).at(Path(path))
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] == ("schema_version",) and problem["type"] == "less_than_equal":
                raise ValueError(
                    f"{path} has schema_version={problem['input']}: a newer kanlib wrote it, this "
                    f"one reads up to {SCHEMA}; install the newer one to read it"
                ) from None
        raise ValueError(f"{path} is not a valid record: {explain(error, [])}; {CURE}") from None


def load_records(runs: Iterable[Run], results_dir: str | Path) -> list[Record]:
    """The records of ``runs``, in their order; each is read once.

    Raises:
        FileNotFoundError: a run has no record; says how to make it.
        ValueError: a record is invalid, or of another run than its name says; its training is not
            what the run stands for now; two of one data set are of different data; some were
            measured on a validation split; there are no runs, or one is there twice.
    """
    runs, records = list(runs), []
    if not runs or len(set(runs)) < len(runs):  # a run counted twice would narrow an interval
        raise ValueError(f"runs: {len(runs)}, {len(set(runs))} different; must be >= 1, each once")
    check_one_split(runs)
    first: dict[str, Record] = {}
    for run in runs:
        path = run.path(results_dir)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; `make paper EXPERIMENT=...` makes it")
        record = load_record(path)
        if record.run != run:
            wrong = [n for n in Run.model_fields if getattr(run, n) != getattr(record.run, n)]
            raise ValueError(
                f"{path} is the record of another run: {', '.join(wrong)} differ; {CURE}"
            )
        if record.training != run.training():  # of a preset that has changed since
            raise ValueError(
                f"{path} was trained with {record.training}, not {run.training()}; {CURE}"
            )
        other = first.setdefault(run.dataset, record)
        if other.data_fingerprint != record.data_fingerprint:
            raise ValueError(
                f"{path} is of other data than {other.path}, both {run.dataset}; {CURE}"
            )
        records.append(record)
    return records


def check_one_split(runs: Iterable[Run]) -> None:
    """Refuse runs that were measured on different splits: one table is of one split.

    Raises:
        ValueError: names the splits.
    """
    if len(splits := sorted({run.measured_on for run in runs})) > 1:
        raise ValueError(f"measured_on={splits}: runs of one table must be measured on one split")


def load_arrays(record: Record) -> Arrays:
    """The arrays that belong to a record, for its pictures.

    Raises:
        FileNotFoundError: there are none, or no originals.
        ValueError: the file is damaged; names it, and says what to do.
    """
    arrays = read_arrays(record.path.with_suffix(".npz"))
    if "originals" not in arrays and "reconstructions" in arrays:
        arrays |= read_arrays(_originals(record))
    return arrays


def _originals(record: Record) -> Path:
    """Where the images that are pictured lie, once for all runs on the same data."""
    folder = record.path.parent.parent
    return folder / f"originals-{record.data_fingerprint[:12]}.npz"
