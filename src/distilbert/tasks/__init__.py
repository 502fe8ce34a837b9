"""Engine outputs -> what a user asked for. A task holds a tokenizer, an engine and a config, and nothing else."""
