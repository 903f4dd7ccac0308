"""Autoencoders for tables, with the methods of scikit-learn."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_array, check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

import kanlib.extras  # noqa: F401
from kanlib.data.images import Images, Split
from kanlib.experiments.run import Run
from kanlib.experiments.weights import pack, unpack
from kanlib.files import write_together
from kanlib.nn.arguments import as_device
from kanlib.strict import Checked, check_flags, explain, plain
from kanlib.training.evaluation import to_numpy
from kanlib.training.loop import train

__all__ = ["KANAutoencoder"]
_DTYPES: Any = (np.float64, np.float32)  # all others become the first
_ROWS = 1024  # that are encoded or decoded at a time
_PATIENCE = 10
# What a run calls an argument of the estimator.
_NAMES = {
    "bottleneck": "n_components",
    "epochs": "max_epochs",
    "validation": "validation_fraction",
}
Array = NDArray[Any]


class KANAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An autoencoder of KAN layers, or any other model of the library, for the rows of a table.

    It turns each row into a code of a few numbers, and a code into a row again.

    The model sees the columns scaled to [-1, 1] by their least and greatest values at ``fit``;
    ``inverse_transform`` undoes this. A column without variation becomes -1. New rows may exceed
    [-1, 1]: far outside, a KAN layer has no splines. Scale columns with a few huge values before,
    say by ``sklearn.preprocessing.PowerTransformer``.

    It computes in the precision of the rows that it is fitted to, float64 or float32; float32 is
    faster. All other numbers become float64. Sparse rows become dense, at ``fit`` all at once.

    Args:
        n_components: code size, 1 to the number of columns.
        model: name of a model (see ``kanlib.MODELS``). To convolutions a row is a series.
        hidden: hidden width, see ``kanlib.experiments.Run``; None: the model's own.
        basis: family of the learned functions, a key of ``kanlib.nn.FAMILIES``.
        scaling: "columns": each column by its own values. "table": all columns by the least and
            greatest value in the table, for columns of one unit, such as pixels.
        learning_rate: of the first epoch, > 0. It falls by the same factor after each epoch, to
            a hundredth in ``max_epochs``.
        max_epochs: passes over the rows, >= 1.
        validation_fraction: of the rows, held out if ``early_stopping``; in (0, 1).
        early_stopping: hold rows out, stop after ten epochs without a smaller error on them, and
            keep the weights of the best epoch.
        random_state: of the weights, the order of the rows, and which are held out.
        device: to compute on, such as "cpu" or "cuda"; None: a GPU if there is one.
        verbose: show a bar of progress.
        options: further fields of ``kanlib.experiments.Run``, such as {"grid_size": 8}. They go
            before what the arguments above say.

    Attributes:
        model_: the trained ``kanlib.Autoencoder``, for rows (N, 1, 1, columns).
        run_: the ``Run`` that was trained.
        history_: ``kanlib.training.History`` of the training; None after ``load``.
        low_: least value of each column, or of the table, as ``scaling`` says.
        span_: greatest value less the least; 1 where all values are equal.
        n_features_in_: number of columns.
        feature_names_in_: names of the columns, where the rows were a DataFrame.

    Raises:
        ValueError: at ``fit``: an argument has a wrong type, is out of range, or has no meaning for
            the model. Rows with NaN, infinite or masked values are refused.
        kanlib.training.TrainingDiverged: at ``fit``: the error became infinite or NaN.

    Examples:
        >>> from sklearn.datasets import load_wine
        >>> from kanlib import KANAutoencoder
        >>> table, _ = load_wine(return_X_y=True, as_frame=True)
        >>> encoder = KANAutoencoder(n_components=3, max_epochs=5, random_state=0, device="cpu")
        >>> codes = encoder.fit_transform(table)
        >>> codes.shape, encoder.inverse_transform(codes).shape
        ((178, 3), (178, 13))
        >>> strangest = encoder.score_samples(table).argmin()  # the row with the greatest error
    """

    model_: Any
    run_: Run
    low_: Array
    span_: Array
    n_features_in_: int
    feature_names_in_: Array

    def __init__(
        self,
        n_components: int = 2,
        *,
        model: str = "kan-pure",
        hidden: int | None = None,
        basis: str = "bspline",
        scaling: Literal["columns", "table"] = "columns",
        learning_rate: float = 0.02,
        max_epochs: int = 100,
        validation_fraction: float = 0.1,
        early_stopping: bool = False,
        random_state: Any = None,
        device: Any = None,
        verbose: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.n_components = n_components
        self.model = model
        self.hidden = hidden
        self.basis = basis
        self.scaling = scaling
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.random_state = random_state
        self.device = device
        self.verbose = verbose
        self.options = options

    def fit(self, X: Any, y: object = None) -> Self:
        """Train a fresh model.

        Args:
            X: (N, columns), an array, DataFrame or sparse matrix of finite numbers.
            y: ignored.
        """
        rows: Any = validate_data(self, _unmasked(X), accept_sparse="csr", dtype=_DTYPES)
        with _named():
            self.run_ = self._run(rows.shape[1])
            rows = self._fit_scaling(rows)
            tensor = self._to_model(rows)
            self.model_ = self.run_.build_model((1, 1, rows.shape[1])).to(tensor)
            labels = torch.zeros(len(tensor), dtype=torch.int64, device=tensor.device)
            # The loop watches the error of a test split. There is none here: one row costs little.
            images = Images(
                self.run_.dataset, Split(tensor, labels), Split(tensor[:1], labels[:1]), ("row",)
            )
            self.history_ = train(
                self.model_,
                images,
                self.run_.training(),
                seed=self.run_.seed,
                progress=self.verbose,
            )
        self.model_.eval()
        return self

    def transform(self, X: Any) -> Array:
        """The codes of rows: (N, columns) -> (N, n_components), in the precision of ``X``."""
        return self._apply(lambda part: self.model_.encode(self._to_model(part)), self._check(X))

    def inverse_transform(self, X: Any) -> Array:
        """The rows that codes stand for: (N, n_components) -> (N, columns).

        Raises:
            ValueError: the codes have another size, or are not finite.
        """
        check_is_fitted(self)
        codes: Any = check_array(_unmasked(X), dtype=_DTYPES)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"codes of shape {codes.shape} must have {self._n_features_out} columns, as many "
                "as n_components said at fit"
            )
        made = self._apply(lambda part: self.model_.decode(self._tensor(part)).flatten(1), codes)
        return (made + 1) / 2 * self.span_ + self.low_

    def score_samples(self, X: Any) -> Array:
        """Minus the mean squared error of each row, (N,): the lower, the stranger is the row.

        Of the scaled columns, from -1 to 1 at ``fit``, so that each counts alike.
        """

        def error(part: Any) -> Tensor:
            """Mean squared error of each row."""
            rows = self._to_model(part)
            return (self.model_(rows) - rows).square().mean((1, 2, 3))

        return -self._apply(error, self._check(X))

    def score(self, X: Any, y: object = None) -> float:
        """Minus the mean squared error of all rows, see ``score_samples``; ``y`` is ignored."""
        return float(self.score_samples(X).mean())

    def save(self, path: str | Path) -> None:
        """Keep the fitted estimator in one file, in the safetensors format.

        ``device`` is not kept, nor a ``random_state`` that is no integer. ``kanlib.load`` gives the
        bare model in it.

        Args:
            path: of the file; it ends in .safetensors.

        Raises:
            OSError: it could not be written; what was there before is untouched.
            ValueError: ``path`` has another ending.
        """
        check_is_fitted(self)
        path = _safetensors(path)
        arguments = self.get_params(deep=False) | {"device": None}
        if not isinstance(plain(self.random_state), int):
            arguments["random_state"] = None
        kept = _Kept(
            arguments=arguments,
            low=np.ravel(self.low_).tolist(),
            span=np.ravel(self.span_).tolist(),
            columns=list(getattr(self, "feature_names_in_", [])) or None,
        )
        shape = (1, 1, self.n_features_in_)
        content = pack(self.model_, self.run_, shape, estimator=kept.model_dump())
        write_together({path: content})

    @classmethod
    def load(cls, path: str | Path, device: Any = None) -> Self:
        """The estimator in a file that ``save`` wrote. It runs no code, whoever sent the file.

        Args:
            path: of the file.
            device: to compute on, as of the class.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the file is damaged, or of another kind.
        """
        path = _safetensors(path)
        model, origin = unpack(path, path.read_bytes())
        try:
            kept = _Kept(**origin["estimator"])
            made = cls(**kept.arguments).set_params(device=device)
            made.run_, columns = Run(**origin["run"]), origin["shape"][2]
            if not len(kept.low) == len(kept.span) in (1, columns):
                raise ValueError(f"low and span must have 1 or {columns} values")
            if kept.columns and len(kept.columns) != columns:
                raise ValueError(f"columns must have {columns} names")
        except (KeyError, TypeError, ValidationError, ValueError) as error:
            what = explain(error, []) if isinstance(error, ValidationError) else str(error)
            raise ValueError(f"{path} does not hold an estimator: {what}") from error
        dtype = next(model.parameters()).cpu().detach().numpy().dtype
        made.low_, made.span_ = (np.array(part, dtype) for part in (kept.low, kept.span))
        made.model_, made.history_ = model.to(made._device()), None
        made.n_features_in_ = columns
        if kept.columns:
            made.feature_names_in_ = np.array(kept.columns, dtype=object)
        return made

    @property
    def _n_features_out(self) -> int:
        """What the names of the codes are counted by."""
        return self.run_.bottleneck

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _run(self, columns: int) -> Run:
        """What is to be trained."""
        if self.scaling not in ("columns", "table"):
            raise ValueError(f"scaling={self.scaling!r} must be 'columns' or 'table'")
        check_flags(early_stopping=self.early_stopping, verbose=self.verbose)
        if not isinstance(self.options, dict | None) or not all(
            isinstance(name, str) for name in self.options or ()
        ):
            raise ValueError(f"options={self.options!r} must be a dict with names as keys, or None")
        given = {
            "dataset": "table",
            "model": self.model,
            "bottleneck": self.n_components,
            "hidden": self.hidden,
            "basis": self.basis,
            "learning_rate": self.learning_rate,
            "epochs": self.max_epochs,
            "seed": check_random_state(self.random_state).randint(2**31 - 1),
        }
        if self.early_stopping:
            given |= {"validation": self.validation_fraction, "patience": _PATIENCE}
        run = Run(**given | (self.options or {}))
        if run.bottleneck > columns:
            raise ValueError(
                f"bottleneck={run.bottleneck} must be between 1 and {columns}, the number of "
                f"columns (n_features = {columns})"
            )
        if run.decay is not None or run.epochs is None:
            return run
        return Run(**run.model_dump() | {"decay": 0.01 ** (1 / run.epochs)})

    def _fit_scaling(self, rows: Any) -> Array:
        """Learn the scaling; returns the rows, dense."""
        rows = rows.toarray() if issparse(rows) else rows
        axis = 0 if self.scaling == "columns" else None
        self.low_, high = np.asarray(rows.min(axis)), rows.max(axis)
        with np.errstate(over="ignore"):
            span = high - self.low_
        if not np.isfinite(span).all():
            raise ValueError(
                f"X has values from {np.min(self.low_)} to {np.max(high)}, too far apart for "
                f"{rows.dtype}; divide the columns by a large number"
            )
        # What differs by rounding alone does not vary.
        rounding = 10 * np.finfo(rows.dtype).eps * np.maximum(abs(self.low_), abs(high))
        self.span_ = np.where(span > rounding, span, np.ones_like(span))
        return rows

    def _check(self, X: Any) -> Any:
        check_is_fitted(self)
        rows = _unmasked(X)
        return validate_data(self, rows, accept_sparse="csr", dtype=_DTYPES, reset=False)

    def _device(self) -> torch.device:
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        return as_device(automatic if self.device is None else self.device)

    def _to_model(self, rows: Any) -> Tensor:
        """Rows as the model sees them: (N, columns) -> (N, 1, 1, columns), scaled."""
        dense = rows.toarray() if issparse(rows) else rows
        return self._tensor(((dense - self.low_) / self.span_ * 2 - 1)[:, None, None])

    def _tensor(self, values: Array) -> Tensor:
        with np.errstate(over="ignore"):
            copy = np.array(values, self.low_.dtype)  # arrays may be read-only
        return torch.from_numpy(copy).to(self._device())

    @torch.inference_mode()
    def _apply(self, function: Callable[[Any], Tensor], values: Any) -> Array:
        """``function`` of values (N, ...) in parts, in their precision."""
        parts = [
            function(values[part]).cpu().numpy() for part in gen_batches(values.shape[0], _ROWS)
        ]
        made = np.concatenate(parts)
        if not np.isfinite(made).all():
            raise ValueError(
                f"X has values from {values.min()} to {values.max()}, too far beyond those at fit "
                f"for {made.dtype}"
            )
        return made.astype(values.dtype)


