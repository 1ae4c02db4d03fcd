"""What the project rests on, looked through: `python -m tests.audit`, or `make audit`."""
