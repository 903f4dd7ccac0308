"""The paper's numbers as DataFrames, read off the authors' published figures.

Needs pandas. The CSV files lie in results/published/ and are read by path.
Source: arXiv 2410.02077 and the figures in its authors' repository (AminMoradiXL/kan_ae); marker
centres, with an error under 0.5% of the axis range.
"""

from pathlib import Path

import pandas as pd


def load_elbow(folder: str | Path, dataset: str) -> pd.DataFrame:
    """Test MSE of the paper's AE-KAN against its size.

    Args:
        folder: that holds elbow_<dataset>.csv.
        dataset: "mnist", "cifar10" or "svhn".

    Returns:
        Columns bottleneck, test_mse; no rows where the paper has no such figure.
    """
    path = Path(folder) / f"elbow_{dataset}.csv"
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["bottleneck", "test_mse"])


def load_confusion(folder: str | Path, dataset: str) -> pd.DataFrame | None:
    """Confusion matrix of the paper's AE-KAN at size 784, under its own (leaky) protocol.

    Args:
        folder: that holds confusion_<dataset>.csv.
        dataset: "mnist", "cifar10" or "svhn".

    Returns:
        Counts; row = true class, column = predicted class. None where the paper has none.
    """
    path = Path(folder) / f"confusion_{dataset}.csv"
    return pd.read_csv(path, index_col="true") if path.exists() else None
