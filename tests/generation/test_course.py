"""The course of a document: it leads to the text, names every change once, and counts steps through all windows."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffusion.samplers import SAMPLERS
from generation.course import Change, ChangeRecorder, Changes, text_after, without_gaps
from generation.draft import Draft
from generation.prompt import Prompt
from generation.writer import ThisMachine, Writer
from tests.helpers import Quiet, long_and_short_lines
from text.lengths import Lengths
from text.vocabulary import Vocabulary
from training.trainer import train_model


@pytest.fixture(params=["absorbing", "uniform"])
def writer(request, tiny_run):
    run = tiny_run(long_and_short_lines(), diffusion={"process": request.param})
    return Writer.of(train_model(run, Quiet()), torch.device("cpu"))


def written(writer: Writer, sampler: str, **form):
    settings = replace(writer.settings(), sampler=sampler, renoise=0.25, stretch=4, revisions=2, revised=0.25)
    drafts = [Draft(writer, Prompt(**form), 3, k, 0) for k in range(40)]
    ThisMachine().written(writer, drafts, settings)
    return [draft.written(writer.vocabulary) for draft in drafts]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_course_leads_to_the_text_and_agrees_with_the_figures(writer, sampler):
    if SAMPLERS[sampler].fills_masks and writer.run.diffusion.process != "absorbing":
        pytest.skip(f"{sampler} needs the absorbing process")
    documents = written(writer, sampler)
    assert any(document.corrections for document in documents)
    for document in documents:
        course = document.course
        assert text_after(course) == document.text
        assert [change.step for change in course] == sorted({change.step for change in course})
        assert all(change.positions == sorted(set(change.positions)) for change in course)
        before: dict[int, str] = {}
        for change in course:  # nothing is written that stands there already
            new = dict(zip(change.positions, change.characters, strict=True))
            assert not new.items() & before.items()
            before |= new
        if len(document.text) < writer.run.model.context - 1:  # one window
            own = np.array([place for change in course if change.step for place in change.positions])
            assert document.settling == max(change.step for change in course)
            assert document.corrections == len(own) - len(set(own.tolist()))


def test_confidence_is_the_geometric_mean_of_the_probabilities_with_which_characters_were_written(writer):
    recorder = ChangeRecorder(
        torch.zeros(2, 3, dtype=torch.bool), 2
    )  # of the second row the first step changes nothing
    states = ([[2, 2, 2], [0, 1, 1]], [[0, 2, 1], [0, 1, 1]], [[0, 1, 0], [0, 1, 0]])
    chances = (None, [[0.5, 0.9, 0.25], [0.3, 0.2, 0.6]], [[0.1, 0.125, 0.75], [0.9, 0.9, 0.4]])
    for step, (x, p) in enumerate(zip(states, chances, strict=True)):
        recorder(step, torch.tensor(x), None if p is None else torch.tensor(p, dtype=torch.float64))
    assert recorder.log_p.exp().flatten().tolist() == pytest.approx([0.5, 0.125, 0.75, 0.3, 0.2, 0.4])
    draft = Draft(writer, Prompt(shortest=3, longest=3), 0, 0, 0)
    ids, given = draft.window()
    log_p = np.zeros(len(ids))
    log_p[~given] = np.log([0.5, 0.125, 0.25])
    draft.remember(log_p, Changes(*np.zeros((3, 0), dtype=np.int64)))
    draft.take(ids)
    assert draft.written(writer.vocabulary).confidence == pytest.approx((0.5 * 0.125 * 0.25) ** (1 / 3))


def test_a_prompt_stands_there_before_the_first_step_and_never_changes(writer):
    for document in written(writer, "tweedie", prefix="the ", suffix=" the"):
        first, *others = document.course
        shown = dict(zip(first.positions, first.characters, strict=True))
        assert first.step == 0 and [shown[place] for place in range(4)] == list("the ")
        given = {*range(4), *range(len(document.text) - 4, len(document.text))}
        assert not given & {place for change in others for place in change.positions}
        assert document.text.endswith(" the") and first.positions == sorted(first.positions)


def test_masks_are_no_changes_and_steps_without_change_leave_nothing():
    vocabulary, mask = Vocabulary("\nab"), 3
    recorder = ChangeRecorder(torch.tensor([[True, False, False]]), 3)
    p = torch.full((1, 3), 0.5, dtype=torch.float64)
    for step, state in enumerate([[0, mask, mask], [0, 1, mask], [0, 1, 2], [0, mask, 2], [0, 1, 2], [0, 2, 2]]):
        recorder(step, torch.tensor([state]), p if step else None)
    course = recorder.by_row()[0].course(vocabulary)
    assert course == [Change(1, [1], "a"), Change(2, [2], "b"), Change(5, [1], "b")]


def test_a_course_without_gaps_says_the_same_in_steps_that_are_there():
    course = [Change(0, [1], "b"), Change(3, [0], "x"), Change(3, [2], "c"), Change(4096, [0], "a")]
    assert [change.step for change in without_gaps(course)] == [0, 1, 1, 2]
    assert text_after(without_gaps(course)) == text_after(course) == "abc"
    assert [change.step for change in without_gaps(course[1:])] == [1, 1, 2] and without_gaps([]) == []


def test_figures_of_a_long_document_are_those_of_all_its_windows(tiny_run):
    """Windows of 31 and 19 characters, drawn with chances of 1/2 and 1/8."""
    lengths = Lengths.of(np.array([50]))
    writer = SimpleNamespace(run=tiny_run(), vocabulary=Vocabulary("\nabc"), lengths=lengths)
    draft = Draft(writer, Prompt(), 0, 0, 0)
    for chance, last in ((0.5, 4), (0.125, 2)):
        ids, given = draft.window()
        first, second = np.flatnonzero(~given)[:2]
        changes = Changes(np.array([1, 1, last]), np.array([first, second, first]), np.array([1, 2, 3]))
        draft.remember(np.where(given, 0, np.log(chance)), changes)
        draft.take(np.where(given, ids, 1))
    found = draft.written(writer.vocabulary)
    assert draft.finished and found.confidence == pytest.approx(np.exp((31 * np.log(0.5) + 19 * np.log(0.125)) / 50))
    assert (found.settling, found.corrections) == (4, 2)
    steps = [(change.step, change.positions) for change in found.course]
    assert steps == [(1, [0, 1]), (4, [0]), (5, [31, 32]), (6, [31])]
