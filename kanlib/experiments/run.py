"""A run: the parameters that fix its numbers and name its record."""

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kanlib.models.autoencoder import Autoencoder
from kanlib.models.registry import ModelName, build_model
from kanlib.nn.bases import BaseName, BSpline
from kanlib.nn.linear import LayerOptions
from kanlib.training.config import PresetName, TrainingConfig, preset

STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    frozen=True,
    allow_inf_nan=False,
    revalidate_instances="always",  # else a NaN in a metric is found only when read again
)
# Parameters that older records lack; their defaults are what was run.
LATER = {
    "output",
    "decay",
    "grid_size",
    "spline_order",
    "grid_range",
    "base",
    "init_noise",
    "refine",
}
Positive = Annotated[int, Field(ge=1)]
MODEL_NAMES = {
    "kan": "KAN",
    "kan-pure": "KAN layers alone",
    "conv": "CNN",
    "mlp": "MLP",
    "spline-mlp": "Spline MLP",
    "pca": "PCA",
}
_SHORT = reprlib.Repr()  # the value of an error may be as large as a file makes it
_SHORT.maxlevel, _SHORT.maxstring = 2, 80
_PRESET_NAMES = {"paper": "paper's text", "authors": "authors' code"}


class Run(BaseModel):
    """The parameters of one run: they fix its numbers, and name its record.

    Attributes:
        dataset: "digits", "mnist", "cifar10", "svhn", "folder", or the name of an image folder;
            "series", "GunPoint", "ItalyPowerDemand", or the name of a folder of windows.
        model: "kan", "kan-pure", "conv", "mlp", "spline-mlp" or "pca".
        bottleneck: size of the code, 1 to the number of values in an image.
        seed: of the weights and of the order of the batches, >= 0.
        preset: "paper" (its text) or "authors" (their code): the training settings.
        hidden: hidden width of "kan" and the MLPs; None: the bottleneck's, as in the paper. For
            "kan-pure" the width of a second KAN layer on each side; None: none.
        match_parameters: widen an MLP or "conv" to the parameter count of "kan".
        separate_scale: keep the spline scale as a parameter, as in the paper.
        output: "tanh" or "linear" activation of the output; None: the model's own.
        learning_rate: None: as the preset says. Likewise the four below.
        weight_decay: >= 0.
        epochs: >= 1.
        batch_size: >= 1.
        decay: factor on the learning rate after each epoch, in (0, 1].
        grid_size: intervals of the B-splines' grid; 5 in the paper, as all splines' settings here.
        spline_order: their degree, 1 to 5.
        grid_range: the grid is on [-grid_range, grid_range].
        base: "silu", "identity" or "zero", the function beside the splines.
        init_noise: amplitude of the splines' initial noise, >= 0.
        refine: "finer" or "longer" grid after half of the epochs (``kanlib.nn.refine_model``).

    Raises:
        ValueError: a parameter is unknown, missing, of the wrong type or out of range.
    """

    model_config = STRICT

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "digits"
    model: ModelName = "kan"
    bottleneck: Positive = 8
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    preset: PresetName = "paper"
    hidden: Positive | None = None
    match_parameters: bool = False
    separate_scale: bool = True
    output: Literal["tanh", "linear"] | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    epochs: Positive | None = None
    batch_size: Positive | None = None
    decay: Annotated[float, Field(gt=0, le=1)] | None = None
    grid_size: Positive = 5
    spline_order: Annotated[int, Field(ge=1, le=5)] = 3
    grid_range: Annotated[float, Field(gt=0)] = 1.0
    base: BaseName = "silu"
    init_noise: Annotated[float, Field(ge=0)] = 0.1
    refine: Literal["finer", "longer"] | None = None

    def __init__(self, **parameters: Any) -> None:
        try:
            super().__init__(**parameters)
        except ValidationError as error:
            raise ValueError(explain(error, list(type(self).model_fields))) from None

    def training(self) -> TrainingConfig:
        """The preset's training settings with this run's own put over them."""
        settings = vars(preset(self.preset, self.model, self.dataset))
        own = {name: getattr(self, name) for name in settings}
        return TrainingConfig(**settings | {k: v for k, v in own.items() if v is not None})

    def build_model(self, shape: tuple[int, int, int]) -> Autoencoder:
        """A fresh model for images of ``shape`` (C, H, W); its weights depend on the seed alone.

        Raises:
            ValueError: the bottleneck is larger than the image, or a parameter does not fit the
                model.
        """
        if self.refine and not self.model.startswith("kan"):
            raise ValueError(f"refine={self.refine!r} has no meaning for model={self.model!r}")
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return build_model(
                self.model,
                shape,
                self.bottleneck,
                hidden=self.hidden,
                match_parameters=self.match_parameters,
                separate_scale=self.separate_scale,
                output=self.output,
                dataset=self.dataset,
                **self._splines(),
            )

    def _splines(self) -> LayerOptions:
        """What ``build_model`` is to know of the splines; nothing if they are the paper's."""
        own = {"grid_size", "spline_order", "grid_range", "base", "init_noise"}
        if not self.model_dump(exclude_defaults=True, include=own):
            return {}
        ends = (-self.grid_range, self.grid_range)
        basis = BSpline(self.grid_size, self.spline_order, ends)
        return {"basis": basis, "base": self.base, "init_noise": self.init_noise}

    def path(self, results_dir: str | Path) -> Path:
        """Where the record of this run lies: results_dir/runs/<dataset>/<model>/<...>.json."""
        stem = f"bottleneck={self.bottleneck:04d}_preset={self.preset}_seed={self.seed:02d}"
        named = {"dataset", "model", "bottleneck", "preset", "seed"}
        for name, value in sorted(self.model_dump(exclude_defaults=True, exclude=named).items()):
            stem += f"_{name}={str(value).lower()}"
        return Path(results_dir) / "runs" / self.dataset / self.model / f"{stem}.json"


def labels(runs: Sequence[Run]) -> list[str]:
    """What tables and figures call each run: its model, and what sets it apart from its like.

    Args:
        runs: of one experiment.

    Returns:
        One name a run. Runs that differ in bottleneck, seed or data alone share theirs. A model
        widened to the parameters of "kan" is "matched"; other parameters are named where they
        vary between the runs of a model and are not the default, and the preset where it varies
        or is not the default.
    """
    names = []
    for run in runs:
        alike = [other for other in runs if other.model == run.model]
        words = [MODEL_NAMES[run.model]] + ["matched"] * run.match_parameters
        unnamed = {"dataset", "model", "bottleneck", "seed", "match_parameters"}
        for field in sorted(set(Run.model_fields) - unnamed):
            value = getattr(run, field)
            changed = value != Run.model_fields[field].default
            varies = any(getattr(other, field) != value for other in alike)
            named = (changed or varies) if field == "preset" else (changed and varies)
            if named:
                words.append(_PRESET_NAMES.get(str(value), f"{field}={value}"))
        names.append(", ".join(words))
    return names


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
            line = f"{name}={_SHORT.repr(problem['input'])}: {problem['msg']}"
        lines.append(line)
    return "; ".join(lines)
