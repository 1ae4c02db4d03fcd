"""The world, for real: clock, HTTP, databases."""
