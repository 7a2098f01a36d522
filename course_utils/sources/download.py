"""One file from the first host that delivers it, whatever the others do."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pooch  # type: ignore[import-untyped]
import requests
import urllib3
from tqdm import tqdm  # type: ignore[import-untyped]

from course_utils.sources.sources import FetchError, RemoteFile

ROUNDS = 3
TROUBLES = (
    (requests.exceptions.SSLError, "shows a certificate that cannot be trusted"),
    (requests.exceptions.ProxyError, "cannot be reached through the proxy that is set"),
    (requests.exceptions.Timeout, "does not answer"),
    (requests.exceptions.ConnectionError, "cannot be reached"),
    (ValueError, "is not a web address (it should begin with http:// or https://)"),
)


@dataclass(frozen=True)
class Limits:
    """How long to be patient with a host: seconds, and bytes a second."""

    answer: float = 40  # until the first byte, shared by all hosts of a file
    silence: float = 15  # between two bytes
    window: float = 15  # over which the speed is measured
    speed: float = 100_000  # below it, another host is tried
    least: float = 4_000  # below it, a host counts as dead


LIMITS = Limits()


class HostError(FetchError):
    """One host did not deliver; `partly` says whether it sent at least something."""

    def __init__(self, message: str, partly: bool = False) -> None:
        super().__init__(message)
        self.partly = partly


def download(file: RemoteFile, folder: Path) -> Path:
    """The file, fetched into `folder` from the first of its hosts that delivers.

    A slow host is left for the next one. When all have been tried, those that sent at
    least something are tried again, now with patience: the download goes on where it
    broke off.

    >>> path = download(MNIST.files[0], Path("downloads"))
    """
    pooch.get_logger().setLevel("WARNING")
    hosts, troubles = list(file.urls), {}
    for turn in range(ROUNDS):
        patient = turn > 0 or len(hosts) == 1
        again = []
        for url in hosts:
            try:
                return _retrieve(file, url, folder, patient)
            except HostError as trouble:
                troubles[_host(url)] = str(trouble)
                again += [url] if trouble.partly else []
        hosts = again
    reasons = "; ".join(f"{host} {trouble}" for host, trouble in troubles.items())
    raise FetchError(f"{file.name} did not arrive: {reasons}")


def _retrieve(file: RemoteFile, url: str, folder: Path, patient: bool) -> Path:
    """The file from one host, its checksum compared."""
    transfer = Transfer(file, folder / f"{file.name}.part", patient)
    try:
        path = pooch.retrieve(url, file.checksum, file.name, folder, None, transfer)
    except ValueError:  # pooch's word for another checksum
        if transfer.start:  # the beginning may have come from another file
            return _retrieve(file, url, folder, patient)
        raise HostError("sends another file (its checksum is wrong)") from None
    return Path(path)


class Transfer:
    """One download from one host, in the form in which pooch calls it.

    What has arrived is kept in `part`, whatever happens. It is completed later if the
    file has a checksum, or if the host proves by its ETag that it is the same file.
    """

    def __init__(self, file: RemoteFile, part: Path, patient: bool) -> None:
        self.file, self.part, self.patient = file, part, patient
        self.tag = part.with_suffix(".tag")
        self.start = 0

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        """Bring `output_file`, the rest of it if its beginning is there."""
        with contextlib.closing(self._ask(url)) as answer:
            self._receive(url, answer)
        self.tag.unlink(missing_ok=True)
        self.part.replace(output_file)

    def _ask(self, url: str) -> requests.Response:
        """The host's answer, which begins at byte `self.start` of the file."""
        headers = {"Accept-Encoding": "identity", **self._wish_to_resume(url)}
        seconds = LIMITS.answer / len(self.file.urls)
        answer = _in_time(seconds, url, headers)
        if answer.status_code == 416 and self.start:  # there is no more than that
            self.part.unlink()
            return self._ask(url)
        if answer.status_code >= 400:
            raise HostError(f"answers {answer.status_code} {answer.reason}")
        if "text/html" in answer.headers.get("Content-Type", ""):
            raise HostError("sends a web page instead of the file")
        came = answer.headers.get("Content-Range", "")
        if answer.status_code != 206 or not came.startswith(f"bytes {self.start}-"):
            self.start = 0
        if answer.status_code == 206 and not self.start:
            raise HostError("sends another piece of the file than it was asked for")
        return answer

    def _wish_to_resume(self, url: str) -> dict[str, str]:
        """Headers that ask for the rest of the file, if a part of it is there."""
        self.start = self.part.stat().st_size if self.part.exists() else 0
        if not self.start:
            return {}
        headers = {"Range": f"bytes={self.start}-"}
        if self.file.checksum:
            return headers
        noted = self.tag.read_text() if self.tag.exists() else ""
        address, _, tag = noted.partition("\n")
        if address == url and tag.startswith('"'):
            return {**headers, "If-Range": tag}
        self.start = 0
        return {}

    def _receive(self, url: str, answer: requests.Response) -> None:
        """Write what comes into the part, and see that nothing is missing."""
        self.tag.write_text(f"{url}\n{answer.headers.get('ETag', '')}")
        length = int(answer.headers.get("Content-Length", 0))
        bar = tqdm(
            desc=f"{self.file.name} from {_host(url)}",
            total=self.start + length or None,
            initial=self.start,
            unit="B",
            unit_scale=True,
            leave=False,
        )
        with bar, self.part.open("ab" if self.start else "wb") as part:
            for chunk in self._chunks(answer):
                part.write(chunk)
                bar.update(len(chunk))
            came = part.tell() - self.start
        if came < length:
            raise HostError(f"breaks off after {came:,} of {length:,} bytes", came > 0)

    def _chunks(self, answer: requests.Response) -> Iterator[bytes]:
        """What arrives, as it arrives, for as long as it comes fast enough."""
        since, count = time.monotonic(), 0
        while chunk := _next(answer):
            yield chunk
            count += len(chunk)
            seconds = time.monotonic() - since
            if seconds > LIMITS.window:
                self._judge(count / seconds)
                since, count = time.monotonic(), 0

    def _judge(self, speed: float) -> None:
        if speed < LIMITS.least:
            raise HostError(f"sends only {speed:,.0f} bytes a second")
        if speed < LIMITS.speed and not self.patient:
            raise HostError(f"sends only {speed / 1000:,.0f} kB a second", partly=True)


