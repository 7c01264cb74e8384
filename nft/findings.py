"""What verification finds: printed line by line, and counted, so that what was not checked never counts as fine."""

from command.messages import counted, say


class Findings:
    """Prints what does not match and what could not be checked, and counts both."""

    def __init__(self) -> None:
        self.wrong = self.unchecked = 0

    def differs(self, what: str) -> None:
        """Something is not what it must be."""
        self.wrong += 1
        say(f"does not match: {what}")

    def not_checked(self, what: str) -> None:
        """Something could not be compared with what it must be."""
        self.unchecked += 1
        say(f"not checked: {what}")

    def summary(self) -> str:
        """Whether all matches, something differs, or something is left that was not checked."""
        open_end = f"; {counted(self.unchecked, 'thing')} could not be checked" if self.unchecked else ""
        if self.wrong:
            return f"{counted(self.wrong, 'thing')} {'does' if self.wrong == 1 else 'do'} not match{open_end}"
        return f"what was checked matches{open_end}" if self.unchecked else "everything matches"