def _unmasked(X: Any) -> Any:
    """``X``, a tensor as an array; refused if masked: scikit-learn would use what is under it."""
    if isinstance(X, Tensor):
        return to_numpy(X)
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError("X has masked values; fill them, or leave their rows out")
    return X


def holds_estimator(path: str | Path) -> bool:
    """Whether a file is one that ``KANAutoencoder.save`` wrote, and not the weights of a run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it ends in .safetensors, and holds neither.
    """
    path = Path(path)
    return path.suffix == ".safetensors" and "estimator" in unpack(path, path.read_bytes())[1]


class _Kept(Checked):
    """What a file holds beside the model.

    Attributes:
        arguments: of the estimator.
        low: least values.
        span: greatest values less the least.
        columns: names; None: they have none.
    """

    arguments: dict[str, Any]
    low: list[float]
    span: list[float]
    columns: list[str] | None


@contextmanager
def _named() -> Iterator[None]:
    """Errors of a run, in the names of the estimator's arguments."""
    try:
        yield
    except ValueError as error:
        pattern = rf"\b({'|'.join(_NAMES)})="
        raise ValueError(
            re.sub(pattern, lambda found: f"{_NAMES[found[1]]}=", str(error))
        ) from error


def _safetensors(path: str | Path) -> Path:
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"path={str(path)!r} must end in .safetensors")
    return Path(path)