def _in_time(seconds: float, url: str, headers: dict[str, str]) -> requests.Response:
    """The answer to a request, or a HostError after so many seconds.

    Looking up a name and trying each of a host's addresses can take minutes whatever
    time-outs are set, so this is done in a thread that need not be waited for.
    """
    answers: queue.SimpleQueue[requests.Response | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer = requests.get(
                url,
                headers=headers,
                hooks={"response": _refuse_downgrade},
                stream=True,
                timeout=(seconds, LIMITS.silence),
            )
            answers.put(answer)
        except Exception as error:  # handed over, to be judged where it matters
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise HostError(f"does not answer within {seconds:g} seconds") from None
    if isinstance(answer, Exception):
        raise _as_host_error(answer) from None
    return answer


def _refuse_downgrade(answer: requests.Response, **_: Any) -> None:
    """Refuse to be sent from https to http, where anybody can change what comes."""
    target = urljoin(answer.url, answer.headers.get("Location", ""))
    leads_down = answer.url.startswith("https:") and not target.startswith("https:")
    if answer.is_redirect and leads_down:
        raise HostError("redirects to an address without encryption (http)")


def _next(answer: requests.Response) -> bytes:
    """The bytes that have arrived, without waiting for a whole block of them."""
    try:
        return bytes(answer.raw.read1(2**16))
    except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
        came = answer.raw.tell() > 0
        if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)):
            reason = f"sends nothing for {LIMITS.silence:g} seconds"
            raise HostError(reason, came) from None
        raise HostError("breaks off in the middle", came) from None


def _as_host_error(error: Exception) -> HostError:
    if isinstance(error, HostError):
        return error
    for kind, reason in TROUBLES:
        if isinstance(error, kind):
            return HostError(reason)
    return HostError(f"cannot be asked ({type(error).__name__})")


def _host(url: str) -> str:
    return urlsplit(url).netloc or url
