"""What goes into a tokenizer's call and what comes out: rows of texts, their share of room, and `BatchEncoding`."""

from __future__ import annotations

import warnings
from collections import UserDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from distilbert.errors import OptionError, TokenizerError
from distilbert.text.tokenizer_files import LARGEST_LIMIT

LONGEST_ROW = 10_000_000  # tokens: padding to more would ask the library for memory that it aborts on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenizers import Encoding, Tokenizer

Row = tuple[Any, ...]  # one text or two; a text is a str, or a list of words

# What a caller may write -> what it means.
_PADDING: dict[object, str] = {
    False: "do_not_pad",
    True: "longest",
    **{name: name for name in ("longest", "max_length", "do_not_pad")},
}
_TRUNCATION: dict[object, str] = {
    None: "do_not_truncate",
    False: "do_not_truncate",
    True: "longest_first",
    **{name: name for name in ("longest_first", "only_first", "only_second", "do_not_truncate")},
}


class Span(NamedTuple):
    """Characters or tokens from `start` up to `end`, which is the first beyond."""

    start: int
    end: int


def _look_up(way: str) -> Callable[..., Any]:
    def find(self: BatchEncoding, first: int, second: int | None = None, sequence_index: int = 0) -> Any:
        row, position = (0, first) if second is None else (first, second)
        in_text = () if way.startswith("token") else (sequence_index,)
        found = getattr(self.encodings[row], way)(position, *in_text)
        return Span(*found) if isinstance(found, tuple) else found

    find.__doc__ = f"From {way.replace('_', ' ')}: `(position)` in the only row, or `(row, position)`."
    return find


class BatchEncoding(UserDict[str, Any]):
    """What a tokenizer returns: a mapping whose entries are attributes too, with ways between characters, words
    and tokens. `encodings`, also by number as in `encoded[0]`, are the library's own, one a row.
    """

    def __init__(self, columns: Mapping[str, Any], encodings: Sequence[Encoding] = ()) -> None:
        super().__init__(columns)
        self.encodings = encodings

    def __getitem__(self, key: Any) -> Any:
        return self.data[key] if isinstance(key, str) else self.encodings[key]

    def __getattr__(self, name: str) -> Any:
        if name != "data" and name in self.data:  # while a pickle is read there is no `data` yet
            return self.data[name]
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row."""
        return self.encodings[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The word of each token of a row; None for special tokens."""
        return self.encodings[batch_index].word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """The text, 0 or 1, of each token of a row; None for special tokens."""
        return self.encodings[batch_index].sequence_ids

    token_to_sequence = _look_up("token_to_sequence")
    token_to_word = _look_up("token_to_word")
    token_to_chars = _look_up("token_to_chars")
    word_to_tokens = _look_up("word_to_tokens")
    word_to_chars = _look_up("word_to_chars")
    char_to_token = _look_up("char_to_token")
    char_to_word = _look_up("char_to_word")


