"""`python -m adversarial` is the `adversarial` command."""

from adversarial.cli import main

main()
