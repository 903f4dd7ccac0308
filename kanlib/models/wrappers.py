"""What any trained autoencoder can have: another output, centred inputs, a linear path beside it.

Each takes a model and returns another with the same weights. All models of a comparison get the
same, so that only the functions differ.
"""

import math

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Fitted, Shape
from kanlib.models.pca import PCA


def with_output(model: Autoencoder, activation: str) -> Autoencoder:
    """``model`` with another output activation.

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
    layers = list(_sequence(model, "decoder"))
    learned = [i for i, layer in enumerate(layers) if next(layer.parameters(), None) is not None]
    last = max(learned, default=0)  # a Tanh before it is a hidden one
    layers = layers[:last] + [part for part in layers[last:] if not isinstance(part, nn.Tanh)]
    layers += [nn.Tanh()] if activation == "tanh" else []
    return Autoencoder(model.encoder, nn.Sequential(*layers))


class Centre(Fitted):
    """Images minus the mean of the training images: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(shape))

    def fit(self, images: Tensor) -> None:
        """Take the mean of (N, C, H, W)."""
        self.mean.copy_(images.mean(0, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        """Subtract it."""
        return images - self.mean


def with_centre(model: Autoencoder, shape: Shape) -> Autoencoder:
    """``model`` that sees images minus the mean of the training images.

    Args:
        model: whose encoder is an ``nn.Sequential``.
        shape: (C, H, W) of the images.
    """
    return Autoencoder(nn.Sequential(Centre(shape), *_sequence(model, "encoder")), model.decoder)


class LinearPath(Autoencoder):
    """A linear autoencoder and a model beside it: their codes are added, and their images.

    The linear path starts at PCA. The last layers of the model start at zero, so that the whole
    starts at PCA, too.

    Args:
        model: whose encoder and decoder are each an ``nn.Sequential``.
        shape: (C, H, W) of the images.
        bottleneck: size of the code.
    """

    def __init__(self, model: Autoencoder, shape: Shape, bottleneck: int) -> None:
        super().__init__(model.encoder, model.decoder)
        pixels = math.prod(shape)
        self.shape = shape
        self.to_code = nn.Linear(pixels, bottleneck)
        self.from_code = nn.Linear(bottleneck, pixels)
        for part in ("encoder", "decoder"):
            *_, last = (p for p in _sequence(model, part) if next(p.parameters(), None) is not None)
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Start the linear path at the PCA of (N, C, H, W), N >= bottleneck."""
        super().fit(images)
        pca = PCA(self.shape, self.to_code.out_features)
        pca.fit(images)
        self.to_code.weight.copy_(pca.components)
        self.to_code.bias.copy_(-pca.components @ pca.mean)
        self.from_code.weight.copy_(pca.components.T)
        self.from_code.bias.copy_(pca.mean)

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, bottleneck)."""
        return self.to_code(images.flatten(1)) + self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(N, bottleneck) -> (N, C, H, W)."""
        return self.from_code(codes).unflatten(1, self.shape) + self.decoder(codes)


def _sequence(model: Autoencoder, part: str) -> nn.Sequential:
    """The encoder or decoder of a model, as a sequence of layers."""
    found = getattr(model, part)
    if not isinstance(found, nn.Sequential):
        raise ValueError(f"model={type(model).__name__}: its {part} must be an nn.Sequential")
    return found
