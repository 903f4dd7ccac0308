"""Every model, described once: how it is built, what may be set, what readers call it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from kanlib.models import dense
from kanlib.models.autoencoder import Autoencoder, Shape, count_parameters, match_parameters
from kanlib.models.conv import cnn_dense, conv, kan_conv, kan_shared_conv
from kanlib.models.pca import LSA, PCA
from kanlib.models.wrappers import LinearPath, with_centre, with_output
from kanlib.nn.rational import Rational


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
    colour: str = "grey"
    marker: str = "."
    on_edges: bool = False
    sized: Callable[[int], dict[str, Any]] | None = None


_CONV = frozenset({"dataset", "output"})
_HIDDEN = frozenset({"hidden", "output"})
_NODES = _HIDDEN | {"basis", "base", "init_noise"}  # of learned functions
_EDGES = _NODES | {"separate_scale", "layer_norm", "centred"}
_OF_BASES = frozenset({"base", "init_noise", "separate_scale", "layer_norm", "functions", "tied"})
_KAN_CONV = _CONV | _EDGES - {"hidden", "layer_norm"}
_ANY = frozenset({"output", "centred", "linear_path"})  # of the better-dressed models
_STACK = _ANY | {"hidden", "depth", "layer_norm"}
# Colours are those of Okabe and Ito, which survive colour blindness. A new model is one line.
MODELS: dict[str, ModelSpec] = {
    "kan": ModelSpec("AE-KAN", dense.kan, _EDGES, "#0072B2", "o", on_edges=True),
    "kan-pure": ModelSpec("pure KAN", dense.kan_pure, _EDGES, "#E69F00", "s", on_edges=True),
    # The width of these two is so fine that their layers grow one by one.
    "conv": ModelSpec("CNN", conv, _CONV, "#009E73", "^", sized=lambda n: {"width": n / 64}),
    "kan-conv": ModelSpec(
        "conv KAN", kan_conv, _KAN_CONV, "#56B4E9", "P", True, lambda n: {"width": n / 64}
    ),
    "mlp": ModelSpec(
        "MLP",
        dense.mlp,
        _STACK | {"activation", "input_scale"},
        "#D55E00",
        "D",
        sized=lambda n: {"hidden": n},
    ),
    "spline-mlp": ModelSpec(
        "Spline MLP", dense.spline_mlp, _NODES, "#CC79A7", "v", sized=lambda n: {"hidden": n}
    ),
    "kan-shared": ModelSpec(
        "shared KAN",
        dense.kan_shared,
        _STACK | {"basis", "base", "init_noise", "functions", "input_functions", "tied"},
        "#882255",
        "h",
        sized=lambda n: {"hidden": n},
    ),
    "cnn-dense": ModelSpec(
        "CNN, dense code",
        cnn_dense,
        _ANY | {"activation"},
        "#117733",
        "<",
        sized=lambda n: {"width": n / 2},
    ),
    "kan-shared-conv": ModelSpec(
        "shared conv KAN",
        kan_shared_conv,
        _ANY | {"basis", "base", "init_noise"},
        "#332288",
        ">",
        sized=lambda n: {"width": n / 2},
    ),
    "linear": ModelSpec("linear", dense.linear, frozenset({"output", "centred"}), "#999933", "+"),
    "pca": ModelSpec("PCA", PCA, colour="black", marker="x"),
    "lsa": ModelSpec("LSA", LSA, colour="#666666", marker="X"),
}


def build_model(name: str, shape: Shape, bottleneck: int, **options: Any) -> Autoencoder:
    """A fresh model by name.

    Args:
        name: key of ``MODELS``.
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        options: ``match_parameters``: give the model the size at which its parameter count is
            nearest to that of "kan" at the same bottleneck, with the paper's splines;
            ``separate_scale`` then says whether that KAN (and this model, if it can) has scales of
            its own. ``budget``: likewise, to a number of parameters. ``output``, ``centred``,
            ``linear_path``: see ``kanlib.models.wrappers``. All others: see the model's ``build``.

    Raises:
        ValueError: an argument is out of range or has no meaning for this model.
    """
    check_options(name, options)
    spec = MODELS[name]
    matched = options.pop("match_parameters", False)
    output, budget = options.pop("output", None), options.pop("budget", None)
    centred, linear_path = options.pop("centred", False), options.pop("linear_path", False)
    if "dataset" not in spec.options:  # every run has a data set; few models ask for it
        options.pop("dataset", None)
    if matched or budget:
        options |= _matched_size(spec, shape, bottleneck, options, budget)
    if "separate_scale" not in spec.options:  # it was said of the KAN whose size is matched
        options.pop("separate_scale", None)
    model = spec.build(shape, bottleneck, **options)
    if output is not None:
        model = with_output(model, output)
    if centred:
        model = with_centre(model, shape)
    return LinearPath(model, shape, bottleneck) if linear_path else model


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
    for key in {"match_parameters", "separate_scale", "layer_norm"} & options.keys():
        if options[key] not in (True, False):
            raise ValueError(f"{key}={options[key]!r} must be True or False")
    allowed = spec.options | {"dataset"}
    rational = isinstance(options.get("basis"), Rational)
    if rational:
        allowed -= _OF_BASES
        if spec.build in (kan_conv, kan_shared_conv):  # they are made of a basis
            allowed -= {"basis"}
    if matched and spec.sized:  # the size follows, from a KAN with scales or without
        allowed = (allowed - spec.sized(1).keys()) | {"match_parameters", "separate_scale"}
    elif options.get("budget") and spec.sized:
        allowed = (allowed - spec.sized(1).keys()) | {"budget"}
    for key, value in options.items():
        if key not in allowed and not (key == "match_parameters" and not matched):
            matching = " with match_parameters=True" if matched and key in spec.options else ""
            if rational and key in _OF_BASES:
                matching += f" with basis={options['basis']}"
            raise ValueError(
                f"{key}={value!r} has no meaning for model={name!r}{matching}; "
                f"what has is {', '.join(sorted(allowed - {'dataset'})) or 'nothing'}"
            )


def _matched_size(
    spec: ModelSpec,
    shape: Shape,
    bottleneck: int,
    options: Mapping[str, Any],
    budget: int | None,
) -> dict[str, Any]:
    """The size at which a model has a number of parameters, as options of its build.

    Without a budget that is the number of ``kan``.
    """
    sized = spec.sized
    assert sized is not None  # as ``check_options`` saw
    scale = {key: value for key, value in options.items() if key == "separate_scale"}
    own = {key: value for key, value in options.items() if key not in scale.keys() - spec.options}
    with torch.device("meta"):  # shapes only
        target = budget or count_parameters(dense.kan(shape, bottleneck, **scale))

    def build(size: int) -> Autoencoder:
        """The model at a size."""
        return spec.build(shape, bottleneck, **own, **sized(size))

    return sized(match_parameters(build, target))
