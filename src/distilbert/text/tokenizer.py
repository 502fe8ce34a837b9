"""`DistilBertTokenizer`: text to token ids and back, answering as Hugging Face's class of that name does.

It stands on the `tokenizers` library, whose truncation and padding are state of its object. That object is never
changed here: a call that cuts or pads does so on a copy, which shares the vocabulary and takes 20 µs to make. So one
tokenizer serves any number of threads.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from distilbert.errors import OptionError, TokenizerError
from distilbert.text.encoding import (
    BatchEncoding,
    Frame,
    Plan,
    to_arrays,
    to_row,
    to_rows,
    unencodable,
    wants_arrays,
)
from distilbert.text.tokenizer_files import Settings, from_vocabulary, read_folder, write_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from tokenizers import Encoding

    from distilbert.text.encoding import Row

# What can be returned, in Hugging Face's order -> where a `tokenizers.Encoding` has it.
_COLUMNS: Mapping[str, Callable[[Any], Any]] = {
    "input_ids": operator.attrgetter("ids"),
    "token_type_ids": operator.attrgetter("type_ids"),
    "attention_mask": operator.attrgetter("attention_mask"),
    "special_tokens_mask": operator.attrgetter("special_tokens_mask"),
    "offset_mapping": operator.attrgetter("offsets"),
    "length": len,
}
# May be set after loading, and are saved as they then are.
_ADJUSTABLE = (
    "model_max_length",
    "model_input_names",
    "padding_side",
    "truncation_side",
    "clean_up_tokenization_spaces",
)
# Hugging Face's `clean_up_tokenization`, in its order.
_CLEAN_UP = {" .": ".", " ?": "?", " !": "!", " ,": ",", " ' ": "'"}
_CLEAN_UP |= {f" {ending}": ending for ending in ("n't", "'m", "'s", "'ve", "'re")}


class EncodedTexts(NamedTuple):
    """Token ids as plain lists, one a text: special tokens included, padded only where a mask says so."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]] | None  # None where no text is a pair: all would be 0
    truncated: list[bool]
    attention_mask: list[list[int]] | None = None  # None where no text is padded: all would be 1


def _special(role: str) -> tuple[property, property]:
    """Make the attributes of a role, its token and its id: None where the tokenizer has no such token."""

    def token(self: DistilBertTokenizer) -> str | None:
        return self.special_tokens_map.get(role)

    def token_id(self: DistilBertTokenizer) -> int | None:
        return self.backend_tokenizer.token_to_id(self.special_tokens_map.get(role, ""))

    return property(token), property(token_id)


