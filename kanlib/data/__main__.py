"""``python -m kanlib.data NAME``: find, decode and check data sets before a run."""

import math
import sys
import warnings

from kanlib.data.datasets import load_images


def main() -> int:
    """Find, decode and describe the data sets that the command line names."""
    for name in sys.argv[1:] or ["digits"]:
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                images = load_images(name)
        except (MemoryError, ModuleNotFoundError, OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
        print(
            f"{name}: {len(images.train)} training and {len(images.test)} test images of "
            f"{math.prod(images.shape)} values {images.shape}, {len(images.classes)} classes"
        )
        for warning in said:
            print(warning.message, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
