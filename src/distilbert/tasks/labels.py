"""Labels as a file has them -> the ids of a model's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from distilbert.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from distilbert.files.config import DistilBertConfig
    from distilbert.files.tables import Row


def label_ids(rows: Iterable[Row], column: str, config: DistilBertConfig) -> NDArray[np.int64]:
    """The label of each row as an id, int64 `[rows]`; a row has the label's name or its id.

    Raises `DataError` for the first row whose label the model does not have.
    """
    ids = {name: place for place, name in enumerate(config.labels)}
    ids = {str(place): place for place in ids.values()} | ids
    return np.array([_label_id(row, column, ids, config) for row in rows], np.int64)


def _label_id(row: Row, column: str, ids: dict[str, int], config: DistilBertConfig) -> int:
    value = str(row.value(column))
    if value not in ids:
        raise DataError(
            f"{row.place}: the model has no label {value!r}; it knows {', '.join(config.labels)} "
            f"or 0 to {config.num_labels - 1}.",
            "Name the column that holds the labels with --label-column, or rename the label.",
        )
    return ids[value]
