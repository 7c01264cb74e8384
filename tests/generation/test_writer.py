"""Documents: lengths, windows, given text, and no dependence on the documents written beside them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import generate
from diffusion.samplers import SAMPLERS
from generation.draft import Draft
from generation.prompt import Prompt
from generation.writer import ThisMachine, Writer, fitting_calls, write_documents
from tests.helpers import Quiet, answering, long_and_short_lines, shape
from text.lengths import Lengths
from training.trainer import train_model

CPU = torch.device("cpu")


@pytest.fixture
def writer(tiny_run):
    run = tiny_run(long_and_short_lines(), diffusion={"process": "absorbing"})
    return Writer.of(train_model(run, Quiet()), CPU)


def test_documents_have_lengths_of_the_corpus_and_no_frames(writer):
    texts = write_documents(writer, 0, range(60), writer.settings())
    assert {len(text) for text in texts} <= set(writer.lengths.values.tolist())
    assert not any(set(text) & set("\n\ufffd") for text in texts)
    assert min(map(len, texts)) < 30 < 90 < max(map(len, texts))


@pytest.mark.parametrize(("documents", "most"), [(10, 0.2), (48, 0.05), (400, 0.01)])
def test_a_set_of_any_size_has_the_lengths_of_the_corpus(writer, documents, most):
    lengths = np.repeat(writer.lengths.values, writer.lengths.counts)
    shares = np.searchsorted(lengths, writer.lengths.values, side="right") / len(lengths)
    for seed in range(5):
        drawn = np.sort([len(Draft(writer, Prompt(), seed, k, 0).ids) - 2 for k in range(documents)])
        own = np.searchsorted(drawn, writer.lengths.values, side="right") / documents
        assert np.abs(own - shares).max() < most  # of 48 independent draws: 0.12
    # another attempt is an independent draw: a length that leads to nothing new is not tried again
    assert len({len(Draft(writer, Prompt(), 0, 7, attempt).ids) for attempt in range(20)}) > 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_document_k_depends_on_nothing_but_seed_and_k(writer, sampler):
    settings = replace(writer.settings(), sampler=sampler, renoise=0.25, stretch=4, revisions=1, revised=0.25)
    whole = write_documents(writer, 3, range(40), settings)
    assert write_documents(writer, 3, reversed(range(40)), settings) == whole[::-1]
    assert [write_documents(writer, 3, [k], settings)[0] for k in (0, 7, 39)] == [whole[k] for k in (0, 7, 39)]
    assert write_documents(writer, 3, range(5, 17), settings) == whole[5:17]
    assert write_documents(writer, 4, range(40), settings) != whole
    assert write_documents(writer, 3, range(40), settings, attempt=1) != whole
    assert len(set(whole)) > 35
    together, alone = ([Draft(writer, Prompt(), 3, k, 0) for k in range(40)] for _ in range(2))
    ThisMachine().written(writer, together, settings)
    for draft in alone:
        ThisMachine().written(writer, [draft], settings)
    how = [[draft.written(writer.vocabulary) for draft in drafts] for drafts in (together, alone)]
    assert how[0] == how[1]  # how each came to be, as well


def test_each_window_of_long_documents_is_progress(writer):
    """All of them end at the end: by whole documents nothing would be told before."""
    length = 4 * writer.run.model.context
    drafts = [Draft(writer, Prompt(shortest=length, longest=length), 0, k, 0) for k in range(3)]
    shares: list[float] = []
    ThisMachine().written(writer, drafts, writer.settings(), shares.append)
    assert sum(shares) == pytest.approx(3) and len(shares) > 3 and min(shares) > 0 and max(shares) < 1.5


def test_a_row_of_the_network_does_not_depend_on_its_place(writer):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(writer.vocabulary.size, (128, 32), generator=generator)
    order = torch.randperm(128, generator=generator)
    given, sigma = torch.zeros(128, 32, dtype=torch.bool), torch.full((128,), 0.7)
    with torch.no_grad():
        assert torch.equal(writer.network(x, sigma, given)[order], writer.network(x[order], sigma, given))


def test_calls_of_a_large_alphabet_are_made_one_after_another():
    """Sixteen cores would hold 33 GB of probabilities of 60,000 characters."""
    for positions, characters, calls in ((512, 128, 16), (512, 10_000, 6), (512, 60_001, 1), (4096, 6_000, 1)):
        assert fitting_calls(positions, characters, cores=16) == calls


def test_a_long_document_slides_with_its_overlap_given(writer):
    draft = next(d for d in (Draft(writer, Prompt(), 0, k, 0) for k in range(50)) if len(d.ids) > 80)
    spans = []
    while not draft.finished:
        ids, given = draft.window()
        spans.append((draft.start, len(ids), int(given.sum())))
        fresh = np.where(given, ids, 5)
        before = draft.ids.copy()
        final = draft.final
        draft.take(fresh)
        assert np.array_equal(draft.ids[:final], before[:final])  # what is written stays
    assert spans[0] == (0, 32, 1)  # opens with the frame, no end in sight
    assert spans[1] == (32 - 8, 32, 8)
    assert (draft.ids[1:-1] == 5).all() and draft.ids[0] == draft.ids[-1] == 0


def test_given_characters_come_out_untouched_and_lengths_exact(writer):
    def write(**form) -> list[str]:
        return write_documents(writer, 0, range(12), writer.settings(), prompt=Prompt(**form))

    for text in write(prefix="fix the ", suffix=" 7"):
        assert text.startswith("fix the ") and text.endswith(" 7") and len(text) > 10
    long = write(prefix="a long ", suffix=" words", shortest=90, longest=90)  # the suffix lies beyond the first window
    assert all(len(t) == 90 and t.startswith("a long ") and t.endswith(" words") for t in long) and len(set(long)) > 1
    assert all("_" not in text for text in write(template="the ____ of __"))  # not a character of this corpus
    for text in write(template="the ____ of __"):
        assert len(text) == 14 and text[:4] == "the " and text[8:12] == " of "
    assert {len(text) for text in write(shortest=15, longest=20)} <= set(range(15, 21))
    assert {len(text) for text in write(shortest=150, longest=150)} == {150}  # a length the corpus does not have
    longest = int(writer.lengths.values[-1])
    assert {len(text) for text in write(prefix="a" * longest)} == {longest + 1}  # nothing of the corpus has room for it
    assert write() == write_documents(writer, 0, range(12), writer.settings())


def test_a_form_is_read_as_texts_are():
    """Programs of macOS part a letter from its accent."""
    for name in ("prefix", "suffix", "template"):
        assert getattr(Prompt(**{name: "cafe\u0301"}), name) == "caf\u00e9"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (["--prefix", "né"], "--prefix holds 'é', which is not among the 23 characters of MODEL"),
        (["--template", "fix"], "--template 'fix' has no _ to fill"),
        (
            ["--template", "fix _", "--prefix", "add"],
            "--template says what is given and how long; it takes no --prefix, --suffix or --length",
        ),
        (["--length", "5", "--prefix", "remove"], "--length 5: prefix and suffix already take 6 characters"),
        (["--length", "9-3"], "--length 9-3: must be N or MIN-MAX, whole numbers from 1 to 1000000"),
        (["--length", "x"], "--length x: must be N or MIN-MAX, whole numbers from 1 to 1000000"),
    ],
)
def test_forms_that_cannot_be_are_named(tiny_run, capsys, option, message):
    run = tiny_run()
    checkpoint = train_model(shape(run, max_steps=1), Quiet())
    message = message.replace("23", str(len(checkpoint.vocabulary.characters) - 1))
    assert generate.main(["--model", str(run.model_file()), *option]) == 2
    assert capsys.readouterr().err == f"error: {message.replace('MODEL', str(run.model_file()))}\n"


def test_a_stream_writes_windows_with_newlines(tiny_run):
    text = "".join(f"l{i % 7}\n" for i in range(400))
    run = tiny_run(text.encode(), data={"format": "stream"}, training={"max_steps": 60})
    writer = Writer.of(train_model(run, Quiet()), CPU)
    texts = write_documents(writer, 0, range(8), writer.settings())
    assert {len(t) for t in texts} == {32} and any("\n" in t for t in texts)
    form = Prompt(prefix="l1\nl2\n")
    form.check(writer.run, writer.vocabulary, "MODEL")
    assert all(t.startswith("l1\nl2\n") for t in write_documents(writer, 0, range(3), writer.settings(), prompt=form))


def test_what_is_blotted_out_and_written_the_same_again_is_no_correction(writer):
    likeliest = F.one_hot(torch.tensor(2), writer.vocabulary.size).float() * 50

    @answering
    def network(x_t, sigma, given):
        return likeliest.expand(*x_t.shape, -1)

    draft = Draft(writer, Prompt(shortest=20, longest=20), 0, 0, 0)
    settings = replace(writer.settings(), sampler="surest", stretch=8, revisions=2, revised=0.5)
    ThisMachine().written(replace(writer, network=network), [draft], settings)
    written = draft.written(writer.vocabulary)
    assert written.text == writer.vocabulary.characters[2] * 20
    assert written.corrections == 0 and 1 <= written.settling <= 8


@pytest.mark.parametrize("longest", [1, 20, 30, 31, 55, 200])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_document_takes_more_network_calls_than_the_config_says(writer, sampler, longest):
    run = writer.run
    sampling = run.sampling.model_copy(update={"sampler": sampler, "max_length": longest})
    writer = replace(writer, run=run.model_copy(update={"sampling": sampling}))
    calls = writer.network_calls(writer.settings(), Prompt(shortest=longest, longest=longest))
    windows = writer.run.most_calls() // SAMPLERS[sampler].calls(writer.settings(), run.model.context)
    assert calls <= writer.run.most_calls() and (windows == 1) == (longest <= run.model.context - 2)


def test_a_window_with_nothing_left_to_write_takes_no_network_call(writer):
    """As that of the closing frame alone, or one within a long prefix."""
    context, settings = writer.run.model.context, writer.settings()

    def calls(length: int, prefix: str = "") -> int:
        return writer.network_calls(settings, Prompt(prefix, shortest=length, longest=length))

    assert calls(context - 1) == SAMPLERS[settings.sampler].calls(settings, context - 1)
    assert calls(5 * context, "a" * (4 * context)) <= calls(2 * context)
    made = []

    @answering
    def network(x_t, sigma, given):
        made.append(x_t)
        return torch.zeros(*x_t.shape, writer.diffusion.process.characters)

    prompt = Prompt("a" * 100, shortest=5 * context, longest=5 * context)
    (text,) = write_documents(replace(writer, network=network), 0, [0], settings, prompt=prompt)
    assert text.startswith("a" * 100) and len(text) == 5 * context
    assert len(made) == calls(5 * context, "a" * 100)


def test_a_short_piece_of_a_stream_stands_before_no_newlines_that_nobody_wrote(tiny_run):
    """Lines are filled up with their frame; a stream's windows were always whole, so nothing is given in them."""
    run = tiny_run(long_and_short_lines(), data={"format": "stream"}, diffusion={"process": "absorbing"})
    writer = Writer.of(train_model(run, Quiet()), CPU)
    draft = Draft(writer, Prompt(shortest=5, longest=5), 0, 0, 0)
    ids, given = draft.window()
    assert len(ids) == 5 and not given.any()
    assert len(write_documents(writer, 0, [0], writer.settings(), prompt=Prompt(shortest=5, longest=5))[0]) == 5


def test_lengths_that_are_asked_for_are_drawn_as_the_text_has_them_though_others_are_capped():
    lengths, asked = Lengths.of(np.array([10, 45, 50, 70, 90])), Prompt(shortest=40, longest=80)
    assert {asked.draw_length(lengths, 42, uniform) for uniform in np.linspace(0, 0.99, 20)} == {45, 50, 70}
    assert {Prompt().draw_length(lengths, 42, uniform) for uniform in np.linspace(0, 0.99, 20)} == {10, 42}
