"""How a command fails: with a sentence, and what to do about it. `app.main` prints both and ends with 1."""


class Failed(Exception):
    """The command could not do what it was asked."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
