"""Hookline: meetings and phone calls become signed webhooks."""

__version__ = "0.1.0"
