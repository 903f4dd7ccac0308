"""A small folder of images, as a user would have one."""

from pathlib import Path

import numpy as np
from PIL import Image

COUNTS = {"train": 3, "test": 2}  # images a class


def write_folder(root: Path, channels: int = 1, size: tuple[int, int] = (5, 4)) -> dict:
    """root/{train,test}/{cat,dog}/*.png of random pixels; returns them by split, (N, C, H, W)."""
    draw, pixels = np.random.default_rng(0), {}
    for split, count in COUNTS.items():
        images = draw.integers(0, 256, (2, count, *size, channels), dtype=np.uint8)
        for name, of_class in zip(("cat", "dog"), images, strict=True):
            (root / split / name).mkdir(parents=True)
            for i, image in enumerate(of_class):
                Image.fromarray(image.squeeze()).save(root / split / name / f"{i}.png")
        pixels[split] = images.reshape(-1, *size, channels).transpose(0, 3, 1, 2)
    return pixels
