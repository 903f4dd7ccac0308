"""The error of an autoencoder's reconstructions, and the check of what it is computed from.

Needs ``data.py`` and ``autoencoders.py``; ``training.py`` and ``evaluation.py`` call it.
"""

import torch
from torch import nn

from kanlib.autoencoders import Autoencoder
from kanlib.bases import check_sizes
from kanlib.data import Images


def check_images(model: Autoencoder, images: Images) -> None:
    """Refuse images before anything is computed with them.

    Raises:
        ValueError: a split has NaN or infinite values, or the model does not take and return
            images of its shape and dtype; names the split.
    """
    for name, pixels in (("train", images.train.images), ("test", images.test.images)):
        if not torch.stack(pixels.aminmax()).isfinite().all():  # needs no memory of their size
            raise ValueError(f"images.{name} has NaN or infinite values; there must be none")
        try:
            reconstruction_error(model, pixels[:1])
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"images.{name} of shape {tuple(pixels.shape)} and {pixels.dtype} must fit the "
                f"model: {error}"
            ) from error


def reconstruction_loss(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """Mean squared error over all pixels of one batch ``x`` (N, C, H, W), differentiable: ()."""
    return nn.functional.mse_loss(model(x), x)


@torch.inference_mode()
def reconstruction_error(model: Autoencoder, images: torch.Tensor, batch_size: int = 1024) -> float:
    """Mean squared error over all pixels of ``images`` (N, C, H, W), accumulated in float64.

    ``model`` is in eval mode afterwards.

    Raises:
        ValueError: see ``batches``; or the model returns images of another shape.
    """
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=images.device)
    for batch in batches(images, batch_size):
        made = model(batch)
        if made.shape != batch.shape:  # might be broadcast to a wrong number
            raise ValueError(
                f"model returns shape {tuple(made.shape)} for images of shape "
                f"{tuple(batch.shape)}; the two must be equal"
            )
        total += (made - batch).square_().sum(dtype=torch.float64)
    return total.item() / images.numel()


def batches(images: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, ...]:
    """``images`` (N, ...) in parts of ``batch_size``, the last of which may be smaller.

    Raises:
        ValueError: there are no images, or ``batch_size`` is no integer >= 1.
    """
    if len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)} must be at least one")
    check_sizes("batches", batch_size=batch_size)
    return images.split(batch_size)
