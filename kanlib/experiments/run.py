"""A run: the parameters that fix its numbers and name its record."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import torch
from pydantic import AfterValidator, Field, PositiveFloat, model_validator

from kanlib.models.autoencoder import Autoencoder, Shape
from kanlib.models.registry import MODELS, build_model, check_options
from kanlib.nn.base_functions import BaseName
from kanlib.nn.bases import Basis
from kanlib.nn.grids import GRID_EPS, GridUpdate, Refinement
from kanlib.nn.own_grids import takes_grid
from kanlib.nn.rational import FAMILIES, Rational
from kanlib.strict import Settings, plain
from kanlib.training.config import (
    Decay,
    Fraction,
    LearningRate,
    Positive,
    PresetName,
    TrainingConfig,
    WeightDecay,
    preset,
)

# The parameters of the library's bases, by the names that their classes use; which a basis has, it
# says itself. Those of other names are in ``basis_options``.
_BASIS_PARAMETERS = ("grid_size", "spline_order", "grid_range", "degree", "groups")
# What says where a run stands, beside what it is.
PLACE = ("dataset", "bottleneck", "seed")
# File systems take names of 255 bytes; the longest ending, .safetensors, has 12.
_LONGEST_STEM = 200
Activation = Literal["relu", "gelu", "silu", "prelu"]
# Windows has no folders of these names, with any ending.
_RESERVED = {"CON", "PRN", "AUX", "NUL"}
_RESERVED |= {f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10)}


def _names_a_folder(name: str) -> str:
    if name.endswith(".") or name.partition(".")[0].upper() in _RESERVED:
        raise ValueError(f"{name!r} must be a name that a folder may have on Windows, too")
    return name


# It names a folder of records.
Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), AfterValidator(_names_a_folder)
]


class Run(Settings):
    """The parameters of one run: they fix its numbers, and name its record.

    Attributes:
        dataset: name of a data set (see ``kanlib.data.load_images``).
        model: name of a model (see ``kanlib.models.MODELS``).
        bottleneck: size of the code, 1 to the number of values in an image.
        seed: of the weights and of the order of the batches, >= 0.
        preset: "paper" (its text) or "authors" (their code): the training settings.
        hidden: hidden width of "kan" and the MLPs; None: the bottleneck's, as in the paper. For
            "kan-pure" the width of a second KAN layer on each side; None: none.
        match_parameters: widen an MLP, "conv" or "kan-conv" to the parameter count of "kan".
        separate_scale: keep the spline scale as a parameter, as in the paper.
        layer_norm: normalise what the basis of a KAN layer sees, as FastKAN does.
        output: "tanh" or "linear" activation of the output; None: the model's own.
        learning_rate: None: as the preset says. Likewise the four below.
        weight_decay: >= 0.
        epochs: >= 1.
        batch_size: >= 1.
        decay: factor on the learning rate after each epoch, in (0, 1].
        basis: family of the learned functions (see ``kanlib.nn.FAMILIES``); B-splines in the paper.
        grid_size: of the basis, as its class has it; None: the basis's own default, as the paper's
            five intervals of B-splines. Likewise the four below.
        spline_order: degree of B-splines, 1 to 5.
        grid_range: the grid is on [-grid_range, grid_range].
        degree: highest degree of polynomials, or frequency.
        groups: of inputs that share a rational function.
        basis_options: parameters of other names that a basis of one's own has; a mapping of names
            to strings or numbers, kept as pairs without those that are the basis's defaults.
        base: "silu", "identity" or "zero", the function beside those of the basis.
        init_noise: amplitude of the learned functions' initial noise, >= 0.
        refine: "finer" or "longer" grid after half of the epochs (``kanlib.nn.refine_model``).
        update_grid: "range" or "knots": in the first half, the grid of each input follows the data
            (see ``kanlib.training.TrainingConfig``).
        activation: of the hidden layers of "mlp" and "cnn-dense": "relu", "gelu", "silu" or
            "prelu"; None: ReLU.
        depth: hidden layers on each side of "mlp" and "kan-shared"; None: one.
        functions: of each hidden node of "kan-shared"; None: one.
        input_functions: a learned function of each input of "kan-shared".
        tied: all nodes of a hidden layer of "kan-shared" have the same functions.
        input_scale: a learned factor and offset of each input of "mlp".
        centred: subtract the mean of the training images from what the encoder sees.
        linear_path: add a linear autoencoder that starts at PCA.
        budget: widen the model to about so many parameters.
        validation: part of the training split that is held out, in (0, 1); None: none.
        patience: epochs without a smaller validation error after which training stops; the best
            weights are kept. None: all epochs are trained.
        measured_on: "test", or "validation": then the test split is never read, and what the record
            says of a test split is said of the validation split.
        tasks: measure retrieval and denoising, too; see ``kanlib.training.TASK_METRICS``.

    Raises:
        ValueError: a parameter is unknown, missing, of the wrong type, out of range, or without a
            meaning for this model or basis.
    """

    dataset: Name = "digits"
    model: Name = "kan"
    bottleneck: Positive = 8
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    preset: PresetName = "paper"
    hidden: Annotated[Positive | None, Field(title="hidden width")] = None
    match_parameters: Annotated[bool, Field(title="same size")] = False
    separate_scale: Annotated[bool, Field(title="separate scale")] = True
    layer_norm: Annotated[bool, Field(title="layer norm")] = False
    output: Literal["tanh", "linear"] | None = None
    learning_rate: Annotated[LearningRate | None, Field(title="learning rate")] = None
    weight_decay: Annotated[WeightDecay | None, Field(title="weight decay")] = None
    epochs: Positive | None = None
    batch_size: Annotated[Positive | None, Field(title="batch")] = None
    decay: Annotated[Decay | None, Field(title="decay of the rate")] = None
    basis: str = "bspline"
    grid_size: Annotated[int | None, Field(title="grid intervals")] = None
    spline_order: Annotated[int | None, Field(title="spline order")] = None
    grid_range: Annotated[PositiveFloat | None, Field(title="grid up to")] = None
    degree: int | None = None
    groups: int | None = None
    basis_options: tuple[tuple[str, bool | int | float | str], ...] | None = None
    base: Annotated[BaseName, Field(title="base function")] = "silu"
    init_noise: Annotated[float, Field(ge=0, title="initial noise")] = 0.1
    refine: Annotated[Refinement | None, Field(title="refined grid")] = None
    update_grid: Annotated[GridUpdate | None, Field(title="updated grid")] = None
    activation: Activation | None = None
    depth: Annotated[int | None, Field(ge=0, le=8, title="hidden layers")] = None
    functions: Annotated[Positive | None, Field(title="functions")] = None
    input_functions: Annotated[bool, Field(title="functions of the inputs")] = False
    tied: Annotated[bool, Field(title="one for all nodes")] = False
    input_scale: Annotated[bool, Field(title="scale of the inputs")] = False
    centred: bool = False
    linear_path: Annotated[bool, Field(title="linear path")] = False
    budget: Annotated[Positive | None, Field(title="parameters")] = None
    validation: Annotated[Fraction | None, Field(title="validation split")] = None
    patience: Positive | None = None
    measured_on: Literal["test", "validation"] = "test"
    tasks: Annotated[bool, Field(title="tasks measured")] = False

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        """The basis's own parameters where none are given; those of other bases have no meaning."""
        if not isinstance(values, dict):
            return values
        name = values.get("basis", "bspline")
        if not isinstance(name, str) or name not in FAMILIES:
            raise ValueError(f"basis={name!r} must be one of {', '.join(FAMILIES)}")
        own = _defaults(name)
        for key in _BASIS_PARAMETERS:
            if values.get(key) is not None and key not in own:
                raise ValueError(f"{key}={values[key]!r} has no meaning for basis={name!r}")
        given = {key: value for key, value in values.items() if value is not None or key not in own}
        given["basis_options"] = _own_options(name, values.get("basis_options"))
        return own | given

    @model_validator(mode="after")
    def _makes_sense(self) -> "Run":
        """Said now, not when the model is built."""
        check_options(self.model, self._options())
        self._basis()
        if self.refine and not (MODELS[self.model].on_edges and self.basis == "bspline"):
            raise ValueError(
                f"refine={self.refine!r} has no meaning for model={self.model!r} with "
                f"basis={self.basis!r}; it is for KAN layers of B-splines"
            )
        # A layer that may have a layer norm is a KANLinear.
        movable = {"layer_norm", "separate_scale"} <= MODELS[self.model].options
        movable = movable and not self.layer_norm
        how = self.update_grid
        if how and not (movable and takes_grid(self._basis(), GRID_EPS[how])):
            raise ValueError(
                f"update_grid={how!r} has no meaning for model={self.model!r} with "
                f"basis={self.basis!r} and layer_norm={self.layer_norm!r}; it is for KANLinear "
                "layers without a layer norm, on a grid; knots are for B-splines"
            )
        if self.measured_on == "validation" and self.validation is None:
            raise ValueError("validation=None must be a fraction with measured_on='validation'")
        self.training()
        return self

    def training(self) -> TrainingConfig:
        """The preset's training settings with this run's own put over them."""
        settings = preset(self.preset, self.model, self.dataset).model_dump()
        own = {name: getattr(self, name) for name in settings}
        return TrainingConfig(**settings | {k: v for k, v in own.items() if v is not None})

    def build_model(self, shape: Shape) -> Autoencoder:
        """A fresh model for images of ``shape`` (C, H, W); its weights depend on the seed alone.

        Raises:
            ValueError: the bottleneck is larger than the image.
        """
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return build_model(
                self.model, shape, self.bottleneck, dataset=self.dataset, **self._options()
            )

    def path(self, results_dir: str | Path) -> Path:
        """Where the record of this run lies: results_dir/runs/<dataset>/<model>/<...>.json.

        The name says what is not the default. Of a long one the end is a hash of the whole.
        """
        stem = f"bottleneck={self.bottleneck:04d}_preset={self.preset}_seed={self.seed:02d}"
        changes = self.changes()
        for name, value in changes.pop("basis_options", ()):
            changes[f"basis.{name}"] = value
        for name, value in sorted(changes.items()):
            text = value if isinstance(value, str) else str(value).lower()
            stem += f"_{quote(name)}={quote(text, safe='+')}"
        if len(stem) > _LONGEST_STEM:
            stem = f"{stem[: _LONGEST_STEM - 17]}_{hashlib.sha256(stem.encode()).hexdigest()[:16]}"
        return Path(results_dir) / "runs" / self.dataset / self.model / f"{stem}.json"

    def changes(self) -> dict[str, Any]:
        """The parameters that are not the defaults; data set, model, code, seed, preset apart."""
        defaults = {n: field.default for n, field in type(self).model_fields.items()}
        defaults |= _defaults(self.basis)
        apart = {*PLACE, "model", "preset"}
        return {
            name: value
            for name, value in self.model_dump(exclude=apart).items()
            if value != defaults[name]
        }

    def _options(self) -> dict[str, Any]:
        """What ``build_model`` is to know beside the defaults."""
        names = ("hidden", "match_parameters", "separate_scale", "layer_norm", "output")
        names += ("base", "init_noise", "activation", "depth", "functions", "input_functions")
        names += ("tied", "input_scale", "centred", "linear_path", "budget")
        changed = self.changes()
        options = {name: changed[name] for name in names if name in changed}
        if changed.keys() & {"basis", "basis_options", *_BASIS_PARAMETERS}:
            options["basis"] = self._basis()
        return options

    def _basis(self) -> Basis | Rational:
        """The family of learned functions, with its parameters."""
        own = {name: getattr(self, name) for name in _defaults(self.basis)}
        if "grid_range" in own:
            own["grid_range"] = (-own["grid_range"], own["grid_range"])
        try:
            return FAMILIES[self.basis](**own, **dict(self.basis_options or ()))
        except TypeError as error:
            raise ValueError(f"basis={self.basis!r}: {error}") from error


