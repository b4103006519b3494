"""Errors, sorted by what the reader has to do about them.

Each says what is wrong, where, the value that was seen, the value that was expected, and the remedy. Two families:
a *chemistry* error belongs to one molecule and becomes its failure record (the run goes on); every other error
belongs to the machine or the user, and stops the job with a non-zero exit.
"""


class DecarError(Exception):
    """Base of all errors of this package; `str()` is a message fit for a user."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        seen: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.what, self.where, self.seen, self.expected, self.remedy = what, where, seen, expected, remedy
        parts = [what]
        if where is not None:
            parts.append(f"  where:    {where}")
        if seen is not None:
            parts.append(f"  seen:     {seen}")
        if expected is not None:
            parts.append(f"  expected: {expected}")
        if remedy is not None:
            parts.append(f"  remedy:   {remedy}")
        super().__init__("\n".join(parts))


class ConfigError(DecarError):
    """The study file is wrong: edit it."""


class FoldError(ConfigError):
    """A network cannot be trained on these molecules (a class is missing, the loss diverged): a benchmark goes on."""


class DataFormatError(DecarError):
    """A file is damaged, truncated or of an unknown format version: replace it, or compute it again."""


class DamagedFileError(DataFormatError):
    """A file is truncated or overwritten: what it held has to be made again."""


class BackendUnavailableError(DecarError):
    """A program that was asked for is not installed: the message carries the install line."""


class ResourceError(DecarError):
    """Memory, disk or time ran out: the job is retried with more."""


class ChemistryError(DecarError):
    """One molecule cannot be treated; `reason` is a short, countable name for the cause."""

    def __init__(self, what: str, *, reason: str, **context: object) -> None:
        self.reason = reason
        self.attempts: list[dict[str, object]] = list(context.pop("attempts", []))  # type: ignore[call-overload]
        super().__init__(what, **context)  # type: ignore[arg-type]


class InputMoleculeError(ChemistryError):
    """The molecule as given cannot be read or treated: correct its row of the table."""


class ConvergenceError(ChemistryError):
    """An iteration did not converge after the last rescue; `attempts` says what was tried."""
