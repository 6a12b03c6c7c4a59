"""docs/theory.md: every theorem has a proof and a command, and what T1 to T7 say is seen in numbers."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "theory.md"
TEXT = PAGE.read_text(encoding="utf-8")
PARTS = {part.partition("\n")[0]: part for part in re.split(r"^###? ", TEXT, flags=re.MULTILINE)[1:]}


@pytest.mark.parametrize("number", range(1, 8))
def test_every_theorem_has_a_proof_and_a_command(number):
    (part,) = [text for title, text in PARTS.items() if title.startswith(f"T{number}:")]
    assert "**Theorem.**" in part
    assert "*Proof.*" in part
    assert "∎" in part
    assert "$ gateflow" in part


def test_the_prior_art_is_named():
    assert "Siegel" in TEXT
    assert "Wojtowytsch" in TEXT
    assert "2210.01348" in TEXT


def descent_lengths(v, rest, steps, eta=1.0, z=2.0):
    """Losses and steps of gradient descent, eta = 1, from z = 2."""
    losses, lengths = [], []
    for _ in range(steps):
        losses.append(rest(z))
        lengths.append(eta * v(z))
        z += lengths[-1]
    return np.array(losses), np.array(lengths)


def test_dyadic_pieces_of_the_path_are_below_the_barrier():
    """The inequality in the proof of T7 (and T2), for sigmoid and softsign, T = 1."""
    gates = (
        (lambda z: 1 / (2 + math.exp(z) + math.exp(-z)), lambda z: 1 / (1 + math.exp(z))),
        (lambda z: 1 / (2 + z) ** 2, lambda z: 1 / (2 + z)),
    )
    for v, rest in gates:
        losses, lengths = descent_lengths(v, rest, 2**14)
        assert np.all(losses[:-1] - losses[1:] >= lengths[1:] ** 2)
        for k in range(1, 13):
            assert lengths[2**k + 1 : 2 ** (k + 1) + 1].sum() <= math.sqrt(2**k * losses[2**k])


def test_one_more_sinh_is_sooner_by_more_and_more():
    """T4 for sigmoid and the fast gate, from their integrals in big floats."""

    def time(far, weight):
        return mpmath.quad(lambda z: (2 + mpmath.exp(z) + mpmath.exp(-z)) * weight(z), mpmath.linspace(0, far, 20))

    ratios = [time(far, lambda z: 1 / (1 + z * z)) / time(far, lambda z: 1) for far in (5, 10, 20, 40, 80)]
    assert all(b < a / 2 for a, b in pairwise(ratios))
    assert ratios[-1] * 80**2 == pytest.approx(1, rel=0.1)


def test_a_loss_that_dips_below_any_bound_has_an_infinite_path():
    """The construction of T5 with b = tau^-5, far below the barrier: each stage has a path of length at least 1."""
    loss, time = mpmath.mpf(1) / 2, mpmath.mpf(0)
    for _ in range(6):
        wait = max(mpmath.mpf(1), 2 / loss)
        assert mpmath.sqrt(loss / 2 / wait) * wait > 1 - mpmath.mpf(10) ** -12
        time += wait + 1
        loss = min(loss / 4, time**-5)
        assert loss <= time**-5
