"""The paper's numbers as DataFrames, read off the authors' published figures.

The CSV files lie in results/published/ and are read by path. Source: arXiv 2410.02077 and the
figures in its authors' repository (AminMoradiXL/kan_ae); marker centres, with an error under 0.5%
of the axis range.
"""

from pathlib import Path

import pandas as pd

CONFUSION_SIZE = 784  # of the AE-KANs whose confusion matrices are published


def load_elbow(folder: str | Path, dataset: str) -> pd.DataFrame:
    """Test MSE of the paper's AE-KAN against its size.

    Args:
        folder: that holds elbow_<dataset>.csv.
        dataset: "mnist", "cifar10" or "svhn"; "svhn-test10k" is held against "svhn".

    Returns:
        Columns bottleneck, test_mse; no rows where the paper has no such figure.

    Raises:
        FileNotFoundError: ``folder`` is no folder.
    """
    path = _path(folder, "elbow", dataset)
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["bottleneck", "test_mse"])


def label(dataset: str) -> str:
    """What tables and figures call the paper's AE-KAN beside ours on ``dataset``."""
    whole = " (all of SVHN)" if dataset == "svhn-test10k" else ""
    return f"AE-KAN, published{whole}"


def load_confusion(folder: str | Path, dataset: str) -> pd.DataFrame | None:
    """Confusion matrix of the paper's AE-KAN at ``CONFUSION_SIZE``, under its own (leaky) protocol.

    Args:
        folder: that holds confusion_<dataset>.csv.
        dataset: "mnist", "cifar10" or "svhn".

    Returns:
        Counts; row = true class, column = predicted class. None where the paper has none.

    Raises:
        FileNotFoundError: ``folder`` is no folder.
    """
    path = _path(folder, "confusion", dataset)
    return pd.read_csv(path, index_col="true") if path.exists() else None


def _path(folder: str | Path, kind: str, dataset: str) -> Path:
    if not Path(folder).is_dir():  # else a misspelt one would be a paper without figures
        raise FileNotFoundError(f"folder={str(folder)!r} is not a folder")
    return Path(folder) / f"{kind}_{dataset.removesuffix('-test10k')}.csv"
