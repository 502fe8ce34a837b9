"""Making models: one training loop, what it reads, what it minimises and what it leaves behind (extra `train`).

What differs between kinds of training is an `Objective`; `finetune` is the first. PyTorch is loaded by the modules of
this room, so that importing the room itself costs nothing.
"""
