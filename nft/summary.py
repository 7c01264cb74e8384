"""What the commands of a set say at their end: where it is, what the rules found, and what is to be published."""

from collections import Counter
from pathlib import Path

from command.messages import clock, counted, say
from command.options import option
from command.program import complain
from config.errors import listed
from nft.edition import Edition
from nft.fonts import drawn_by_others, is_laid_out, lays_out
from nft.provenance import provenance
from nft.store import indented_json
from nft.traits import TRAITS
from text.vocabulary import is_visible
from utils import sha256


def print_summary(folder: Path, edition: Edition, seconds: float) -> int:
    """Print where the set is and what the rules found; -> exit status, 1 if rules dropped every text of a token."""
    records = edition.every
    dropped = Counter(rule for record in records for rule in record["dropped"])
    flagged = Counter(rule for record in records for rule in record["flags"])
    failed = [str(record["token_id"]) for record in records if not record["accepted"]]
    constant = [name for name in TRAITS if name not in edition.bands]
    say(f"{counted(len(records) - len(failed), 'token')}: {folder} ({clock(seconds)})")
    say(f"to look through them: {folder / 'index.html'}")
    if edition.curated:
        say(f"selection.json publishes {len(edition.records)} of them; select --keep all publishes all")
    for label, counts in (("drawn again for", dropped), ("flagged for", flagged)):
        if counts:
            say(f"{label}: " + ", ".join(f"{rule} {count}" for rule, count in counts.most_common()))
    if constant:
        say(f"the same for all tokens, so no trait: {', '.join(constant)}")
    say_how_drawn(edition)
    say_what_to_publish(edition)
    if failed:
        what = f"left out, for the rules dropped each text that was drawn for them: {listed(failed)}"
        more = f"--size {len(records) + len(failed)} draws as many more"
        complain(f"error: {counted(len(failed), 'token')} {what}; {more}")
    return 1 if failed else 0


def say_how_drawn(edition: Edition) -> None:
    """Say which fonts of the machine pictures are drawn with, what no font has, and what pieces do not show well."""
    drawn = [edition.info.title, *(record["text"] for record in edition.records)]
    foreign = {part: path for text in drawn for part, path in drawn_by_others(text).items()}
    if names := sorted({path.stem for path in foreign.values() if path}):
        say(f"drawn with other fonts of this machine, where DejaVu Sans Mono lacks a character: {', '.join(names)}")
    if missing := [character for character, path in foreign.items() if not path]:
        lacked = f"{counted(len(missing), 'character')} that no font here has: {' '.join(missing[:10])}"
        say(f"pictures show boxes for {lacked}")
    laid_out = [record for record in edition.records if any(map(is_laid_out, filter(is_visible, record["text"])))]
    if laid_out and not lays_out():
        what = "letters of Arabic and Hebrew are reversed and marks misplaced, for Pillow finds no FriBiDi"
        say(f"in pictures of {counted(len(laid_out), 'token')} {what} (Debian: libfribidi0)")
    if count := sum(bool(edition.pieces(record)) for record in laid_out):
        what = "place characters one by one: letters of Arabic and Hebrew are reversed, marks stand apart"
        say(f"pieces of {counted(count, 'token')} {what}; export --pieces none leaves all pieces out")


def say_what_to_publish(edition: Edition) -> None:
    """Say which origin of the texts a set does not name, and the hash by which its provenance is known."""
    if missing := [option(key) for key in ("license", "source") if not getattr(edition.info, key)]:
        say(f"not named by the set: {' and '.join(missing)} of the training text; export gives them")
    say(f"SHA-256 of provenance.json, by which the set is known: {sha256(indented_json(provenance(edition)))}")
