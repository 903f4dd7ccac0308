"""Data sets by name, as tensors. ``python -m kanlib.data NAME`` finds and checks one."""

import kanlib.extras  # noqa: F401
from kanlib.data.datasets import DATASETS, Images, Split, load_images
from kanlib.data.folders import read_folder

__all__ = ["DATASETS", "Images", "Split", "load_images", "read_folder"]
