"""How a model is trained: its settings, and the two sources of the paper."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kanlib.models.registry import MODELS
from kanlib.nn.grids import GridUpdate, Refinement
from kanlib.strict import Settings

Positive = Annotated[int, Field(ge=1)]
LearningRate = Annotated[float, Field(gt=0)]
WeightDecay = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(gt=0, le=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]

PresetName = Literal["paper", "authors"]
OF_GRIDS = ("refine", "update_grid")  # settings of a training that change the model's grids


class TrainingConfig(Settings):
    """How a model is trained; the defaults are the paper's text (arXiv 2410.02077).

    AdamW on the mean squared error. The learning rate is multiplied by ``decay`` after each epoch.

    Attributes:
        learning_rate: of the first epoch, > 0.
        weight_decay: >= 0.
        epochs: >= 1.
        batch_size: images a step, >= 1.
        decay: in (0, 1].
        refine: "finer" or "longer": after half of the epochs all KAN layers are put on such a grid
            (see ``kanlib.nn.refine_model``), with a fresh optimizer. None: never.
        update_grid: "range" or "knots": before each epoch of the first half, each input of a KAN
            layer gets such a grid of its own (see ``kanlib.nn.update_grids``; knots with a
            ``grid_eps`` of 0.02). It follows at most 4,096 training images, of at most 2**24
            values in all, evenly spaced in their order. The optimizer goes on. None: never.
        validation: part of the training split that is held out and watched instead of the test
            split, in (0, 1) (see ``kanlib.training.hold_out``). None: nothing is held out.
        patience: epochs, >= 1, without a smaller validation error after which training stops. The
            weights of the best epoch are kept. With ``refine`` the epochs on the first grid do not
            count. None: all epochs are trained, and the last weights kept.

    Raises:
        ValueError: a value is out of range.

    Examples:
        >>> from kanlib.training import TrainingConfig
        >>> TrainingConfig(epochs=20).learning_rate
        0.001
    """

    learning_rate: LearningRate = 1e-3
    weight_decay: WeightDecay = 1e-4
    epochs: Positive = 10
    batch_size: Positive = 64
    decay: Decay = 0.8
    refine: Refinement | None = None
    update_grid: GridUpdate | None = None
    validation: Fraction | None = None
    patience: Positive | None = None

    @model_validator(mode="after")
    def _has_two_halves(self) -> "TrainingConfig":
        for name in OF_GRIDS:
            if (how := getattr(self, name)) is not None and self.epochs < 2:
                raise ValueError(f"epochs={self.epochs} must be >= 2 with {name}={how!r}")
        if self.refine and self.update_grid == "knots":
            raise ValueError(
                f"refine={self.refine!r} must be None with update_grid='knots'; splines on knots "
                "of their own cannot be refined"
            )
        if self.patience and self.validation is None:
            raise ValueError(
                f"validation=None must be a fraction with patience={self.patience}; the test split "
                "must not choose when to stop"
            )
        return self


def preset(name: PresetName, model: str, dataset: str) -> TrainingConfig:
    """The training that a source of the paper prescribes.

    Args:
        name: "paper" (its text: one setting for everything) or "authors" (their code: the same,
            but learning rate 1e-4 and weight decay 1e-3 for the KAN autoencoders on MNIST).
        model: name of the model.
        dataset: name of the data set.

    Examples:
        >>> from kanlib.training import preset
        >>> preset("authors", "kan", "mnist").learning_rate
        0.0001
    """
    if name == "authors" and dataset == "mnist" and MODELS[model].on_edges:
        return TrainingConfig(learning_rate=1e-4, weight_decay=1e-3)
    return TrainingConfig()
