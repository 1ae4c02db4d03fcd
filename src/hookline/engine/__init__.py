"""The loops that make time pass."""
