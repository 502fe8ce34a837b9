"""Tiny classifiers of transformers' that are neither BERT nor DistilBERT, with a tokenizer of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundles import sentences

if TYPE_CHECKING:
    from pathlib import Path


def tiny_roberta(folder: Path, kind: str = "SequenceClassification", **changes: Any) -> Path:
    """Write a random RoBERTa, 48 wide, of 3 layers, whose tokens are pairs of bytes learnt here. Returns its folder."""
    import torch
    import transformers
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing

    bytes_pairs = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bytes_pairs.train_from_iterator(
        sentences(200), vocab_size=400, special_tokens=special, show_progress=False
    )
    bytes_pairs.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos": 0, "eos": 2, "unk": 3, "sep": 2, "cls": 0, "pad": 1, "mask": 4}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=bytes_pairs._tokenizer,
        model_max_length=40,
        **{f"{name}_token": special[place] for name, place in names.items()},
    ).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 96}
    config = transformers.RobertaConfig(
        vocab_size=400,
        max_position_embeddings=42,
        initializer_range=0.3,
        type_vocab_size=1,
        **sizes | changes,
    )
    getattr(transformers, f"RobertaFor{kind}")(config).save_pretrained(folder)
    return folder
