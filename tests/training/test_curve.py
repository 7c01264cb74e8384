"""The learning curve shows held-out and training text in the same unit, over characters and over minutes."""

import pytest
from matplotlib import pyplot

from training.curve import plot_curve
from training.events import Status, Validation


def validation(k: int, learnt: float | None) -> Validation:
    return Validation(
        step=k, progress=k / 4, characters=k * 1_000_000, train_loss=9.0, held_out=3 - 0.1 * k, held_out_error=0.05,
        learning_rate=0.1, minutes=2.0 * k, sample="", learnt=learnt,
    )  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    """The axes of every figure that is closed."""
    kept = []
    monkeypatch.setattr(pyplot, "close", lambda figure: kept.append(figure.axes))
    return kept


def test_the_curve_compares_held_out_with_training_text(tiny_run, drawn):
    run, history = tiny_run(), [validation(k, 2.9 - 0.1 * k) for k in range(1, 5)]
    plot_curve(Status(run.name, history=history), run)
    assert run.model_file().with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    [(axes, clock)] = drawn
    lines = {line.get_linestyle(): line for line in axes.get_lines() if len(line.get_xdata()) == 4}
    assert list(lines["-"].get_ydata()) == [record.held_out for record in history]
    assert list(lines[":"].get_ydata()) == [record.learnt for record in history]
    for place, label in zip(clock.get_xticks(), clock.get_xticklabels(), strict=True):
        assert place == pytest.approx(float(label.get_text()) / 2)  # a million characters in two minutes


def test_a_curve_of_one_measurement_and_of_an_earlier_version_is_drawn(tiny_run, drawn):
    run = tiny_run()
    plot_curve(Status(run.name, history=[validation(1, None)]), run)
    [(axes, _)] = drawn
    assert not [line for line in axes.get_lines() if line.get_linestyle() == ":"]
