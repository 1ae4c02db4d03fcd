"""Slices of the long runs hold on a busy machine: what a long run has short to be over sooner is longer here.

The programs that a run starts inherit it.
"""

import os

os.environ.setdefault("ACCEPTANCE_LEASE_SECONDS", "30")
os.environ.setdefault("ACCEPTANCE_TIME_LIMIT_SECONDS", "10")
