"""Choosing tokens, without a model."""

from __future__ import annotations

from collections import Counter

import numpy as np

from bot.integrations.llamacpp_sampling import Sampler

LOGITS = np.log(np.array([0.6, 0.3, 0.1], dtype=np.float32))


def test_no_temperature_is_the_most_likely_token():
    assert {Sampler(0.0, seed, None).choose(LOGITS) for seed in range(5)} == {0}


def test_warm_tokens_come_as_often_as_their_probability_says():
    sampler = Sampler(1.0, 7, None)
    drawn = Counter(sampler.choose(LOGITS) for _ in range(4000))
    assert np.allclose([drawn[n] / 4000 for n in range(3)], [0.6, 0.3, 0.1], atol=0.03)


def test_half_the_temperature_squares_the_odds():
    sampler = Sampler(0.5, 7, None)
    drawn = Counter(sampler.choose(LOGITS) for _ in range(4000))
    assert np.isclose(drawn[0] / drawn[1], 4.0, rtol=0.15)
