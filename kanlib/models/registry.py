"""Every model by its name."""

from functools import partial
from typing import Literal, Unpack, get_args

import torch
from torch import nn

from kanlib.models import autoencoder, dense
from kanlib.models.autoencoder import Autoencoder, Shape
from kanlib.models.conv import conv
from kanlib.models.pca import PCA
from kanlib.nn.activation import SplineActivation
from kanlib.nn.linear import LayerOptions

ModelName = Literal["kan", "kan-pure", "conv", "mlp", "spline-mlp", "pca"]
MODELS: tuple[ModelName, ...] = get_args(ModelName)


def build_model(
    name: str,
    shape: Shape,
    bottleneck: int,
    *,
    hidden: int | None = None,
    match_parameters: bool = False,
    separate_scale: bool = True,
    output: str | None = None,
    dataset: str = "",
    **options: Unpack[LayerOptions],
) -> Autoencoder:
    """A fresh model by name.

    Args:
        name: "kan", "kan-pure", "conv", "mlp", "spline-mlp" (an MLP with learned splines on its
            nodes) or "pca".
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers of "kan" and the MLPs (None: the bottleneck's), or of a
            second KAN layer on each side of "kan-pure" (None: none).
        match_parameters: widen an MLP or "conv" until its parameter count is nearest to that of
            "kan" with the same bottleneck and scales, and the paper's splines.
        separate_scale: as in ``KANLinear``; True for a model without, unless ``match_parameters``.
        output: "tanh" or "linear" activation; None: the model's own, see ``with_output``.
        dataset: "svhn..." gives "conv" the authors' widths for SVHN.
        options: basis, base and init_noise of ``KANLinear`` or ``SplineActivation``.

    Raises:
        ValueError: an argument is out of range or has no meaning for this model.
    """
    _check_options(name, hidden, match_parameters, separate_scale, output, options)
    svhn = dataset.startswith("svhn")
    if match_parameters:
        model = _matched(name, shape, bottleneck, separate_scale, svhn, options)
    elif name == "kan":
        model = dense.kan(shape, bottleneck, hidden, separate_scale=separate_scale, **options)
    elif name == "kan-pure":
        model = dense.kan_pure(shape, bottleneck, hidden, separate_scale=separate_scale, **options)
    elif name in ("mlp", "spline-mlp"):
        model = _mlp(name, shape, bottleneck, hidden, options)
    elif name == "conv":
        model = conv(shape, bottleneck, svhn=svhn)
    else:
        model = PCA(shape, bottleneck)
    return model if output is None else with_output(model, output)


def with_output(model: Autoencoder, activation: str) -> Autoencoder:
    """``model`` with another output activation; its weights are shared.

    The paper's CNN ends in a Tanh, which keeps its output in the range of the data; its KANs do
    not.

    Args:
        model: whose decoder is an ``nn.Sequential``, as in ``autoencoders``.
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


def _check_options(
    name: str,
    hidden: int | None,
    match_parameters: bool,
    separate_scale: bool,
    output: str | None,
    options: LayerOptions,
) -> None:
    if name not in MODELS:
        raise ValueError(f"model={name!r} must be one of {', '.join(MODELS)}")
    if type(match_parameters) is not bool:
        raise ValueError(f"match_parameters={match_parameters!r} must be True or False")
    if hidden is not None and (name in ("conv", "pca") or match_parameters):
        raise ValueError(
            f"hidden={hidden} has no meaning for model={name!r}"
            + (" with match_parameters=True" if match_parameters else "")
        )
    if match_parameters and name not in ("mlp", "spline-mlp", "conv"):
        raise ValueError(
            f"match_parameters=True has a meaning for mlp, spline-mlp and conv, not {name!r}"
        )
    if separate_scale is not True and not match_parameters and not name.startswith("kan"):
        raise ValueError(
            f"separate_scale={separate_scale!r} has no meaning for model={name!r}, which has no "
            "KAN layer"
        )
    if output is not None and name == "pca":
        raise ValueError(f"output={output!r} has no meaning for model='pca'")
    if options and name in ("mlp", "conv", "pca"):
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(f"{given} has no meaning for model={name!r}, which has no splines")


def _mlp(
    name: str, shape: Shape, bottleneck: int, hidden: int | None, options: LayerOptions
) -> Autoencoder:
    splines = partial(SplineActivation, **options) if name == "spline-mlp" else None
    return dense.mlp(shape, bottleneck, hidden, splines)


def _matched(
    name: str,
    shape: Shape,
    bottleneck: int,
    separate_scale: bool,
    svhn: bool,
    options: LayerOptions,
) -> Autoencoder:
    """An MLP or CNN at the size whose parameter count is nearest to that of ``kan``."""

    def build(size: int) -> Autoencoder:
        """The hidden width of the MLP, or 64ths of the CNN's channels."""
        if name != "conv":
            return _mlp(name, shape, bottleneck, size, options)
        # 64ths are so fine that the layers grow one after the other.
        return conv(shape, bottleneck, size / 64, svhn=svhn)

    with torch.device("meta"):  # shapes only
        kan = dense.kan(shape, bottleneck, separate_scale=separate_scale)
    target = autoencoder.count_parameters(kan)
    return build(autoencoder.match_parameters(build, target))
