"""How fast a model is on this machine, in every way that people run one: ours and, where they are installed, peers'."""
