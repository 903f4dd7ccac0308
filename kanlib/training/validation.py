"""The validation split: a part of the training split that choices may depend on."""

from dataclasses import replace

import numpy as np
import torch

from kanlib.data.images import Images, Split


def hold_out(images: Images, fraction: float, seed: int) -> Images:
    """The training split of ``images`` in two parts; the test split is not read.

    Args:
        images: the data.
        fraction: of the training images to hold out, in (0, 1); rounded up to a whole image.
        seed: of the choice. Each class has its share of both parts, unless one has a single image
            or there are fewer held-out images than classes.

    Returns:
        The same data set. Its ``train`` is the part to train on, its ``test`` the part that is held
        out; both keep the order of the images.

    Raises:
        ValueError: no image would be left to train on.

    Examples:
        >>> from kanlib.data import load_images
        >>> from kanlib.training import hold_out
        >>> held = hold_out(load_images("digits"), 0.1, seed=0)
        >>> len(held.train), len(held.test)
        (1293, 144)
    """
    from sklearn.model_selection import train_test_split

    split = images.train
    places, labels = np.arange(len(split)), split.labels.cpu().numpy()
    chosen = {"test_size": fraction, "random_state": seed}
    try:
        parts = train_test_split(places, stratify=labels, **chosen)
    except ValueError:  # too few of a class
        try:
            parts = train_test_split(places, **chosen)
        except ValueError as error:
            raise ValueError(
                f"validation={fraction} of {len(split)} training images leaves none to train on; "
                "must be smaller"
            ) from error
    kept, held_out = (torch.from_numpy(np.sort(part)).to(split.images.device) for part in parts)
    train, test = (Split(split.images[rows], split.labels[rows]) for rows in (kept, held_out))
    return replace(images, train=train, test=test)
