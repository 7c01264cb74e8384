"""Finds what is good and what is amiss in a text before anything is trained, a sentence each, and how to mend it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from checkup.estimate import NIGHT
from checkup.languages import MISSING, name_of, recognised
from checkup.records import FEW, GOOD, GREATER_PART, MANY, NOTE, WARNING, Finding, Inspection, percent, severity_of
from command.messages import around, counted
from config.schema import ENOUGH_TEXT
from sources.cleaning import agreement, without_entities, without_tags
from text.disguise import suspicion
from text.personal import handles, personal
from text.vocabulary import LEFT_OUT, NEWLINE, is_letter

QUOTABLE = re.compile(r"[\w .,:;()/+-]{1,80}")  # a command line and SQL pass it on as it is, between quotes
TOO_FEW = 100_000  # characters to learn from: benchmarks/results/learning.md
LETTERS = 0.5  # share of letters below which a text hardly looks like language
ONE_LANGUAGE = 0.95  # share of the most frequent language, from which the others are not mentioned
EDGE = 20  # characters that documents must begin or end with alike; fewer are a habit of any language
SHARED = 5  # documents that must do so
COVERED = 0.999  # share of the text that a larger vocabulary is to cover
SELDOM = 1e-5  # share of the text below which a network hardly learns a character
SHOWN, SHOWN_CHARACTERS = 3, 12  # examples
AROUND = 20  # characters shown on either side of what was found


def amount(seen: Inspection) -> Finding:
    """Whether there is enough to learn from."""
    characters, preset = int(seen.corpus.train.lengths.sum()), seen.run.preset
    sentence = f"{counted(characters, 'character')} to learn from"
    if characters < TOO_FEW:
        sentence += ": of so few a voice learns the documents rather than their language"
        return Finding(WARNING, sentence, "add text of the same kind; a megabyte is better")
    if characters < ENOUGH_TEXT:
        fix = seen.train("to pass over it often", "--preset tiny")
        return Finding(NOTE, f"{sentence}; a megabyte is better", fix if preset != "tiny" else "")
    return Finding(GOOD, f"{sentence}: enough for every preset")


def lengths(seen: Inspection) -> Finding:
    """Documents longer than the context, which are written in windows."""
    sizes, context = seen.corpus.train.lengths, seen.run.model.context
    median, long, longest = np.quantile(sizes, [0.5, 0.95, 1]).astype(int).tolist()
    beyond = int((sizes > context - 2).sum())
    sentence = (
        f"median length {median}, 95 % up to {long:,}, longest {counted(longest, 'character')}; "
        f"{percent(beyond, len(sizes))} exceed the context of {context}"
    )
    if beyond < MANY * len(sizes):
        return Finding(GOOD, sentence)
    sentence += ", are written in windows, and wander more the longer they are"
    if beyond > GREATER_PART * len(sizes):
        fix = seen.train("to give them a night", f"--preset {seen.run.preset}", "--minutes 480")
        return Finding(NOTE, sentence, fix if seen.estimate.gains_from(NIGHT) else "")
    return Finding(NOTE, sentence, seen.prepare("to leave them out", "short", f"--max-characters {context - 2}"))


def characters(seen: Inspection) -> Finding:
    """What the vocabulary leaves out, and what another size of it would do."""
    log, counts = seen.corpus.reading_log, seen.sample.counts.copy()
    if frame := not seen.corpus.stream:  # the newline, which is no character of lines
        counts[NEWLINE] = 0
    known = seen.corpus.vocabulary.characters
    kept, total = len(known) - frame, max(counts.sum(), 1)
    others_too = f"{kept} of " if kept < log.distinct_characters else ""
    sentence = f"{others_too}{counted(log.distinct_characters, 'distinct character')} kept"
    if lost := log.unknown_characters:
        ranked = np.argsort(-counts, kind="stable")
        others = [chr(c) for c in ranked[: np.count_nonzero(counts)] if chr(c) not in known and chr(c).isprintable()]
        sentence += (
            f"; the voice never writes the others, {lost:,} of {counted(log.characters, 'character')} "
            f"({percent(lost, log.characters)})" + ("".join([": ", *others[:SHOWN_CHARACTERS]]) if others else "")
        )
        size = 1 + frame + int(np.searchsorted(np.cumsum(counts[ranked]) / total, COVERED))
        if lost < (1 - COVERED) * log.characters or size <= seen.run.data.vocab_size:
            return Finding(GOOD, sentence)
        fix = seen.setting(f"to keep {COVERED:.1%} of the text", f"data: {{vocab_size: {size}}}")
        return Finding(WARNING if lost > LEFT_OUT * log.characters else NOTE, sentence, fix)
    seldom = sum(0 < counts[ord(character)] < SELDOM * total for character in known)
    if not seldom or seen.run.diffusion.process == "absorbing":  # its noise draws none of them
        return Finding(GOOD, f"{sentence}: the whole text")
    sentence += f"; {seldom} of them are rarer than one in {1 / SELDOM:,.0f}, and noise draws each as often as an e"
    return Finding(NOTE, sentence, seen.setting("to leave them out", f"data: {{vocab_size: {len(known) - seldom}}}"))


def languages(seen: Inspection) -> Finding:
    found = recognised(seen.sample.texts)
    if found is None:
        return Finding(NOTE, *MISSING)
    if not (total := found.total()):
        return Finding(GOOD, "documents are too short, or hold too few words, to tell their language")
    most, *others = found.most_common()
    mixed, documents = most[1] / total < ONE_LANGUAGE, counted(len(seen.sample.texts), "document")
    parts = ", ".join(f"{name_of(code)} {n / total:.0%}" for code, n in [most, *others[: SHOWN * mixed]])
    told = f"{parts} of the {counted(total, 'document')} long and clear enough to tell"
    if few := total < MANY * len(seen.sample.texts):  # which may be those of another language than the rest
        told = f"only {total:,} of {documents} are long and clear enough to tell: {parts} of these"
    if mixed:
        return Finding(WARNING, f"{told}: one voice mixes them", "give each language a file of its own")
    return Finding(NOTE if few else GOOD, told)


def repeats(seen: Inspection) -> Finding:
    """Lines that stand in the file more than once."""
    log = seen.corpus.reading_log
    if not log.duplicates:
        return Finding(GOOD, "no document stands there twice")
    lines = log.duplicates + log.documents + log.not_sampled
    share, severity = percent(log.duplicates, lines), severity_of(log.duplicates, lines)
    sentence = f"{counted(log.duplicates, 'line')} ({share}) repeat an earlier one; each is learnt once"
    return Finding(GOOD if severity == GOOD else NOTE, sentence)


def near_repeats(seen: Inspection) -> Finding:
    """Documents that differ from others in digits, marks and capitals alone, as those of programs do."""
    sample = seen.sample
    sentence = (
        f"{sample.near:,} of {counted(sample.documents, 'document')} read ({percent(sample.near, sample.documents)}) "
        "differ from another in digits, marks or capitals alone"
    )
    severity = severity_of(sample.near, sample.documents)
    first = {letters_of(sample.texts[i]): i for i in range(len(sample.texts) - 1, -1, -1) if sample.alike[i] > 1}
    top = sorted(first.values(), key=lambda i: -sample.alike[i])[:SHOWN]
    examples = tuple(f"{sample.alike[i]:,} like: {sample.texts[i]}" for i in top)
    if severity == GOOD:
        return Finding(GOOD, sentence, examples=examples)
    fix = ""
    if top and QUOTABLE.fullmatch(text := sample.texts[top[0]].lower()) and text.isascii():
        pattern = re.sub("[^a-z]+", r"[^\\p{L}\\p{M}]*", f" {text} ")  # nothing that is a letter of any script
        where, share = f"regexp_full_match(lower(text), '{pattern}')", sample.alike[top[0]] / sample.documents
        fix = seen.without("to leave out the most frequent", where, "distinct", share)
    return Finding(severity, f"{sentence}, as what programs write does; the voice learns that first", fix, examples)


def letters_of(text: str) -> str:
    return "".join(filter(is_letter, text)).lower()


def edges(seen: Inspection) -> Finding:
    """Openings and endings that many documents share."""
    texts = seen.sample.texts
    found = [(count, begin, "begin") for begin, count in shared_openings(texts)]
    found += [(count, end[::-1], "end") for end, count in shared_openings(text[::-1] for text in texts)]
    if not found:
        return Finding(GOOD, "no opening or ending is shared by many documents")
    found.sort(reverse=True)
    count, part, where = found[0]
    told, severity = seen.share(count)
    examples = tuple(f"{count:,} {where} with: {part}" for count, part, where in found[:SHOWN])
    fix = ""
    if QUOTABLE.fullmatch(part):
        condition = f"{'starts' if where == 'begin' else 'ends'}_with(text, '{part}')"
        fix = seen.without("to leave them out", condition, "varied", count / len(texts))
    return Finding(severity, f"{told} {where} alike, and so will what the voice writes", fix, examples)


def shared_openings(texts: Iterable[str]) -> list[tuple[str, int]]:
    """What FEW of the texts, and SHARED at least, begin with, as far as they agree, and how many do; most first."""
    texts = list(texts)
    counts = Counter(text[:EDGE] for text in texts if len(text) > EDGE)
    often = [(begin, n) for begin, n in counts.most_common() if n >= max(SHARED, FEW * len(texts))]
    return [(agreement([text for text in texts if text.startswith(begin)]), n) for begin, n in often]


def html(seen: Inspection) -> Finding:
    plain = {text: without_entities(without_tags(text)) for text in seen.sample.texts}
    found = [text for text in seen.sample.texts if plain[text] != text]
    if not found:
        return Finding(GOOD, f"no HTML is left over in {seen.read()}")
    told, severity = seen.share(len(found))
    # around the first tag or entity
    examples = tuple(around(text, at := len(agreement([text, plain[text]])), at + 1, AROUND) for text in found[:SHOWN])
    fix = seen.prepare("to remove it", "plain") if any(map(str.strip, plain.values())) else ""
    return Finding(severity, f"HTML in {told}: left over, unless people write about it", fix, examples)


def private(seen: Inspection) -> Finding:
    """E-mail, phone, card and IP numbers, keys."""
    found = [(text, spans[0]) for text in seen.sample.texts if (spans := personal(text))]
    if not found:
        return Finding(GOOD, f"no personal data was found in {seen.read()}: addresses, numbers or keys")
    told, severity = seen.share(len(found))
    sentence = f"likely personal data in {told}: addresses, numbers or keys"
    examples = tuple(around(text, *span, AROUND) for text, span in found[:SHOWN])
    if seen.run.collection.personal in ("drop", "mask"):
        sentence, fix = f"{sentence}; sets leave it out, generate.py does not", ""
    else:
        fix = seen.setting("to leave it out of sets", "collection: {personal: drop}")
    return Finding(WARNING if severity == WARNING else NOTE, sentence, fix, examples)


def names(seen: Inspection) -> Finding:
    """Names that begin with @."""
    found = [(text, spans[0]) for text in seen.sample.texts if (spans := handles(text))]
    if not found:
        return Finding(GOOD, f"no @names in {seen.read()}")
    told, severity = seen.share(len(found))
    kept = severity != GOOD and seen.run.collection.handles in ("keep", "flag")
    fix = seen.setting("to cover them in sets", "collection: {handles: mask}") if kept else ""
    examples = tuple(around(text, *span, AROUND) for text, span in found[:SHOWN])
    return Finding(GOOD if severity == GOOD else NOTE, f"@names in {told}", fix, examples)


def prose(seen: Inspection) -> Finding:
    """Whether this is the text that is meant."""
    if what := suspicion(seen.run):
        return Finding(WARNING, what)
    counts = Counter("".join(seen.sample.texts))
    share = sum(count for character, count in counts.items() if is_letter(character)) / max(counts.total(), 1)
    if share < LETTERS:
        return Finding(WARNING, f"only {share:.0%} of the characters are letters: is this the text you mean?")
    return Finding(GOOD, f"{share:.0%} of the characters are letters")


def licence(seen: Inspection) -> Finding:
    if seen.run.license:
        return Finding(GOOD, f"licence: {seen.run.license}")
    fix = seen.setting("to have sets carry it, this one or whatever holds", 'license: "CC BY 4.0"')
    return Finding(NOTE, "the licence of the text is not known: may you publish what learns from it?", fix)


# what is checked, in the order shown -> how; for a stream, OF_DOCUMENTS are left out
CHECKS: dict[str, Callable[[Inspection], Finding]] = {
    "amount": amount, "lengths": lengths, "characters": characters, "languages": languages, "repeats": repeats,
    "near repeats": near_repeats, "openings and endings": edges, "HTML": html, "personal data": private,
    "@names": names, "prose": prose, "licence": licence,
}  # fmt: skip
OF_DOCUMENTS = {"lengths", "repeats", "near repeats", "openings and endings"}


def examine(seen: Inspection) -> dict[str, Finding]:
    """All checks of a text, by name."""
    return {name: check(seen) for name, check in CHECKS.items() if not (seen.corpus.stream and name in OF_DOCUMENTS)}
