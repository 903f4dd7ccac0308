"""Bad input to models is refused; the message names the argument and its value."""

# pyright: reportArgumentType=false
import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import nn

from kanlib.models import MODELS, PCA, build_model
from kanlib.models.autoencoder import match_parameters
from kanlib.models.conv import conv
from kanlib.models.dense import kan

SHAPE = (1, 8, 8)
CASES: list[tuple[Callable[[], object], str]] = [
    (lambda: kan([1, 8, 8], 4), "shape=[1, 8, 8]"),
    (lambda: kan(64, 4), "shape=64"),
    (lambda: kan((1, 8.0, 8), 4), "shape=(1, 8.0, 8)"),
    (lambda: build_model("mlp", SHAPE, 4, hidden="9"), "hidden='9'"),
    (lambda: build_model("mlp", SHAPE, 4, match_parameters="no"), "match_parameters='no'"),
    (lambda: build_model("kan", SHAPE, 4, separate_scale=0), "separate_scale=0"),
    (lambda: build_model(None, SHAPE, 4), "model=None"),
    (lambda: conv(SHAPE, 4, width=0), "width=0"),
    (lambda: conv(SHAPE, 4, width=-1.5), "width=-1.5"),
    (lambda: conv(SHAPE, 4, width=math.nan), "width=nan"),
    (lambda: match_parameters(lambda size: nn.Linear(1, size), 0), "target=0"),
    (lambda: match_parameters(lambda size: nn.Linear(1, size), math.nan), "target=nan"),
    (lambda: PCA(SHAPE, 4).fit(torch.rand(9, 1, 8, 9)), "(9, 1, 8, 9)"),
    (lambda: PCA(SHAPE, 4).fit(torch.rand(9, 64)), "(9, 64)"),
    (lambda: PCA(SHAPE, 4).fit(torch.ones(9, *SHAPE, dtype=torch.uint8)), "torch.uint8"),
]


@pytest.mark.parametrize(("call", "stated"), CASES, ids=[stated for _, stated in CASES])
def test_bad_input_is_named(call, stated):
    with pytest.raises(ValueError, match=re.escape(stated)):
        call()


@pytest.mark.parametrize("name", MODELS)
def test_no_model_has_a_code_larger_than_the_image(name):
    with pytest.raises(ValueError, match="bottleneck=65 "):
        build_model(name, SHAPE, 65)
