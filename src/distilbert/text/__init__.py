"""Strings to numbers and back: the tokenizer, batching and windows. Nothing here knows a model."""
