"""Autoencoders by name. Costs torch alone."""

from kanlib.models.autoencoder import Autoencoder, count_parameters
from kanlib.models.pca import PCA
from kanlib.models.registry import MODELS, build_model

__all__ = ["MODELS", "PCA", "Autoencoder", "build_model", "count_parameters"]
