"""The text that others are compared with: its words, and how far others copy from it."""

import numpy as np

from evaluation.metrics import DocumentGroup, ngram_bits
from evaluation.reference import Reference, copy_bound, words
from tests.evaluation.references import encode, judged, sentences
from text.corpus import load_corpus
from text.vocabulary import FRAME


def test_words_are_letters_and_inner_apostrophes():
    assert words("भारत में हिन्दी, cafe\u0301") == ["भारत", "में", "हिन्दी", "cafe\u0301"]
    assert words("Don't re-do 3 naïve 'things'; l’été_x") == ["don't", "re", "do", "naïve", "things", "l’été", "x"]


def test_known_words_are_those_of_the_training_text(tiny_run):
    letters = "abcdefghijklmnopqrstuvwxyz"
    corpus = load_corpus(tiny_run([f"{a}{b} word" for a in letters for b in letters]))
    learnt = {word for document in corpus.train for word in words(corpus.vocabulary.decode(document))}
    assert Reference(corpus, 32).words == learnt and len(learnt) < 27 * 26


def test_counts_of_a_stream_hold_no_newline_that_it_has_not(tiny_run):
    """Its pieces, which are compared, are cut where a window ends."""
    corpus = load_corpus(tiny_run(b"ab" * 4000, data={"format": "stream"}))
    reference = Reference(corpus, 32)
    assert reference.unigrams[FRAME] == 0 and len(reference.text) == len(corpus.train.document(0))
    documents = [corpus.train.document(0)[:32].astype(np.int64)] * 3
    assert ngram_bits(DocumentGroup(documents, reference))(np.ones(3)) < 0.1  # a bit for the first, of 32


def test_copies_of_training_text_are_found_and_new_text_is_not_accused(reference, tiny_run):
    corpus = load_corpus(tiny_run(sorted(set(sentences(3000, 0)))))
    long = sorted((document.astype(np.int64) for document in corpus.train), key=len)[-40:]
    assert judged(long, reference)["copies"](np.ones(40)) > 0.5
    assert reference.matches(long).tolist() == [len(document) for document in long]  # whichever part they are from
    short = sorted((reference.vocabulary.decode(corpus.train.document(i)) for i in range(40)), key=len)[:20]
    wider = [f" {text.replace(' ', '  ', 1)} " for text in short]
    for lines in (encode(reference, short), encode(reference, wider)):
        assert reference.matches(lines).max() <= reference.copy_bound  # as lines alone
        assert judged(lines, reference)["copies"](np.ones(20)) == 1
    fresh = [text for text in sentences(320, 9) if text not in reference.lines][:300]
    assert judged(encode(reference, fresh), reference)["copies"](np.ones(300)) < 0.02


def test_documents_that_are_mostly_copies_do_not_say_what_chance_allows():
    documents = [np.zeros(10, dtype=np.int64)] * 4
    assert copy_bound(documents, np.array([2, 3, 10, 9])) == (3, 2)
    assert copy_bound(documents, np.array([10, 9, 8, 10])) == (10, 0)
    nothing = [np.empty(0, int)] * 5  # documents that show nothing are no new text
    assert copy_bound(documents + nothing, np.array([2, 3, 10, 9, *[0] * 5])) == (3, 2)


def test_a_match_of_the_bound_is_no_copy_and_a_longer_one_is(reference):
    new = [np.array([ids for ids in document if ids][::-1]) for document in reference.held_out[:20]]
    for match, copied in ((reference.copy_bound, False), (reference.copy_bound + 1, True)):
        kinds = reference.copies(new, np.full(len(new), match))
        assert (kinds.passages == copied).all() and not kinds.lines.any()
