"""Every model, described once: how it is built, what may be set, what readers call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from kanlib.models import dense
from kanlib.models.autoencoder import Autoencoder, Shape, count_parameters, match_parameters
from kanlib.models.conv import conv
from kanlib.models.pca import PCA


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    Attributes:
        label: what tables and figures call it.
        build: (shape, bottleneck, **options) -> a fresh ``Autoencoder``.
        options: what may be set: names of options of ``build``, and "output", which any trained
            model has (see ``with_output``).
        colour: in figures, as matplotlib takes it.
        marker: likewise.
        on_edges: it has learned functions on its edges, so it is a KAN. The paper's claims are
            about these.
        sized: a size >= 1 -> options of ``build``. The model's parameters grow with the size, so
            that it can be as large as ``kan``. None: it has no such option.
    """

    label: str
    build: Callable[..., Autoencoder]
    options: frozenset[str] = frozenset()
    colour: str = "#56B4E9"
    marker: str = "."
    on_edges: bool = False
    sized: Callable[[int], dict[str, Any]] | None = None


_CONV = frozenset({"dataset", "output"})
_HIDDEN = frozenset({"hidden", "output"})
_NODES = _HIDDEN | {"basis", "base", "init_noise"}  # of learned functions
_EDGES = _NODES | {"separate_scale"}
# Colours are those of Okabe and Ito, which survive colour blindness. A new model is one line.
MODELS: dict[str, ModelSpec] = {
    "kan": ModelSpec("AE-KAN", dense.kan, _EDGES, "#0072B2", "o", on_edges=True),
    "kan-pure": ModelSpec("pure KAN", dense.kan_pure, _EDGES, "#E69F00", "s", on_edges=True),
    # The width of "conv" is so fine that its layers grow one by one.
    "conv": ModelSpec("CNN", conv, _CONV, "#009E73", "^", sized=lambda n: {"width": n / 64}),
    "mlp": ModelSpec("MLP", dense.mlp, _HIDDEN, "#D55E00", "D", sized=lambda n: {"hidden": n}),
    "spline-mlp": ModelSpec(
        "Spline MLP", dense.spline_mlp, _NODES, "#CC79A7", "v", sized=lambda n: {"hidden": n}
    ),
    "pca": ModelSpec("PCA", PCA, colour="black", marker="x"),
}


def build_model(name: str, shape: Shape, bottleneck: int, **options: Any) -> Autoencoder:
    """A fresh model by name.

    Args:
        name: key of ``MODELS``.
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        options: ``match_parameters``: give the model the size at which its parameter count is
            nearest to that of "kan" at the same bottleneck, with the paper's splines;
            ``separate_scale`` then says whether that KAN has scales of its own. ``output``: "tanh"
            or "linear", see ``with_output``. All others: see the model's ``build``.

    Raises:
        ValueError: an argument is out of range or has no meaning for this model.
    """
    check_options(name, options)
    spec = MODELS[name]
    matched = options.pop("match_parameters", False)
    output = options.pop("output", None)
    if "dataset" not in spec.options:  # every run has a data set; few models ask for it
        options.pop("dataset", None)
    if matched:
        options |= _matched_size(spec, shape, bottleneck, options)
        options.pop("separate_scale", None)
    model = spec.build(shape, bottleneck, **options)
    return model if output is None else with_output(model, output)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that have no meaning for a model.

    Args:
        name: of the model.
        options: as ``build_model`` takes them.

    Raises:
        ValueError: there is no such model or option, or it has no meaning here.
    """
    if name not in MODELS:
        raise ValueError(f"model={name!r} must be one of {', '.join(MODELS)}")
    spec, matched = MODELS[name], options.get("match_parameters", False)
    allowed = spec.options | {"dataset"}
    if matched and spec.sized:  # the size follows, from a KAN with scales or without
        allowed = (allowed - spec.sized(1).keys()) | {"match_parameters", "separate_scale"}
    for key, value in options.items():
        if key not in allowed and not (key == "match_parameters" and not matched):
            matching = " with match_parameters=True" if matched and key in spec.options else ""
            raise ValueError(
                f"{key}={value!r} has no meaning for model={name!r}{matching}; "
                f"what has is {', '.join(sorted(allowed - {'dataset'})) or 'nothing'}"
            )


def _matched_size(
    spec: ModelSpec, shape: Shape, bottleneck: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """The size at which a model has the parameter count of ``kan``, as options of its build."""
    sized = spec.sized
    assert sized is not None  # as ``check_options`` saw
    scale = {key: value for key, value in options.items() if key == "separate_scale"}
    own = {key: value for key, value in options.items() if key != "separate_scale"}
    with torch.device("meta"):  # shapes only
        target = count_parameters(dense.kan(shape, bottleneck, **scale))

    def build(size: int) -> Autoencoder:
        """The model at a size."""
        return spec.build(shape, bottleneck, **own, **sized(size))

    return sized(match_parameters(build, target))


def with_output(model: Autoencoder, activation: str) -> Autoencoder:
    """``model`` with another output activation; its weights are shared.

    The paper's CNN ends in a Tanh, which keeps its output in the range of the data. Its KANs do
    not.

    Args:
        model: whose decoder is an ``nn.Sequential``, as in ``kanlib.models.dense``.
        activation: "tanh" or "linear".

    Raises:
        ValueError: no such activation, or a decoder that is not a sequence of layers.
    """
    if activation not in ("tanh", "linear"):
        raise ValueError(f"activation={activation!r} must be 'tanh' or 'linear'")
    if not isinstance(model.decoder, nn.Sequential):
        raise ValueError(f"model={type(model).__name__}: its decoder must be an nn.Sequential")
    layers = list(model.decoder)
    learned = [i for i, layer in enumerate(layers) if next(layer.parameters(), None) is not None]
    last = max(learned, default=0)  # a Tanh before it is a hidden one
    layers = layers[:last] + [part for part in layers[last:] if not isinstance(part, nn.Tanh)]
    layers += [nn.Tanh()] if activation == "tanh" else []
    return Autoencoder(model.encoder, nn.Sequential(*layers))
