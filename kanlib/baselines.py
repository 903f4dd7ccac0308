"""PCA behind the interface of the autoencoders, and every model by its name.

Needs ``autoencoders.py``, and scikit-learn once PCA is fitted; ``training.py`` comes next.
"""

import math

import torch
from torch import Tensor, nn

from kanlib import autoencoders
from kanlib.autoencoders import Autoencoder, Shape

MODELS = ("kan", "kan-pure", "conv", "mlp", "pca")


class PCA(Autoencoder):
    """Principal component analysis: the best linear autoencoder, fitted instead of trained.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: number of components, 1 to C H W.

    Raises:
        ValueError: ``bottleneck`` is out of range.
    """

    def __init__(self, shape: Shape, bottleneck: int) -> None:
        autoencoders._width(shape, bottleneck, None)
        super().__init__(nn.Identity(), nn.Identity())
        self.shape = shape
        pixels = math.prod(shape)
        self.components = nn.Parameter(torch.zeros(bottleneck, pixels), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(pixels), requires_grad=False)

    def fit(self, images: Tensor) -> None:
        """Fit to training images (N, C, H, W), N >= bottleneck, by scikit-learn's exact solver."""
        from sklearn.decomposition import PCA as SklearnPCA

        bottleneck, pixels = self.components.shape
        if len(images) < bottleneck:
            raise ValueError(
                f"PCA: bottleneck={bottleneck} must not exceed the number of training images, "
                f"{len(images)}"
            )
        solver = "covariance_eigh" if len(images) >= pixels else "full"
        fitted = SklearnPCA(bottleneck, svd_solver=solver).fit(images.flatten(1).cpu().numpy())
        self.components.copy_(torch.from_numpy(fitted.components_))
        self.mean.copy_(torch.from_numpy(fitted.mean_))

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, bottleneck)."""
        return (images.flatten(1) - self.mean) @ self.components.T

    def decode(self, codes: Tensor) -> Tensor:
        """(N, bottleneck) -> (N, C, H, W)."""
        return (codes @ self.components + self.mean).unflatten(1, self.shape)


def build_model(
    name: str,
    shape: Shape,
    bottleneck: int,
    *,
    hidden: int | None = None,
    match_parameters: bool = False,
    separate_scale: bool = True,
    dataset: str = "",
) -> Autoencoder:
    """A fresh model by name.

    Args:
        name: "kan", "kan-pure", "conv", "mlp" or "pca" (see ``autoencoders``).
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers of "kan" and "mlp"; None: the bottleneck's.
        match_parameters: widen "mlp" or "conv" until its parameter count is nearest to that of
            "kan" with the same bottleneck and scales.
        separate_scale: as in ``KANLinear``.
        dataset: "svhn..." gives "conv" the authors' widths for SVHN.

    Raises:
        ValueError: an argument is out of range or has no meaning for this model.
    """
    if name not in MODELS:
        raise ValueError(f"model={name!r} must be one of {', '.join(MODELS)}")
    if hidden is not None and (name not in ("kan", "mlp") or match_parameters):
        raise ValueError(
            f"hidden={hidden} has no meaning for model={name!r}"
            + (" with match_parameters=True" if match_parameters else "")
        )
    if match_parameters and name not in ("mlp", "conv"):
        raise ValueError(f"match_parameters=True has a meaning for mlp and conv, not {name!r}")

    def build_conv(width: float = 1.0) -> Autoencoder:
        return autoencoders.conv(shape, bottleneck, width, svhn=dataset.startswith("svhn"))

    def kan_parameters() -> int:
        with torch.device("meta"):
            return autoencoders.count_parameters(
                autoencoders.kan(shape, bottleneck, separate_scale=separate_scale)
            )

    if name == "kan":
        return autoencoders.kan(shape, bottleneck, hidden, separate_scale=separate_scale)
    if name == "kan-pure":
        return autoencoders.kan_pure(shape, bottleneck, separate_scale=separate_scale)
    if name == "pca":
        return PCA(shape, bottleneck)
    if name == "mlp":
        if match_parameters:
            hidden = autoencoders.match_parameters(
                lambda width: autoencoders.mlp(shape, bottleneck, width),
                kan_parameters(),
            )
        return autoencoders.mlp(shape, bottleneck, hidden)
    if match_parameters:
        # Steps so fine that the layers grow one after the other.
        steps = autoencoders.match_parameters(lambda n: build_conv(n / 64), kan_parameters())
        return build_conv(steps / 64)
    return build_conv()
