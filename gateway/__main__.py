"""`python -m gateway` is `lookalike`."""

from gateway.cli import main

main()
