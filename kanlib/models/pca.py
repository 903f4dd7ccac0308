"""PCA and LSA behind the interface of the autoencoders."""

import math

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_bottleneck


class PCA(Autoencoder):
    """Principal component analysis: the best linear autoencoder, fitted instead of trained.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: number of components, 1 to C H W.

    Raises:
        ValueError: ``bottleneck`` is out of range.
    """

    def __init__(self, shape: Shape, bottleneck: int) -> None:
        check_bottleneck(shape, bottleneck)
        super().__init__(nn.Identity(), nn.Identity())
        self.shape = shape
        pixels = math.prod(shape)
        self.components = nn.Parameter(torch.zeros(bottleneck, pixels), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(pixels), requires_grad=False)

    def fit(self, images: Tensor) -> None:
        """Fit to training images (N, C, H, W), N >= bottleneck, by scikit-learn's exact solver.

        Raises:
            ValueError: too few images.
        """
        from sklearn.decomposition import PCA as SklearnPCA

        bottleneck, pixels = self.components.shape
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


class LSA(PCA):
    """Latent semantic analysis: a truncated SVD, which is PCA without the mean; for texts.

    Args and errors are those of ``PCA``.
    """

    def __init__(self, shape: Shape, bottleneck: int) -> None:
        super().__init__(shape, bottleneck)
        del self.mean
        self.register_buffer("mean", torch.zeros(()), persistent=False)  # so it does not count

    def fit(self, images: Tensor) -> None:
        """Fit to training images (N, C, H, W), N >= bottleneck, by scikit-learn's solver.

        It draws random directions with a fixed seed, so the result is always the same.

        Raises:
            ValueError: too few images.
        """
        from sklearn.decomposition import TruncatedSVD

        bottleneck = len(self.components)
        if len(images) < bottleneck:
            raise ValueError(f"images: {len(images)} must be >= bottleneck={bottleneck}")
        fitted = TruncatedSVD(bottleneck, random_state=0).fit(images.flatten(1).cpu().numpy())
        self.components.copy_(torch.from_numpy(fitted.components_))
