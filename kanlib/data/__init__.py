"""Data sets by name, as tensors. ``python -m kanlib.data NAME`` finds and checks one."""

import kanlib.extras  # noqa: F401
from kanlib.data.datasets import DATASETS, load_images
from kanlib.data.folders import read_folder
from kanlib.data.images import Images, Split

__all__ = ["DATASETS", "Images", "Split", "load_images", "read_folder"]
