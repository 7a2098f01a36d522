"""Where data is kept, and how it gets there: from a mirror or from its hosts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course_utils.sources.archives import DamagedError, or_damaged
from course_utils.sources.sources import FetchError, RemoteFile, Source

PATIENCE = 60  # seconds to wait for another process that makes no headway


def obtain(source: Source) -> Any:
    """What a data set holds: from a prepared file, or else fetched now.

    >>> arrays = obtain(MNIST)
    """
    for folder in folders():
        contents = _read_prepared(source, folder / source.prepared)
        if contents is not None:
            return contents
    return or_damaged(source.read, fetch(source))


def folders() -> list[Path]:
    """Where prepared data is looked for and kept, the first choice first."""
    import pooch  # type: ignore[import-untyped]

    named = os.environ.get("COURSE_DATA", "").strip()
    cache = Path(pooch.os_cache("learning-to-see"))
    return [Path(named).expanduser(), cache] if named else [cache]


def offline() -> bool:
    """Whether ``COURSE_OFFLINE`` forbids to use the network."""
    return os.environ.get("COURSE_OFFLINE", "").strip() not in ("", "0")


def fetch(source: Source) -> Path:
    """Download and prepare a data set; its path once all of it is there and right.

    >>> path = fetch(MNIST)
    """
    if offline():
        raise FetchError(
            f"COURSE_OFFLINE is set, and there is no {source.prepared} here"
        )
    folder = _writable_folder(source)
    work = folder / f"{source.name}.download"
    try:
        with _alone(folder / f".{source.name}.lock", work):
            target = folder / source.prepared
            if not target.exists():  # or else another process has just put it there
                work.mkdir(exist_ok=True)
                _from_anywhere(source, work).replace(target)
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise FetchError(
            f"{source.title} cannot be written into {folder}, which answers "
            f"{error.strerror or error!r}: set COURSE_DATA to another folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it stays if a part of a download is in it
            work.rmdir()
    return target


def _read_prepared(source: Source, path: Path) -> Any:
    """What a prepared file holds; None if there is none that can be read."""
    try:
        return or_damaged(source.read, path) if path.exists() else None
    except OSError as error:
        print(f"{path} is passed over: {error.strerror}.")
    except DamagedError as damage:
        print(f"{path} is passed over, because {damage}.{_set_aside(path)}")
    return None


def _set_aside(path: Path) -> str:
    """Rename what is broken, so that it is in nobody's way and yet not lost."""
    aside = path.with_name(f"{path.name}.broken")
    try:
        if aside.is_dir():
            shutil.rmtree(aside)
        path.replace(aside)
    except OSError:
        return ""
    return f" It is now called {aside.name}."


def _writable_folder(source: Source) -> Path:
    """The first folder that can be written to and has room for what is coming."""
    for folder in folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            free = shutil.disk_usage(folder).free // 10**6
        except OSError:
            continue
        if free < source.megabytes:
            raise FetchError(
                f"{folder} has {free} MB left and {source.title} needs "
                f"{source.megabytes}: make room, or set COURSE_DATA to another folder"
            )
        return folder
    raise FetchError(
        f"{folders()[0]} cannot be written to: set COURSE_DATA to a folder of yours"
    )


@contextlib.contextmanager
def _alone(lock_file: Path, work: Path) -> Iterator[None]:
    """Keep other processes out; wait for one that is at work as long as it gets on.

    The operating system frees the lock of a process that ends, however it ends.
    """
    from filelock import FileLock, Timeout

    lock, seen, since = FileLock(lock_file), None, time.monotonic()
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except NotImplementedError:  # some network drives know no locks
            break
        except Timeout:
            now = [path.stat().st_size for path in sorted(work.glob("*"))]
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > PATIENCE:
                raise FetchError(
                    f"Another process holds {lock_file} and makes no headway: stop it, "
                    "or remove that file if there is none"
                ) from None
    try:
        yield
    finally:
        lock.release()


def _from_anywhere(source: Source, work: Path) -> Path:
    """The prepared file, not yet in its place, from the first source that has it."""
    troubles = []
    for bring in (_from_mirror, _from_hosts) if _mirror() else (_from_hosts,):
        try:
            ready = bring(source, work)
            contents = or_damaged(source.read, ready)
            if source.fingerprint(contents) != source.known:
                raise DamagedError("it is not the data that the course knows")
            return ready
        except DamagedError as damage:
            troubles.append(f"what came is of no use, because {damage}")
            _empty(work)
        except FetchError as trouble:
            troubles.append(str(trouble))
    raise FetchError("; then ".join(troubles))


def _mirror() -> str:
    """The address of the classroom's server, if there is one."""
    return os.environ.get("COURSE_MIRROR", "").strip().rstrip("/")


def _from_mirror(source: Source, work: Path) -> Path:
    from course_utils.sources.download import download

    name = source.packed or source.prepared
    path = download(RemoteFile(name, (f"{_mirror()}/{name}",)), work)
    return _unpacked(source, work) if source.packed else path


def _from_hosts(source: Source, work: Path) -> Path:
    from course_utils.sources.download import download

    for file in source.files:
        download(file, work)
    return _unpacked(source, work)


def _unpacked(source: Source, work: Path) -> Path:
    """The prepared file, made from the downloads in `work`."""
    ready = work / f"ready-{source.prepared}"
    if ready.is_dir():  # left by a process that was killed
        shutil.rmtree(ready)
    or_damaged(source.unpack, work, ready)
    return ready


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
