"""What the checks of a text look at, and what they find."""

from dataclasses import dataclass
from pathlib import Path

from checkup.estimate import Estimate
from checkup.sample import Sample
from command.messages import argument, counted
from command.options import CONFIG_FILE, config_option
from config.schema import RunConfig
from text.corpus import Corpus

GOOD, NOTE, WARNING = "good", "note", "warning"
GREATER_PART = 0.5  # share of the documents
FEW, MANY = 0.01, 0.1  # shares of documents from which something is noted, and from which it is a warning


def percent(part: int, whole: int) -> str:
    """A share for people: a small one does not show as 0."""
    share = part / max(whole, 1)
    return "under 0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def severity_of(part: int, whole: int) -> str:
    """WARNING from MANY on, NOTE from FEW on."""
    share = part / max(whole, 1)
    return WARNING if share >= MANY else NOTE if share >= FEW else GOOD


@dataclass(frozen=True)
class Finding:
    """What a check found, in one sentence; what to type or to set, and what for; and parts of the text that show it."""

    severity: str  # GOOD, NOTE or WARNING
    sentence: str
    fix: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inspection:
    """What the checks look at."""

    run: RunConfig
    corpus: Corpus
    sample: Sample
    estimate: Estimate
    config: Path = CONFIG_FILE  # that commands to type, and settings, name

    def read(self) -> str:
        """How many documents were looked at closely, in words."""
        return f"{counted(len(self.sample.texts), 'document')} read"

    def share(self, texts: int) -> tuple[str, str]:
        """So many of the sample's texts, in words, and how severe that is: more than FEW, or MANY of them."""
        documents = len(self.sample.texts)
        return f"{texts:,} of {self.read()} ({percent(texts, documents)})", severity_of(texts, documents)

    def _to_type(self, purpose: str, *words: str) -> str:
        """A command of these words, and what for."""
        return f"{purpose}: {' '.join(words)}{config_option(self.config)}"

    def train(self, purpose: str, *options: str) -> str:
        """A command that trains this voice, with these options, and what for."""
        return self._to_type(purpose, "python train.py --dataset", self.run.name, *options)

    def prepare(self, purpose: str, better: str, *options: str) -> str:
        """A command that writes a better text into a file of its own, and what for.

        `better`: how it is better, in a word. "" for a stream, whose line breaks would be lost.
        """
        if self.corpus.stream:
            return ""
        source = argument(self.run.data_file())
        origin = {"--source": self.run.source, "--license": self.run.license}
        given = [f"{option} {argument(text)}" for option, text in origin.items() if text and text.isprintable()]
        name = f"{self.run.name}_{better}"
        return self._to_type(purpose, "python prepare.py", source, "--name", name, *options, *given)

    def without(self, purpose: str, where: str, better: str, share: float) -> str:
        """A command that leaves out the documents, a `share` of all, for which the SQL of `where` is true.

        "" if they are the greater part: the rest would be no text of this kind, or none at all.
        """
        return self.prepare(purpose, better, f'--where "NOT {where}"') if share <= GREATER_PART else ""

    def setting(self, purpose: str, line: str) -> str:
        """Where a line of the configuration goes, and what for."""
        return f"{purpose}, in {self.config}, under datasets, {self.run.name}: {line}"
