"""The body of an answer is kept as people can read it, within the bound, or as it came."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.adapters.http_content import decoded

TEXT = b'{"message": "wrong secret"}'
BOUND = 16 * 1024


def gzipped(body: bytes) -> bytes:
    """The same bytes at any time, so that parallel test processes give their tests the same names."""
    return gzip.compress(body, mtime=0)


def raw_deflate(text: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(text) + deflating.flush()


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (("Content-Encoding", "gzip"), gzipped(TEXT)),
        (("content-encoding", "X-GZIP"), gzipped(TEXT)),
        (("Content-Encoding", "deflate"), zlib.compress(TEXT)),
        (("Content-Encoding", "deflate"), raw_deflate(TEXT)),
        (("Content-Encoding", "identity, gzip"), gzipped(TEXT)),
        (("Content-Encoding", "deflate, gzip"), gzipped(zlib.compress(TEXT))),
        (("Content-Encoding", "gzip"), gzipped(TEXT[:5]) + gzipped(TEXT[5:])),
        (("Transfer-Encoding", "gzip, chunked"), gzipped(TEXT)),
        (("Content-Encoding", "identity"), TEXT),
        (("X-Other", "gzip"), TEXT),
    ],
)
def test_a_body_is_decoded(header: tuple[str, str], body: bytes) -> None:
    assert decoded([("X", "y"), header], body, BOUND) == TEXT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x, gzip", "gzip, gzip, gzip, gzip"])
@pytest.mark.parametrize("body", [TEXT, b"\x1f\x8b\x08 and no more of gzip", gzipped(TEXT)[:-8] + b"damaged!"])
def test_a_body_that_is_not_what_it_says_stays_as_it_is(coding: str, body: bytes) -> None:
    assert decoded([("Content-Encoding", coding)], body, BOUND) == body


@pytest.mark.parametrize("compress", [gzipped, zlib.compress, raw_deflate])
def test_a_bomb_is_decoded_up_to_the_bound(compress: object) -> None:
    assert callable(compress)
    coding = "gzip" if compress is gzipped else "deflate"
    bomb = compress(b"\0" * 10_000_000)
    assert decoded([("Content-Encoding", coding)], bomb, BOUND) == b"\0" * BOUND


def test_a_bomb_in_a_bomb_is_decoded_up_to_the_bound() -> None:
    bomb = gzipped(gzipped(b"\0" * 100_000_000))
    assert len(decoded([("Content-Encoding", "gzip, gzip")], bomb, BOUND)) == BOUND


def test_the_beginning_of_a_body_is_decoded_as_far_as_it_goes() -> None:
    text = bytes(range(256)) * 40
    begun = decoded([("Content-Encoding", "gzip")], gzipped(text)[:200], BOUND)
    assert begun
    assert text.startswith(begun)


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
def test_any_bytes_are_decoded_or_kept(body: bytes, coding: str) -> None:
    for whole in (body, gzipped(body)):
        assert len(decoded([("Content-Encoding", coding)], whole, BOUND)) <= max(BOUND, len(whole))
