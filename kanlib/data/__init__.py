"""Data sets by name, as tensors. ``python -m kanlib.data NAME`` finds and checks one."""

import kanlib.extras  # noqa: F401
from kanlib.data.datasets import DATASETS, Images, Split, load_images

__all__ = ["DATASETS", "Images", "Split", "load_images"]
