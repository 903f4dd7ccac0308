"""What is measured, at which size and between whom: plain values, sent to the workers as JSON."""

from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any


@dataclass(frozen=True)
class Competitor:
    """Someone who computes the same kind of thing.

    Args:
        name: key of ``competitors.LAYERS`` or ``competitors.MODELS``.
        fast: with the opt-in settings of ``kanlib.cpu``; False: PyTorch as it is installed.
    """

    name: str
    fast: bool = False


@dataclass(frozen=True)
class Case:
    """One measurement, taken of all its competitors in turn.

    Args:
        what: key of ``work.WORK``.
        in_features: I of a layer, or pixels of an image.
        out_features: O of a layer, or bottleneck of an autoencoder.
        batch: rows, or images a step.
        competitors: who is measured, in this order.
        grid_size: G.
        spline_order: k.
    """

    what: str
    in_features: int
    out_features: int
    batch: int
    competitors: tuple[Competitor, ...]
    grid_size: int = 5
    spline_order: int = 3

    @property
    def shape(self) -> str:
        """As in the result files: 784-34."""
        return f"{self.in_features}-{self.out_features}"

    def to_json(self) -> dict[str, Any]:
        """Everything but the competitors, for the worker of one of them."""
        return asdict(self) | {"competitors": ()}


def both(name: str) -> tuple[Competitor, Competitor]:
    """As installed, and with the settings."""
    return Competitor(name), Competitor(name, fast=True)


def has_pykan() -> bool:
    """Whether pykan, an optional dependency, is installed."""
    return find_spec("kan") is not None


def on_device(competitors: tuple[Competitor, ...], device: str) -> tuple[Competitor, ...]:
    """Those that can be measured: the settings are the CPU's, pykan may not be installed."""
    return tuple(
        c
        for c in competitors
        if (device == "cpu" or not c.fast) and (c.name != "pykan" or has_pykan())
    )
