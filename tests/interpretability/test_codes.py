"""Measures of a code, where the answer is known."""

import math

import numpy as np
import pytest

from kanlib.interpretability.codes import cka, class_information, linear_probe

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(4), 100)


def test_a_code_that_is_the_class_is_classified_and_one_of_noise_is_not():
    exact = np.eye(4)[LABELS] + 0.01 * RNG.normal(size=(400, 4))
    assert linear_probe(exact, LABELS, exact, LABELS) == 1
    noise = RNG.normal(size=(2, 400, 3))
    assert linear_probe(noise[0], LABELS, noise[1], LABELS) == pytest.approx(0.25, abs=0.08)


def test_a_probe_does_not_depend_on_units():
    code = np.eye(4)[LABELS] + 0.5 * RNG.normal(size=(400, 4))
    scaled = code * [1, 10, 0.1, 1000] + 5
    assert linear_probe(scaled, LABELS, scaled, LABELS) == linear_probe(code, LABELS, code, LABELS)


def test_a_probe_is_linear():
    x = RNG.normal(size=(400, 2))
    quadrants = (x[:, 0] * x[:, 1] > 0).astype(int)
    assert linear_probe(x, quadrants, x, quadrants) < 0.7


def test_a_unit_that_is_the_class_has_its_entropy_in_bits_and_noise_has_none():
    codes = np.stack([LABELS + 0.01 * RNG.normal(size=400), RNG.normal(size=400)], axis=1)
    told, noise = class_information(codes, LABELS)
    assert told == pytest.approx(math.log2(4), abs=0.1)
    assert noise == pytest.approx(0, abs=0.15)


def test_a_unit_that_tells_half_of_the_classes_apart_has_one_bit():
    codes = (LABELS // 2 + 0.01 * RNG.normal(size=400))[:, None]
    assert class_information(codes, LABELS)[0] == pytest.approx(1, abs=0.1)


def test_a_rotated_scaled_and_shifted_code_is_the_same_code():
    code = RNG.normal(size=(200, 5)) * [5, 4, 3, 2, 1]
    rotation, _ = np.linalg.qr(RNG.normal(size=(5, 5)))
    assert cka(code, 3 * code @ rotation + 7) == pytest.approx(1)


def test_independent_codes_are_not_alike():
    first, second = RNG.normal(size=(2, 2000, 5))
    assert cka(first, second) < 0.02


def test_cka_by_kernels_and_by_hand():
    first, second = RNG.normal(size=(50, 3)), RNG.normal(size=(50, 4))
    centre = np.eye(50) - 1 / 50
    k, m = (centre @ x @ x.T @ centre for x in (first, second))
    expected = (k * m).sum() / math.sqrt((k * k).sum() * (m * m).sum())
    assert cka(first, second) == pytest.approx(expected) == cka(second, first)
    # Two orthogonal directions of equal size against one of them: 1 / sqrt(2).
    x = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    assert cka(x, x[:, :1]) == pytest.approx(1 / math.sqrt(2))


def test_bad_codes_are_refused():
    with pytest.raises(ValueError, match=r"second of shape \(4, 2\)"):
        cka(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="first or second"):
        cka(np.ones((3, 2)), np.eye(3))
    with pytest.raises(ValueError, match=r"codes of shape \(3, 2\) and labels of shape \(4,\)"):
        linear_probe(np.zeros((3, 2)), np.zeros(4), np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(ValueError, match="codes"):
        class_information(np.full((3, 2), np.nan), np.zeros(3))
