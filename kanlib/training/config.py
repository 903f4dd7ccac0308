"""How a model is trained: settings, and the presets of the paper."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, get_args

from kanlib.models.registry import MODELS
from kanlib.nn.grids import REFINEMENTS

PresetName = Literal["paper", "authors"]
PRESETS: tuple[PresetName, ...] = get_args(PresetName)


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained; the defaults are the paper's text (arXiv 2410.02077).

    AdamW on the mean squared error; the learning rate is multiplied by ``decay`` after each epoch.

    Args:
        learning_rate: of the first epoch, > 0.
        weight_decay: >= 0.
        epochs: >= 1.
        batch_size: images a step, >= 1.
        decay: in (0, 1].
        refine: "finer" or "longer": after half of the epochs all KAN layers are put on such a grid
            (see ``kanlib.nn.refine_model``), with a fresh optimizer. None: never.

    Raises:
        ValueError: an argument is out of range.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    epochs: int = 10
    batch_size: int = 64
    decay: float = 0.8
    refine: str | None = None

    def __post_init__(self) -> None:
        for name, kind, valid, rule in (
            ("learning_rate", Real, lambda rate: 0 < rate < math.inf, "positive and finite"),
            ("weight_decay", Real, lambda decay: 0 <= decay < math.inf, "finite and >= 0"),
            ("epochs", int, lambda count: count >= 1, "an integer >= 1"),
            ("batch_size", int, lambda count: count >= 1, "an integer >= 1"),
            ("decay", Real, lambda factor: 0 < factor <= 1, "in (0, 1]"),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not valid(value):
                raise ValueError(f"TrainingConfig: {name}={value!r} must be {rule}")
        if self.refine is not None and self.refine not in REFINEMENTS:
            raise ValueError(
                f"TrainingConfig: refine={self.refine!r} must be None or one of "
                f"{', '.join(REFINEMENTS)}"
            )
        if self.refine is not None and self.epochs < 2:
            raise ValueError(
                f"TrainingConfig: epochs={self.epochs} must be >= 2 with refine={self.refine!r}"
            )


def preset(name: str, model: str, dataset: str) -> TrainingConfig:
    """The training that a source of the paper prescribes.

    Args:
        name: "paper" (its text: one setting for everything) or "authors" (their code: the same,
            but learning rate 1e-4 and weight decay 1e-3 for the KAN autoencoders on MNIST).
        model: name of the model.
        dataset: name of the data set.

    Raises:
        ValueError: no such preset or model.
    """
    if name not in PRESETS:
        raise ValueError(f"preset={name!r} must be one of {', '.join(PRESETS)}")
    if model not in MODELS:
        raise ValueError(f"model={model!r} must be one of {', '.join(MODELS)}")
    if name == "authors" and dataset == "mnist" and model.startswith("kan"):
        return TrainingConfig(learning_rate=1e-4, weight_decay=1e-3)
    return TrainingConfig()
