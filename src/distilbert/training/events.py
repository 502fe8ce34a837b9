"""What the loop tells of, to whoever watches: no PyTorch in here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """What a step did: told to who watches, and a line of the log."""

    step: int  # of all steps, from 1
    steps: int  # in all
    epoch: float  # how often the rows have been seen
    loss: float  # the weighted sum of its parts
    parts: dict[str, float]
    gradient: float  # its norm before clipping
    learning_rate: float
    tokens: int  # of the batch, padding not counted
    seconds: float  # this step took


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, after `step` steps."""

    step: int
    epoch: float
    figures: dict[str, float]
    best: bool  # better than all before


@dataclass(frozen=True)
class Answered:
    """How far the teacher has come with a table."""

    source: str
    rows: int
    of: int


Event = Step | Evaluated | Answered
