"""The report's attributions carry honest errors."""

import numpy as np
import pytest

from evaluation.report import attributions


def test_an_attribution_without_a_miss_is_not_certain():
    found = attributions(
        {"names": ["a", "b"], "confusion": [[200, 0], [9, 1]], "confusion_real": [[100, 100], [0, 10]]}
    )
    z2 = 1.96**2
    assert found["a"]["samples"] == 1 and found["a"]["samples_error"] == pytest.approx(z2 / (200 + z2) / 2, rel=1e-3)
    assert found["a"]["real_error"] == pytest.approx(1.96 / 2 / np.sqrt(200 + z2), rel=1e-3)