def _parameters(basis: str) -> dict[str, Any]:
    """The parameters of a basis, as its class has them, and their defaults.

    Raises:
        ValueError: its class is no dataclass whose fields all have defaults.
    """
    try:
        made: Any = FAMILIES[basis]()
        return {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}
    except TypeError as error:
        raise ValueError(
            f"basis={basis!r}: {FAMILIES[basis]!r} must be a dataclass, each field with a default: "
            f"{error}"
        ) from error


def _defaults(basis: str) -> dict[str, Any]:
    """Those that are parameters of a run.

    Raises:
        ValueError: a run cannot have them.
    """
    own = {name: value for name, value in _parameters(basis).items() if name in _BASIS_PARAMETERS}
    if "grid_range" in own:
        low, high = own["grid_range"]
        if low != -high:
            raise ValueError(f"basis={basis!r}: grid_range={low, high} must be symmetric about 0")
        own["grid_range"] = high
    return own


def _own_options(basis: str, given: Any) -> tuple[tuple[str, Any], ...] | None:
    """The others, as pairs in the order of their names, without defaults; None: there are none.

    Raises:
        ValueError: the basis has no such parameter.
    """
    try:
        options = {name: plain(value) for name, value in dict(given or ()).items()}
    except (TypeError, ValueError):
        raise ValueError(f"basis_options={given!r} must map names to values") from None
    known = {n: v for n, v in _parameters(basis).items() if n not in _BASIS_PARAMETERS}
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"basis_options: {name}={value!r} is no such option of basis={basis!r}; "
                f"it has {', '.join(known) or 'none'}"
            )
    return tuple(sorted((n, v) for n, v in options.items() if v != known[n])) or None
