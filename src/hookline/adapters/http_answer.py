"""What the bytes of an HTTP/1.1 answer mean: llhttp reads them, this module decides what is enough and what too much.

No sockets and no time here: bytes go in, and after each piece it is known whether the answer is over. Connections:
`http_connection.py`.
"""

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from hookline.ports.sender import MAX_ANSWER_BYTES

#: The head of an answer, with every "100 Continue" before it. llhttp itself knows no limit.
MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
#: Everything that comes over the wire for one answer: a body in chunks of one byte is six times its size.
MAX_WIRE_BYTES: Final = MAX_HEAD_BYTES + 8 * MAX_ANSWER_BYTES

_FIRST_FINAL_STATUS: Final = 200
_SWITCHING: Final = 101
_LOWEST_STATUS: Final = 100

CLOSED_BEFORE: Final = "The receiver closed the connection before it answered."
CLOSED_IN_HEAD: Final = "The receiver closed the connection in the middle of the answer's head."
CLOSED_IN_BODY: Final = "The receiver closed the connection in the middle of the answer's body."
HEAD_TOO_LONG: Final = f"The head of the answer is longer than {MAX_HEAD_BYTES // 1024} KiB."
TOO_MANY_HEADERS: Final = f"The answer has more than {MAX_HEADERS} headers."
TOO_MUCH_FRAMING: Final = "The answer is mostly framing: far more bytes than its body accounts for."
SWITCHED: Final = "The receiver wants to switch to another protocol (101), which a POST did not ask for."

_TELLS_NOBODY: Final = HttpResponseParser(object())


class AnswerReader:
    """Reads the answers of one connection, one after another.

    After `begin`, pieces go through `feed` until `over`. Then `error` says what is wrong with the answer ("" when
    nothing is) and `reusable` whether another request may follow on the same connection.
    """

    __slots__ = ("_parser", "_received", "body", "error", "headers", "over", "reusable", "status")

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        # What RFC 9112 leaves to the recipient (2.2) or old servers are known for; neither makes an answer ambiguous.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True)
        self.begin()

    def begin(self) -> None:
        """Forget the answer before, expect the next."""
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.error = ""
        self.over = False
        self.reusable = False
        self._received = 0

    @property
    def has_begun(self) -> bool:
        """Whether at least one byte has arrived."""
        return self._received > 0

    def feed(self, piece: bytes) -> bool:
        """Read one piece; tell whether the answer is over."""
        self._received += len(piece)
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade:
            self._fail(SWITCHED)
        except HttpParserError as error:
            self._fail(f"What came back is not HTTP/1.1 ({error}).")
        if self._received > MAX_HEAD_BYTES and not self.over:
            self._check_length()
        return self.over

    def end(self, *, cut: bool) -> None:
        """The connection has ended: in order, or `cut` by a failure. For some answers that is how their body ends."""
        if self.over:
            self.reusable = False
        elif self._received == 0:
            self._fail(CLOSED_BEFORE)
        elif self.status is None:
            self._fail(CLOSED_IN_HEAD)
        elif cut or not self._lasts_until_close():
            self._fail(CLOSED_IN_BODY)
        else:
            self._finish(reusable=False)

    def retire(self) -> None:
        """Read nothing more, ever; what was read stays. Parser and reader hold one another, which ends here: with the
        answers of receivers that are not asked again in them, many such circles are much memory.
        """
        self._parser = _TELLS_NOBODY

    # What llhttp calls. An answer that is over hears no more of what the connection still brings.

    def on_message_begin(self) -> None:
        """Take note of an answer, asked for or not."""
        if self.over:
            self.reusable = False  # the receiver talks without being asked

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header, as it was sent."""
        if self.status is None and not self.over:  # later ones are trailers
            self.headers.append((name.decode("latin-1"), value.decode("latin-1").rstrip(" \t")))

    def on_headers_complete(self) -> None:
        """Decide what the status means for what follows."""
        if self.over:
            return
        status = self._parser.get_status_code()
        if status >= _FIRST_FINAL_STATUS:
            self.status = status
            self._check_head()
        elif status == _SWITCHING:
            self.status = status
            self._fail(SWITCHED)
        elif status >= _LOWEST_STATUS:
            self.headers.clear()  # 100 Continue, 103 Early Hints: the answer is yet to come
        else:
            self._fail(f"What came back is not HTTP/1.1 (there is no status {status}).")

    def on_body(self, piece: bytes) -> None:
        """Keep the beginning of the body, and call it enough once there is more."""
        if self.over:
            return
        self.body += piece
        if len(self.body) > MAX_ANSWER_BYTES:
            del self.body[MAX_ANSWER_BYTES:]
            self._finish(reusable=False)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was but a hint."""
        if self.status is not None and not self.over:
            self._finish(reusable=self._parser.should_keep_alive())

    def _finish(self, *, reusable: bool) -> None:
        self.over = True
        self.reusable = reusable

    def _fail(self, sentence: str) -> None:
        if not self.over:
            self.error = sentence
        self._finish(reusable=False)

    def _check_head(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            del self.headers[MAX_HEADERS:]
            self._fail(TOO_MANY_HEADERS)
        elif self._received > MAX_HEAD_BYTES and sum(len(n) + len(v) + 4 for n, v in self.headers) > MAX_HEAD_BYTES:
            self.headers.clear()
            self._fail(HEAD_TOO_LONG)

    def _check_length(self) -> None:
        if self.status is None:
            self.headers.clear()
            self._fail(HEAD_TOO_LONG)
        elif self._received > MAX_WIRE_BYTES:
            self._fail(TOO_MUCH_FRAMING)

    def _lasts_until_close(self) -> bool:
        """Neither a length nor chunks tell where the body ends (RFC 9112, 6.3)."""
        coding = ""
        for name, value in self.headers:
            match name.lower():
                case "content-length":
                    return False
                case "transfer-encoding":
                    coding = value
        return coding.rpartition(",")[2].strip().lower() != "chunked"
