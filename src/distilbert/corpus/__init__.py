"""A corpus as token ids on disk: made by `distilbert prepare`, read through memory maps. No PyTorch here."""
