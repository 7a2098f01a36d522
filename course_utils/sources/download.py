"""One file from the first host that delivers it; pooch does the downloading."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pooch  # type: ignore[import-untyped]
from requests import Response, exceptions
from tqdm import tqdm  # type: ignore[import-untyped]

from course_utils.sources.sets import FetchError

RETRIES = 1  # of one host, when it cannot be reached or breaks off
SILENCE = 15  # seconds without a byte, after which a host is given up
WINDOW = 10  # seconds after which the speed is judged
SLOW = 100_000  # bytes a second below which another host is tried
DEAD = 4_000  # bytes a second below which a host is given up
TROUBLES = (
    (exceptions.SSLError, "shows a certificate that cannot be trusted"),
    (exceptions.ProxyError, "cannot be reached through the proxy that is set"),
    (exceptions.Timeout, "does not answer"),
    (exceptions.ConnectionError, "cannot be reached, or falls silent"),
    (exceptions.ChunkedEncodingError, "breaks off in the middle"),
    (exceptions.RequestException, "is not a web address that can be used"),
    (ValueError, "sends something else (its checksum or its length is wrong)"),
)


class TooSlowError(FetchError):
    """A host delivers, but slowly."""


def download(
    name: str, urls: Sequence[str], sha256: str, folder: Path, most_bytes: int
) -> Path:
    """The file, put into `folder` by the first of its hosts that delivers it.

    A slow host is left for the next one. If no host delivers, the slow ones are asked
    again, and then they are good enough.
    """
    pooch.get_logger().setLevel("WARNING")
    hosts, troubles = list(urls), {}
    for least_speed in (SLOW if len(hosts) > 1 else DEAD, DEAD):
        slow_hosts = []
        for url in hosts:
            try:
                return _from_host(name, url, sha256, folder, most_bytes, least_speed)
            except FetchError as trouble:
                troubles[_host(url)] = str(trouble)
                if isinstance(trouble, TooSlowError):
                    slow_hosts.append(url)
        hosts = slow_hosts
    reasons = "; ".join(f"{host} {trouble}" for host, trouble in troubles.items())
    raise FetchError(f"{name} did not arrive: {reasons}")


def _from_host(
    name: str, url: str, sha256: str, folder: Path, most_bytes: int, least_speed: float
) -> Path:
    def bring(url: str, output_file: str, shelf: pooch.Pooch) -> None:
        with _Bar(f"{name} from {_host(url)}", most_bytes, least_speed) as bar:
            pooch.HTTPDownloader(
                progressbar=bar,
                timeout=SILENCE,
                headers={"Accept-Encoding": "identity"},
                hooks={"response": _refuse},
            )(url, output_file, shelf)

    registry = {name: sha256 or None}
    shelf = pooch.create(
        folder, "", registry=registry, urls={name: url}, retry_if_failed=RETRIES
    )
    try:
        return Path(shelf.fetch(name, downloader=bring))
    except (exceptions.RequestException, ValueError) as error:
        reason = next(reason for kind, reason in TROUBLES if isinstance(error, kind))
        raise FetchError(reason) from None


class _Bar(tqdm):  # type: ignore[misc]
    """A progress bar that ends a download which is too slow or too large."""

    def __init__(self, name: str, most_bytes: int, least_speed: float) -> None:
        self.most_bytes, self.least_speed = most_bytes, least_speed
        self.since = time.monotonic()
        looks = {"unit": "B", "unit_scale": True, "leave": False, "delay": 1}
        super().__init__(desc=name, disable=False, **looks)

    def __bool__(self) -> bool:
        return True  # or pooch would leave it alone when the length is not known

    def update(self, n: float | None = 1) -> None:
        """Count what has arrived."""
        super().update(n)
        if self.n > self.most_bytes:
            raise FetchError(f"sends more than {self.most_bytes / 1e6:,.0f} MB")
        seconds = time.monotonic() - self.since
        # In the end, pooch sets a bar without a known length back to 0.
        if seconds > WINDOW and 0 < self.n / seconds < self.least_speed:
            speed = self.n / seconds / 1000
            raise TooSlowError(f"sends only {speed:,.0f} kB a second")


def _refuse(answer: Response, **_: Any) -> None:
    """End a request whose answer is not the file, before its content is read."""
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    trouble = ""
    if answer.is_redirect:
        if answer.url.startswith("https:") and not target.startswith("https:"):
            trouble = "redirects to an address without encryption (http)"
    elif answer.status_code != 200:
        trouble = f"answers {answer.status_code} {answer.reason}"
    elif "text/html" in answer.headers.get("Content-Type", ""):
        trouble = "sends a web page instead of the file"
    if trouble:
        answer.close()
        raise FetchError(trouble)


def _host(url: str) -> str:
    """The host in an address, without the user and the password that may be there."""
    rest = url.rpartition("@")[2].removeprefix("https://").removeprefix("http://")
    return rest.partition("/")[0] or "the address"
