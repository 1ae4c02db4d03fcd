"""The bench: how fast, how late and how large Hookline is, beside what one would build instead.

Measured, never asserted in tests. `python -m bench` runs everything; `docs/explanation/performance.md` says what each
figure means.
"""
