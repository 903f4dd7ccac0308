"""What edges and codes are worth. Tables and figures are modules of their own."""

from kanlib.interpretability.analysis import Analysis, analysis_path, load_analysis, save_analysis
from kanlib.interpretability.study import analyse

__all__ = ["Analysis", "analyse", "analysis_path", "load_analysis", "save_analysis"]
