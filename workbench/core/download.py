"""Files from addresses, within limits: on their size, and on the time that all of it takes. A slow one is told of."""

from __future__ import annotations

import sys
import time
import urllib.request
from collections.abc import Mapping
from typing import IO
from urllib.error import HTTPError

from workbench.core.errors import Refused

LARGEST_SENT = 1_000_000_000  # bytes; a released network has at most 200 million
LONGEST_SENT = 1_800.0  # seconds for the whole of it
SILENT = 60.0  # seconds without a byte
TOLD_EVERY = 5.0  # seconds between two lines that say how far it is
_BLOCK = 1 << 16


def download(
    address: str,
    file: IO[bytes],
    largest: int = LARGEST_SENT,
    longest: float = LONGEST_SENT,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Writes what an http(s) address sends to a file.

    Args:
        largest: bytes; longest: seconds.

    Raises:
        Refused: it is larger, or takes longer.
        OSError, ValueError, HTTPException: of the network, the address or the disk; also where less arrives than was
            announced.
    """
    start = told = time.monotonic()
    got = 0
    try:
        request = urllib.request.Request(address, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=SILENT) as answer:
            announced = answer.headers.get("Content-Length")
            expected = None if announced is None else int(announced)
            _check_size(address, expected or 0, largest)
            while block := answer.read1(_BLOCK):  # what is there, instead of waiting for a whole block
                file.write(block)
                got += len(block)
                now = time.monotonic()
                _check_size(address, got, largest)
                if now - start > longest:
                    raise Refused(f"{address}: after {longest:.0f} s only {_told(got, expected)} arrived; {_ELSEWHERE}")
                if now - told > TOLD_EVERY:
                    told = now
                    print(f"downloading {address}: {_told(got, expected)}", file=sys.stderr, flush=True)
            if expected is not None and got != expected:
                raise OSError(f"{got} of {expected} bytes arrived")
    except HTTPError as error:
        error.close()
        raise


_ELSEWHERE = "download it elsewhere and pass its path"


def _check_size(address: str, size: int, largest: int) -> None:
    if size > largest:
        raise Refused(f"{address}: it sends more than {largest / 1e6:,.0f} MB, the limit; {_ELSEWHERE}")


def _told(got: int, expected: int | None) -> str:
    return f"{got / 1e6:.1f}" + ("" if expected is None else f" of {expected / 1e6:.1f}") + " MB"