@dataclass(frozen=True)
class Plan:
    """How the rows of a call are cut and padded."""

    padding: str = "do_not_pad"
    truncation: str = "do_not_truncate"
    max_length: int | None = None  # tokens, special ones included
    multiple: int = 1
    stride: int = 0

    @classmethod
    def of(
        cls,
        padding: object,
        truncation: object,
        max_length: int | None,
        multiple: int | None,
        stride: int,
        limit: int,
    ) -> Plan:
        """What a call's options come to, by Hugging Face's rules, for a model that reads at most `limit` tokens."""
        _refuse_below(1, max_length=max_length, pad_to_multiple_of=multiple)
        _refuse_below(0, stride=stride)
        if max_length is not None and max_length > LONGEST_ROW:
            raise OptionError(
                f"max_length is {max_length:,}, and a row may have {LONGEST_ROW:,} tokens.",
                "Choose what the model can read, such as 512.",
            )
        if max_length is not None and padding is False and truncation is None:
            truncation = True
        pad, cut = _choice("padding", padding, _PADDING), _choice("truncation", truncation, _TRUNCATION)
        if max_length is not None and pad == "longest" and cut == "do_not_truncate":
            message = "max_length does nothing with padding=True alone; padding='max_length' pads to it."
            warnings.warn(message, stacklevel=4)
        if max_length is None:
            max_length = limit if limit <= LARGEST_LIMIT else None
        if max_length is None:
            return cls("do_not_pad" if pad == "max_length" else pad, multiple=multiple or 1)
        if pad != "do_not_pad" and cut != "do_not_truncate" and max_length % (multiple or 1):
            raise OptionError(
                f"max_length={max_length} must be a multiple of pad_to_multiple_of={multiple}.",
                "Change one of them.",
            )
        return cls(pad, cut, max_length, multiple or 1, stride)

    def padded(self, longest: int) -> int:
        """The length that rows are padded to when the longest of them is so long; 0 where they stay as they are."""
        if self.padding == "do_not_pad":
            return 0
        length = self.max_length if self.padding == "max_length" else longest
        return -(-(length or 0) // self.multiple) * self.multiple

    def kept(self, lengths: list[int], specials: int, index: int) -> list[int]:
        """How many tokens each text of row `index` keeps beside so many special ones.

        Raises `OptionError` or `TokenizerError` where the row cannot be cut as planned.
        """
        if self.truncation == "do_not_truncate" or self.max_length is None:
            return lengths
        room = self.max_length - specials
        if room < 0:
            raise OptionError(
                f"max_length={self.max_length} must have room for a row's {specials} special tokens.",
                "Take a greater one.",
            )
        kept = _share(room, lengths, self.truncation)
        if kept is None:
            reason = "it has no second text" if len(lengths) == 1 else "its other text alone has too many"
            raise TokenizerError(
                f"Row {index} cannot be cut to {self.max_length} tokens by {self.truncation!r}: {reason}.",
                "Use truncation='longest_first', or a greater max_length.",
            )
        for length, keep in zip(lengths, kept, strict=True):
            if keep < length and 0 < keep <= self.stride:
                raise OptionError(
                    f"stride={self.stride} must be less than the {keep} tokens that row {index} keeps of a text.",
                    "Take a smaller one, or a greater max_length.",
                )
        return kept


def _share(room: int, lengths: list[int], strategy: str) -> list[int] | None:
    """Share room for so many tokens among the texts of a row; None where `strategy` does not allow it.

    >>> _share(8, [7, 3], "longest_first"), _share(8, [7, 3], "only_second")
    ([5, 3], [7, 1])
    """
    excess = sum(lengths) - room
    if excess <= 0:
        return lengths
    if room == 0:
        return [0] * len(lengths)
    if len(lengths) == 1:
        return None if strategy == "only_second" else [room]
    first, second = lengths
    if strategy == "only_first":
        return [first - excess, second] if first > excess else None
    if strategy == "only_second":
        return [first, second - excess] if second > excess else None
    shorter = min(first, second, room // 2)
    return [room - shorter, shorter] if first > second else [shorter, room - shorter]


@dataclass(frozen=True)
class Frame:
    """The special tokens before, between and after the texts of a row, such as [CLS] text [SEP] text [SEP]."""

    gaps: list[list[int]]
    gap_types: list[list[int]]
    text_types: list[int]

    @classmethod
    def of(cls, backend: Tokenizer, *, pair: bool) -> Frame:
        """Read it off an encoded probe, since `tokenizer.json` may hold any template."""
        probe = backend.encode("a", "a" if pair else None)
        frame = cls([[]], [[]], [])
        for text, token_id, type_id in zip(probe.sequence_ids, probe.ids, probe.type_ids, strict=True):
            if text is None:
                frame.gaps[-1].append(token_id)
                frame.gap_types[-1].append(type_id)
            elif text == len(frame.text_types):
                frame.text_types.append(type_id)
                frame.gaps.append([])
                frame.gap_types.append([])
        return frame

    @property
    def size(self) -> int:
        """How many special tokens there are."""
        return sum(map(len, self.gaps))

    def ids(self, texts: list[list[int]]) -> list[int]:
        """The row's token ids."""
        return _interleave(self.gaps, texts)

    def second(self, first: int) -> int:
        """Where in the row the second text begins, after a first text of so many tokens."""
        return len(self.gaps[0]) + first + len(self.gaps[1])

    def type_ids(self, lengths: list[int]) -> list[int]:
        """The row's token types, for texts of these lengths."""
        texts = [[type_id] * length for type_id, length in zip(self.text_types, lengths, strict=True)]
        return _interleave(self.gap_types, texts)


def _interleave(gaps: list[list[int]], texts: list[list[int]]) -> list[int]:
    row = list(gaps[0])
    for text, gap in zip(texts, gaps[1:], strict=True):
        row += text
        row += gap
    return row


def to_rows(text: Any, text_pair: Any, *, words: bool) -> tuple[list[Row], bool]:
    """Bring every form of input to one, rows of one or two texts; and say whether they were given as a batch."""
    is_batch = isinstance(text, list | tuple)
    if words and is_batch:
        is_batch = len(text) > 0 and isinstance(text[0], list | tuple)
    if not is_batch:
        return [to_row(text if text_pair is None else (text, text_pair), 0, words=words)], False
    if text_pair is not None:
        if not isinstance(text_pair, list | tuple) or len(text_pair) != len(text):
            seen = len(text_pair) if isinstance(text_pair, list | tuple) else _seen(text_pair)
            raise TokenizerError(
                f"{len(text)} texts need a list of as many in text_pair, not {seen}.", "Pair each text."
            )
        text = list(zip(text, text_pair, strict=True))
    return [to_row(row, index, words=words) for index, row in enumerate(text)], True


def to_row(given: Any, index: int, *, words: bool = False) -> Row:
    """One row, from a text or a pair. Raises `TokenizerError`, with the row's index, for what is neither."""
    kind: Any = list | tuple if words else str
    if isinstance(given, kind) and not (words and given and isinstance(given[0], list | tuple)):
        return (given,)
    if isinstance(given, list | tuple) and len(given) == 2 and all(isinstance(text, kind) for text in given):
        return tuple(given)
    wanted = "a list of words, or a pair of such lists" if words else "a str, or a pair of them"
    raise TokenizerError(f"Row {index} must be {wanted}, not {_seen(given)}.", "Mend it, or leave it out.")


def unencodable(rows: list[Row], *, words: bool, first: int = 0) -> TokenizerError:
    """Find what the library refused of rows, numbered from `first`, since it does not say."""
    for index, row in enumerate(rows, first):
        for string in (string for text in row for string in (text if words else [text])):
            if not isinstance(string, str):
                return TokenizerError(
                    f"A word of row {index} must be a str, not {_seen(string)}.", "Mend it."
                )
            try:
                string.encode()
            except UnicodeEncodeError as error:
                code = f"U+{ord(string[error.start]):04X}"
                return TokenizerError(
                    f"Row {index} has half a surrogate pair, {code}, at character {error.start}.",
                    "Mend it: text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace').",
                )
    return TokenizerError("The tokenizers library refuses these texts.", "Try them one by one.")


def wants_arrays(tensors: object) -> bool:
    """Whether `return_tensors` asks for arrays. Raises `OptionError` for what is neither "np" nor None."""
    if tensors is None or tensors == "np":
        return tensors == "np"
    raise OptionError(
        f"return_tensors must be 'np' or None, not {tensors!r}: of array libraries, this knows NumPy only.",
        "Ask for 'np': the classes here take it, and torch.from_numpy wraps it for others.",
    )


def to_arrays(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Each column as an int64 array, `[batch, length]` for tokens. Raises `OptionError` for rows of several lengths."""
    try:
        return {name: np.asarray(rows, dtype=np.int64) for name, rows in columns.items()}
    except ValueError as error:
        raise OptionError("Rows of different lengths are no array.", "Add padding=True.") from error


def _choice(name: str, value: object, table: Mapping[object, str]) -> str:
    if isinstance(value, str | bool | None) and value in table:
        return table[value]
    choices = ", ".join(map(repr, table))
    raise OptionError(f"{name} must be one of {choices}, not {value!r}.", "Leave it out for the default.")


def _refuse_below(least: int, **options: Any) -> None:
    for name, value in options.items():
        if value is not None and not (hasattr(value, "__index__") and value >= least):
            raise OptionError(
                f"{name} must be a whole number of at least {least}, not {value!r}.",
                "Leave it out for the default.",
            )


def _seen(value: object) -> str:
    return f"{type(value).__name__} ({value!r:.40})"