class DistilBertTokenizer:
    """The WordPiece tokenizer of DistilBERT and BERT, from a `vocab.txt` (or token -> id) and `Settings`' names.

    >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "film", "##s", "!"]
    >>> tokenizer = DistilBertTokenizer({word: i for i, word in enumerate(words)})
    >>> tokenizer("Good films!")
    {'input_ids': [2, 5, 6, 7, 8, 3], 'attention_mask': [1, 1, 1, 1, 1, 1]}
    >>> tokenizer(["Good", "Films!"], padding=True, return_tensors="np").input_ids
    array([[2, 5, 3, 0, 0],
           [2, 6, 7, 8, 3]])
    >>> tokenizer.decode([2, 5, 6, 7, 8, 3], skip_special_tokens=True)
    'good films!'

    Raises `TokenizerError` for files that cannot be used, `OptionError` for settings that cannot.
    """

    bos_token, bos_token_id = _special("bos_token")
    eos_token, eos_token_id = _special("eos_token")
    unk_token, unk_token_id = _special("unk_token")
    sep_token, sep_token_id = _special("sep_token")
    pad_token, pad_token_id = _special("pad_token")
    cls_token, cls_token_id = _special("cls_token")
    mask_token, mask_token_id = _special("mask_token")
    model_max_length: int  # tokens, special ones included
    model_input_names: list[str]
    padding_side: str
    truncation_side: str
    clean_up_tokenization_spaces: bool

    def __init__(
        self,
        vocab_file: str | os.PathLike[str] | Mapping[str, int],
        do_lower_case: bool = True,
        **settings: Any,
    ) -> None:
        self._adopt(*from_vocabulary(vocab_file, {"do_lower_case": do_lower_case, **settings}))

    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str], *, revision: str | None = None, **settings: Any
    ) -> DistilBertTokenizer:
        """Load the tokenizer of a folder, an embedded model or a model on the hub; `settings` win over its files.

        `revision`: a branch, tag or commit of a model on the hub, whose weights are not downloaded for this.
        Whether token types are returned, `model_input_names` in `tokenizer_config.json` says, or else the
        `model_type` in the `config.json` beside it: BERT takes them, DistilBERT does not.
        """
        from distilbert.files.hub import resolve

        return cls.from_folder(resolve(name, revision=revision, weights=False), **settings)

    @classmethod
    def from_folder(cls, folder: Path, **settings: Any) -> DistilBertTokenizer:
        """Load the tokenizer of a local folder, as `from_pretrained` does."""
        tokenizer = cls.__new__(cls)
        tokenizer._adopt(*read_folder(Path(folder), settings))
        return tokenizer

    def _adopt(self, backend: Tokenizer, settings: Settings) -> None:
        self.backend_tokenizer = backend
        self.special_tokens_map = settings.special_tokens
        self._settings = settings
        self._frames = [Frame.of(backend, pair=pair) for pair in (False, True)]
        for name in _ADJUSTABLE:
            setattr(self, name, getattr(settings, name))
        self.model_input_names = list(settings.model_input_names)

    def _settings_now(self) -> Settings:
        now = {name: getattr(self, name) for name in _ADJUSTABLE}
        return Settings.of(dataclasses.asdict(self._settings) | now)

    def __getstate__(self) -> tuple[Tokenizer, Settings]:
        return self.backend_tokenizer, self._settings_now()

    def __setstate__(self, state: tuple[Tokenizer, Settings]) -> None:
        self._adopt(*state)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> tuple[str, ...]:
        """Write the files from which we and Hugging Face read the same tokenizer back; return their paths."""
        paths = write_folder(Path(folder), self.backend_tokenizer, self._settings_now())
        return tuple(str(path) for path in paths)

    def __call__(
        self,
        text: str | Sequence[Any],
        text_pair: str | Sequence[Any] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
    ) -> BatchEncoding:
        """Encode a text, a pair, or a list of either; with `is_split_into_words` each text is a list of words.

        `padding`: True or "longest", "max_length", False. `truncation`: True or "longest_first", "only_first",
        "only_second", False; left out, a `max_length` implies True. `max_length` counts special tokens too, and
        is `model_max_length` unless given. `return_overflowing_tokens` makes further rows of what is cut, each
        repeating `stride` tokens of the row before. `return_tensors="np"` gives int64 arrays `[batch, length]`
        instead of lists.

        Raises `OptionError` for options that cannot be met, `TokenizerError` for a text that cannot be encoded.
        """
        rows, is_batch = to_rows(text, text_pair, words=is_split_into_words)
        as_arrays = wants_arrays(return_tensors)
        plan = self._plan(padding, truncation, max_length, pad_to_multiple_of, stride)
        if not return_overflowing_tokens:
            plan = dataclasses.replace(plan, stride=0)
        encodings = self._encode(rows, plan, specials=add_special_tokens, words=is_split_into_words)
        groups = [[whole, *(whole.overflowing if return_overflowing_tokens else ())] for whole in encodings]
        pieces = [piece for group in groups for piece in group]

        wanted = {
            "input_ids": True,
            "token_type_ids": self._returns("token_type_ids", return_token_type_ids),
            "attention_mask": self._returns("attention_mask", return_attention_mask),
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        columns = {name: [read(piece) for piece in pieces] for name, read in _COLUMNS.items() if wanted[name]}
        if return_overflowing_tokens:
            columns["overflow_to_sample_mapping"] = [row for row, group in enumerate(groups) for _ in group]
        elif not is_batch and not as_arrays:
            columns = {name: rows[0] if isinstance(rows[0], list) else rows for name, rows in columns.items()}
        return BatchEncoding(to_arrays(columns) if as_arrays else columns, pieces)

    def _returns(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _plan(
        self,
        padding: object,
        truncation: object,
        max_length: int | None,
        multiple: int | None = None,
        stride: int = 0,
    ) -> Plan:
        plan = Plan.of(padding, truncation, max_length, multiple, stride, self.model_max_length)
        if plan.padding != "do_not_pad" and self.pad_token is None:
            raise OptionError(
                "This tokenizer has no pad_token, so it cannot pad.", "Load it with a pad_token."
            )
        return plan

    def _encode(self, rows: list[Row], plan: Plan, *, specials: bool, words: bool) -> list[Encoding]:
        """One encoding a row, cut and padded as planned, with what was cut as its `overflowing`."""
        tokenizer = _copy(self.backend_tokenizer)
        if plan.max_length is not None and plan.truncation != "do_not_truncate":
            self._enable_truncation(tokenizer, plan, plan.max_length)
            if plan.stride or plan.max_length < self._frames[1].size:
                # Here the library would not raise later: it panics, or cuts nothing.
                self._refuse(rows, plan, specials=specials, words=words)
        if plan.padding != "do_not_pad":
            tokenizer.enable_padding(
                length=plan.max_length if plan.padding == "max_length" else None,
                pad_to_multiple_of=plan.multiple,
                direction=self.padding_side,
                pad_id=self.pad_token_id,
                pad_token=self.pad_token,
            )
        inputs = [row if len(row) == 2 else row[0] for row in rows]
        try:
            return tokenizer.encode_batch(inputs, is_pretokenized=words, add_special_tokens=specials)
        except Exception as error:  # of any class, and without the row
            self._refuse(rows, plan, specials=specials, words=words)
            raise TokenizerError(f"The texts cannot be encoded: {error}.", "Try them one by one.") from error

    def _enable_truncation(self, tokenizer: Tokenizer, plan: Plan, max_length: int) -> None:
        try:
            tokenizer.enable_truncation(
                max_length, stride=plan.stride, strategy=plan.truncation, direction=self.truncation_side
            )
        except ValueError as error:
            most = max_length - self._frames[0].size
            raise OptionError(
                f"stride={plan.stride} must be at most {most}, which is max_length without special tokens.",
                "Take a smaller one, or a greater max_length.",
            ) from error

    def _refuse(self, rows: list[Row], plan: Plan, *, specials: bool, words: bool) -> None:
        """Raise for the first row that cannot be encoded as planned, if there is one."""
        encodings = iter(self._tokenize(rows, words=words))
        for index, row in enumerate(rows):
            plan.kept([len(next(encodings)) for _ in row], self._frames[len(row) - 1].size * specials, index)

    def _tokenize(self, rows: list[Row], *, words: bool, first: int = 0) -> list[Encoding]:
        """The texts of all rows, one after the other: their ids only, without special tokens, never cut.

        `first`: the first row's number, for errors.
        """
        texts = [text for row in rows for text in row]
        try:
            return self.backend_tokenizer.encode_batch_fast(texts, words, add_special_tokens=False)
        except TypeError as error:
            raise unencodable(rows, words=words, first=first) from error

    def encode_texts(
        self,
        texts: Sequence[str | tuple[str, str]],
        *,
        max_length: int | None = None,
        strategy: str = "longest_first",
    ) -> EncodedTexts:
        """Encode texts and pairs for a pipeline: the ids of `__call__` in one pass, without offsets or padding.

        `max_length` counts special tokens too; None cuts nothing, whatever `model_max_length` is. Raises as
        `__call__` does.
        """
        rows = [to_row(text, index) for index, text in enumerate(texts)]
        plan = self._plan(False, strategy if max_length is not None else False, max_length)
        encodings = iter(self._tokenize(rows, words=False))
        result = EncodedTexts([], [] if any(len(row) == 2 for row in rows) else None, [])
        for index, row in enumerate(rows):
            frame = self._frames[len(row) - 1]
            ids = [next(encodings).ids for _ in row]
            lengths = [len(text) for text in ids]
            kept = plan.kept(lengths, frame.size, index)
            if kept != lengths:
                ids = [self._cut(text, keep) for text, keep in zip(ids, kept, strict=True)]
            result.input_ids.append(frame.ids(ids))
            result.truncated.append(kept != lengths)
            if result.token_type_ids is not None:
                result.token_type_ids.append(frame.type_ids(kept))
        return result

    def text_ids(self, text: str, row: int = 0) -> list[int]:
        """The ids of a text alone: nothing is cut, and no special tokens are around it.

        `row`: its number among others, for errors. Raises `TokenizerError` for what cannot be encoded.
        """
        [encoding] = self._tokenize([to_row(text, row)], words=False, first=row)
        ids: list[int] = encoding.ids
        return ids

    def text_encoding(self, text: str | list[str], row: int = 0) -> Encoding:
        """The library's encoding of a text, or of a list of words, alone: ids, offsets in characters, word numbers.

        As `text_ids`, also for what it raises.
        """
        words = isinstance(text, list)
        texts = to_row(text, row, words=words)
        try:
            [encoding] = self.backend_tokenizer.encode_batch([*texts], words, add_special_tokens=False)
        except TypeError as error:
            raise unencodable([texts], words=words, first=row) from error
        return encoding

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The ids of a text, or of two, with the special tokens that belong around them."""
        texts = [token_ids_0] if token_ids_1 is None else [token_ids_0, token_ids_1]
        return self._frames[len(texts) - 1].ids(texts)

    @property
    def pair_frame(self) -> Frame:
        """The special tokens around a pair, for who cuts its texts into windows."""
        return self._frames[1]

    def _cut(self, ids: list[int], keep: int) -> list[int]:
        return ids[:keep] if self.truncation_side == "right" else ids[len(ids) - keep :]

    def pad(
        self,
        encoded_inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        padding: bool | str = True,
        *,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
    ) -> BatchEncoding:
        """Pad what is encoded already: a row or a batch as `__call__` gives it, or a list of rows.

        Entries that are no inputs of a model (labels, offsets) stay as they are.
        """
        if not isinstance(encoded_inputs, Mapping):
            names = encoded_inputs[0] if encoded_inputs else ()
            encoded_inputs = {name: [row[name] for row in encoded_inputs] for name in names}
        columns = {name: _as_list(column) for name, column in encoded_inputs.items()}
        if "input_ids" not in columns:
            seen = ", ".join(columns) or "nothing"
            raise OptionError(
                f"pad needs input_ids, and was given {seen}.", "Give it what the tokenizer returned."
            )
        is_batch = not columns["input_ids"] or not hasattr(columns["input_ids"][0], "__index__")
        if not is_batch:
            columns = {name: [row] for name, row in columns.items()}
        if self._returns("attention_mask", return_attention_mask):
            columns.setdefault("attention_mask", [[1] * len(ids) for ids in columns["input_ids"]])

        plan = self._plan(padding, False, max_length, pad_to_multiple_of)
        length = plan.padded(max(map(len, columns["input_ids"]), default=0))
        fillers = {
            "attention_mask": 0,
            "token_type_ids": 0,
            "special_tokens_mask": 1,
            "input_ids": self.pad_token_id,
        }
        for name in fillers.keys() & columns.keys():
            columns[name] = [self._filled(row, fillers[name], length) for row in columns[name]]
        if wants_arrays(return_tensors):
            return BatchEncoding(to_arrays(columns))
        return BatchEncoding(columns if is_batch else {name: rows[0] for name, rows in columns.items()})

    def _filled(self, row: Any, filler: int, length: int) -> list[int]:
        filling = [filler] * (length - len(row))
        return [*row, *filling] if self.padding_side == "right" else [*filling, *row]

    def encode(self, text: Any, text_pair: Any = None, **options: Any) -> list[int]:
        """The `input_ids` of a call with the same arguments."""
        ids: list[int] = self(text, text_pair, **options)["input_ids"]
        return ids

    def tokenize(
        self, text: str, pair: str | None = None, add_special_tokens: bool = False, **options: Any
    ) -> list[str]:
        """The tokens of a text; those that continue a word begin with ##."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def decode(
        self,
        token_ids: Any,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str | list[str]:
        """The text of an id, a list or an array of them; the list of texts of a batch."""
        ids = _as_list(token_ids)
        if isinstance(ids, list | tuple) and ids and isinstance(ids[0], list | tuple | np.ndarray):
            return [str(self.decode(row, skip_special_tokens, clean_up_tokenization_spaces)) for row in ids]
        try:
            text = self.backend_tokenizer.decode([ids] if isinstance(ids, int) else ids, skip_special_tokens)
        except (TypeError, OverflowError) as error:
            raise _no_ids(token_ids) from error
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = self.clean_up_tokenization_spaces
        for spaced, tight in _CLEAN_UP.items() if clean_up_tokenization_spaces else ():
            text = text.replace(spaced, tight)
        return text

    def batch_decode(self, sequences: Any, **options: Any) -> list[str]:
        """The texts of a batch of token ids, with the options of `decode`."""
        texts = self.decode(sequences, **options)
        return [texts] if isinstance(texts, str) else texts

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int]:
        """The id of a token, or the ids of several; what is not in the vocabulary has `unk_token`'s."""
        return self._id(tokens) if isinstance(tokens, str) else [self._id(token) for token in tokens]

    def _id(self, token: str) -> int:
        token_id = self.backend_tokenizer.token_to_id(token)
        return int(self.unk_token_id if token_id is None else token_id)

    def convert_ids_to_tokens(
        self, ids: int | Sequence[int], skip_special_tokens: bool = False
    ) -> str | list[str | None] | None:
        """The token of an id, or the tokens of several; None for an id beyond the vocabulary."""
        skipped = self.all_special_ids if skip_special_tokens else []
        try:
            if isinstance(ids, int):
                return self.backend_tokenizer.id_to_token(ids)
            return [
                self.backend_tokenizer.id_to_token(int(token_id))
                for token_id in ids
                if token_id not in skipped
            ]
        except (TypeError, ValueError, OverflowError) as error:
            raise _no_ids(ids) from error

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Tokens joined to text, their ## undone."""
        return str(self.backend_tokenizer.decoder.decode(list(tokens)))

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens a text or a pair is given."""
        return self._frames[pair].size

    @property
    def special_tokens_before(self) -> int:
        """How many special tokens stand before a text: 1 where that is [CLS]."""
        return len(self._frames[0].gaps[0])

    @property
    def all_special_tokens(self) -> list[str]:
        """The special tokens, each once, the named ones first."""
        return list(dict.fromkeys((*self.special_tokens_map.values(), *self._settings.extra_special_tokens)))

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`."""
        return [self._id(token) for token in self.all_special_tokens]

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary, without the tokens added to it; `len(tokenizer)` counts these too."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size()

    def get_vocab(self) -> dict[str, int]:
        """Token -> id, added tokens included."""
        return self.backend_tokenizer.get_vocab()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(vocab_size={self.vocab_size}, model_max_length={self.model_max_length})"
        )


DistilBertTokenizerFast = DistilBertTokenizer  # its name in older code


def _copy(backend: Tokenizer) -> Tokenizer:
    """The same tokenizer as an object of its own, over the same vocabulary."""
    copy = Tokenizer(backend.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        setattr(copy, part, getattr(backend, part))
    added = backend.get_added_tokens_decoder()
    copy.add_tokens([added[token_id] for token_id in sorted(added)])
    return copy


def _no_ids(given: Any) -> TokenizerError:
    return TokenizerError(
        f"Token ids must be whole numbers from 0, not {given!r:.80}.", "Give a list or an array of them."
    )


def _as_list(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values
