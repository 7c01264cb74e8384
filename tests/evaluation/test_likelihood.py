"""A likelihood and its error have their closed form."""

import numpy as np
import pytest

from evaluation.likelihood import ratio_estimate


def test_ratio_estimate_and_its_error_have_their_closed_form():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 50, 4000)
    nats = sizes * 2.0 + rng.normal(0, 3, 4000)
    found = ratio_estimate(nats, sizes, np.arange(4000))
    assert found.bits == pytest.approx(2 / np.log(2), abs=0.02)
    assert found.error == pytest.approx(3 / np.sqrt(4000) / sizes.mean() / np.log(2), rel=0.1)
    merged = ratio_estimate(np.repeat(nats, 2) / 2, np.repeat(sizes, 2) / 2, np.repeat(np.arange(4000), 2))
    assert merged.error == pytest.approx(found.error)  # rows of one document are one observation
