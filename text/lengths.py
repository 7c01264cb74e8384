"""The distribution of document lengths, from which the lengths of new documents are drawn."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lengths:
    """How often each length, in characters, occurs among documents."""

    values: np.ndarray  # ascending
    counts: np.ndarray  # how often each length occurs

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Lengths":
        """The distribution of (documents,) lengths."""
        return cls(*np.unique(lengths, return_counts=True))

    def capped(self, longest: int) -> "Lengths":
        """The same distribution, with longer documents counted as `longest`."""
        return Lengths(np.minimum(self.values, longest), self.counts)

    def within(self, shortest: int, longest: int) -> "Lengths":
        """The part of the distribution in this range; if it is empty, all lengths of the range, equally often."""
        inside = (self.values >= shortest) & (self.values <= longest)
        if not inside.any():
            values = np.arange(shortest, longest + 1)
            return Lengths(values, np.ones_like(values))
        return Lengths(self.values[inside], self.counts[inside])

    def draw(self, uniform: float) -> int:
        """A uniform in [0, 1) -> a length, by inverse CDF."""
        cdf = np.cumsum(self.counts)
        return int(self.values[np.searchsorted(cdf, uniform * cdf[-1], side="right")])
