"""What a latent code is like: linear probe, mutual information with the class, likeness of two.

Codes are arrays (N, D), one row an image; labels (N,) integers.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def linear_probe(
    train_codes: Array, train_labels: Array, test_codes: Array, test_labels: Array
) -> float:
    """Accuracy of a linear classifier: logistic regression on standardised codes.

    Args:
        train_codes: (N, D) to fit on; their mean and deviation standardise both splits.
        train_labels: (N,).
        test_codes: (P, D) to score on.
        test_labels: (P,).

    Returns:
        Fraction of the test codes classified correctly.

    Raises:
        ValueError: codes and labels of different lengths or dimensions, or not finite.
    """
    _check(train_codes, train_labels)
    _check(test_codes, test_labels)
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    probe.fit(train_codes.astype(np.float64), train_labels)
    return float(probe.score(test_codes.astype(np.float64), test_labels))


def class_information(codes: Array, labels: Array) -> list[float]:
    """Mutual information of each unit of the code with the class, in bits.

    scikit-learn's estimate for a continuous and a discrete variable, from the distances to the
    three nearest neighbours (Ross, PLoS ONE 9(2), e87357, 2014); seed 0.

    Args:
        codes: (N, D).
        labels: (N,).

    Returns:
        D numbers, 0 to the entropy of the class up to the error of the estimate.

    Raises:
        ValueError: as in ``linear_probe``.
    """
    _check(codes, labels)
    from sklearn.feature_selection import mutual_info_classif

    nats = mutual_info_classif(codes.astype(np.float64), labels, random_state=0)
    return [float(unit) / math.log(2) for unit in nats]


def cka(first: Array, second: Array) -> float:
    """Linear centred kernel alignment: how alike two codes of the same images are, in [0, 1].

    ||Y^T X||^2 / (||X^T X|| ||Y^T Y||), Frobenius norms, columns centred (Kornblith et al.,
    arXiv 1905.00414, section 3). 1 for codes that are rotated, scaled or shifted copies.

    Args:
        first: (N, D).
        second: (N, E), of the same N images.

    Raises:
        ValueError: shapes that do not fit, or a code that is constant.
    """
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise ValueError(
            f"first of shape {first.shape} and second of shape {second.shape} must be (N, D) and "
            "(N, E), of the same images"
        )
    x, y = (code.astype(np.float64) - code.mean(0, dtype=np.float64) for code in (first, second))
    norm = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    if not 0 < norm < math.inf:
        raise ValueError("first or second is constant or not finite; must vary between images")
    return float(np.linalg.norm(y.T @ x) ** 2 / norm)


def _check(codes: Array, labels: Array) -> None:
    if codes.ndim != 2 or labels.shape != codes.shape[:1] or not np.isfinite(codes).all():
        raise ValueError(
            f"codes of shape {codes.shape} and labels of shape {labels.shape} must be (N, D) and "
            "(N,), and the codes finite"
        )
