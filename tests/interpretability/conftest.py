"""Analyses of eight small models, which all tests of this folder share."""

from pathlib import Path
from typing import Any

import pytest

from kanlib.data import Images
from kanlib.experiments import Run
from kanlib.interpretability import Analysis, analysis_of

MODELS: list[dict[str, Any]] = [
    {"model": "kan-pure"},
    {"model": "mlp", "match_parameters": True},
    {"model": "conv"},
    {"model": "pca"},
]


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    return [
        Run(bottleneck=3, epochs=1, learning_rate=0.01, seed=seed, **model)
        for model in MODELS
        for seed in (0, 1)
    ]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def found(runs: list[Run], few_digits: Images, folder: Path) -> list[Analysis]:
    return [analysis_of(run, few_digits, folder) for run in runs]
