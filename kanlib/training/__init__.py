"""Train one model and measure it."""

import kanlib.extras  # noqa: F401
from kanlib.training.config import TrainingConfig, preset
from kanlib.training.diagnostics import StepLog
from kanlib.training.evaluation import (
    METRICS,
    SPARSE_METRICS,
    TASK_METRICS,
    Outputs,
    Score,
    evaluate,
    knn_score,
    reconstruction_error,
)
from kanlib.training.loop import History, TrainingDiverged, train
from kanlib.training.validation import hold_out

__all__ = [
    "METRICS",
    "SPARSE_METRICS",
    "TASK_METRICS",
    "History",
    "Outputs",
    "Score",
    "StepLog",
    "TrainingConfig",
    "TrainingDiverged",
    "evaluate",
    "hold_out",
    "knn_score",
    "preset",
    "reconstruction_error",
    "train",
]
