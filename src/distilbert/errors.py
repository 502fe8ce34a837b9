"""Every error a user can meet: one base class, two lines at most.

The first line names the thing, the rule and the value seen; the second says what to do next.
The command line prints exactly this and exits with the class's `exit_code`.
"""

_LONGEST = 1200  # characters of a message: a value from a file can be of any length


class DistilBertError(Exception):
    """Base of all errors raised on purpose: `except DistilBertError` catches each of them.

    >>> print(DataError("reviews.csv has no column 'text': it has id, body.", "Name one with --column."))
    reviews.csv has no column 'text': it has id, body.
    Name one with --column.
    """

    exit_code = 1

    def __init__(self, fault: str, next_step: str = "") -> None:
        super().__init__(fault, next_step)
        self.fault = fault if len(fault) <= _LONGEST else f"{fault[: _LONGEST - 200]} … {fault[-200:]}"
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.fault}\n{self.next_step}" if self.next_step else self.fault


class OptionError(DistilBertError, ValueError):
    """An option or argument that cannot be used: an unknown task, a negative batch size."""

    exit_code = 2


class ModelNotFoundError(DistilBertError):
    """A name that is neither a folder, nor an embedded model, nor a model on the hub at that revision."""


class HubError(DistilBertError):
    """A model that the hub does not hand over: no network, a refused token, a broken or strange answer."""


class ConfigError(DistilBertError):
    """A `config.json` that is missing, unreadable, of another architecture or contradicts itself."""


class CheckpointError(DistilBertError):
    """Weights that are truncated, missing, left over, of another shape or not finite."""


class TokenizerError(DistilBertError):
    """Tokenizer files that are missing or contradict each other, or text that cannot be encoded as asked."""


class BundleError(DistilBertError):
    """A bundle that is incomplete, was changed since it was written, or answers differently."""


class DataError(DistilBertError):
    """A data file that cannot be read as told: no such column, not UTF-8, empty, unknown labels."""


class GateError(DistilBertError):
    """An int8 model that strays further from float32 than its gate allows. Nothing was written."""


class EngineError(DistilBertError):
    """A graph that an engine cannot load or run, or int8 on an engine whose gate it did not pass."""


class TrainingError(DistilBertError):
    """A training run that cannot go on: its loss is no number. What was saved before stands."""


class NotInstalledError(DistilBertError, ImportError):
    """A part of the package whose libraries are an extra, and are not there."""


class StorageError(DistilBertError):
    """A file or folder that cannot be written: read-only, full, or already there."""


class TruncationWarning(UserWarning):
    """A text was longer than the model reads, and its end was left out."""
