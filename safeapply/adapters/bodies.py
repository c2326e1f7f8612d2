"""The whole body of an answer, unpacked, and never more than a bound of it."""

from __future__ import annotations

import zlib

import aiohttp

__all__ = ["BodyError", "body_of"]

PLAIN = frozenset({"", "identity"})
PACKED = frozenset({"gzip", "x-gzip", "deflate"})
EITHER = 32 + zlib.MAX_WBITS
"""Lets zlib look which of both it is."""


class BodyError(Exception):
    """A body that is too large, or cannot be unpacked; the reason goes on after ``its answer``."""


async def body_of(answer: aiohttp.ClientResponse, *, most: int) -> bytes:
    """Return the body of an answer; what is too large is left unread.

    Args:
        answer: an answer that the client has not unpacked.
        most: how many bytes it may have, packed and unpacked.

    Raises:
        BodyError: it has more, or is packed in a way that nobody asked for.
        aiohttp.ClientError: it broke off.
    """
    try:
        return await _read(answer, most)
    except BodyError:
        answer.close()
        raise


async def _read(answer: aiohttp.ClientResponse, most: int) -> bytes:
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding not in PLAIN | PACKED:
        raise BodyError(f"is packed as {coding!r}, which was not asked for")
    unpacking = zlib.decompressobj(EITHER) if coding in PACKED else None
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk if unpacking is None else _unpacked(unpacking, chunk, most + 1 - len(body))
        if len(body) > most:
            raise BodyError(f"has more than {most // 1024**2} MiB")
    if unpacking is not None and body and not unpacking.eof:
        raise BodyError("ends before what is packed in it does")
    return bytes(body)


def _unpacked(unpacking: zlib._Decompress, chunk: bytes, most: int) -> bytes:
    try:
        return unpacking.decompress(chunk, most)
    except zlib.error as error:
        raise BodyError(f"cannot be unpacked ({error})") from error
