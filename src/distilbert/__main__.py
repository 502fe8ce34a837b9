"""`python -m distilbert` is the command `distilbert`."""

from distilbert.cli import main

main()
