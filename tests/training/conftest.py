"""Where PyTorch is not installed, the tests that need it are not looked at."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["*_parity.py"]
