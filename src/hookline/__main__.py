"""`python -m hookline`: the command line."""

from hookline.cli import main

main()
