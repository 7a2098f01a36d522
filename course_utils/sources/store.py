"""Where data is kept, and how it gets there: from a mirror or from its hosts."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course_utils.sources.sets import FetchError, Source, readable

OWN = ".learning-to-see"  # in each folder of data: locks, downloads, fingerprints
PATIENCE = 600  # seconds to wait for another process that fetches the same
AS_SENT = "as its host sent it, but not the copy that the course was tested with"


@dataclass(frozen=True)
class Prepared:
    """What a prepared file holds, and what there is to say about this copy."""

    path: Path
    contents: Any
    remark: str


def fetch(source: Source) -> Any:
    """What a data set holds: from its prepared file, or else downloaded now.

    >>> images = fetch(MNIST)["train_images"]  # doctest: +SKIP
    """
    found, troubles = find(source)
    for trouble in troubles:
        print(f"{trouble}.")
    if found is None:
        _download(source)
        found, _ = find(source)
    if found is None:
        raise FetchError(f"{source.title} was fetched, and somebody has removed it")
    return found.contents


def find(source: Source) -> tuple[Prepared | None, list[str]]:
    """The first prepared file that can be used, and why those before it cannot."""
    troubles: list[str] = []
    for folder in folders():
        path = folder / source.prepared
        if os.path.lexists(path):
            try:
                contents, fingerprint = _examine(source, path)
                remark = source.known.get(fingerprint, AS_SENT)
                note = folder / OWN / f"{source.name}.fingerprint"
                noted = note.is_file() and note.read_text() == fingerprint
                if remark == AS_SENT and not noted:
                    raise FetchError("its content is not what the course knows")
                return Prepared(path, contents, remark), troubles
            except FetchError as trouble:
                troubles.append(f"{path} is passed over, because {trouble}")
    return None, troubles


def folders() -> list[Path]:
    """Where prepared data is looked for and kept, the first choice first."""
    import pooch  # type: ignore[import-untyped]

    wanted = []
    named = os.environ.get("COURSE_DATA", "").strip()
    if named:
        try:
            wanted.append(Path(named).expanduser())
        except RuntimeError:
            text = f"COURSE_DATA is {named}, and there is no such home folder"
            raise FetchError(f"{text}: set it to a folder of yours") from None
    cache = Path(pooch.os_cache("learning-to-see"))
    if cache.is_absolute():  # it is not, where nobody has a home
        wanted.append(cache)
    if not wanted:
        raise FetchError("there is no home folder: set COURSE_DATA to a folder")
    return wanted


def is_offline() -> bool:
    """Whether ``COURSE_OFFLINE`` forbids the use of the network."""
    return os.environ.get("COURSE_OFFLINE", "").strip() not in ("", "0")


def _examine(source: Source, path: Path) -> tuple[Any, str]:
    """What a file holds, if it looks as it should, and the fingerprint of that."""
    try:
        if not (path.is_dir() or path.is_file()):  # a pipe would never end
            raise FetchError("it is no ordinary file")
        if path.is_file() and path.stat().st_size > source.most_bytes:
            raise FetchError("it is far larger than it should be")
        content: tuple[Any, str] = readable(source.read, path)
        return content
    except OSError as error:
        raise FetchError(f"it cannot be read: {error.strerror}") from None


def _download(source: Source) -> None:
    """Fetch and prepare a data set; all of it is there and right, or nothing is."""
    from filelock import FileLock, Timeout

    if is_offline():
        missing = f"there is no {source.prepared} that can be used"
        raise FetchError(f"COURSE_OFFLINE is set, and {missing}")
    folder = _folder_to_write(source)
    work = folder / OWN / source.name
    lock = FileLock(work.with_suffix(".lock"))
    try:
        with lock.acquire(timeout=PATIENCE):
            if os.path.lexists(folder / source.prepared):
                return  # another process has just put it there
            shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
            try:
                _bring(source, work).replace(folder / source.prepared)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except Timeout:
        text = f"another process has held {lock.lock_file} for {PATIENCE} seconds"
        raise FetchError(f"{text}: wait until it is done, or stop it") from None
    except (OSError, NotImplementedError) as error:  # no room, or a drive without locks
        reason = getattr(error, "strerror", None) or error
        text = f"{source.title} cannot be written into {folder} ({reason})"
        raise FetchError(f"{text}: set COURSE_DATA to another folder") from None


def _folder_to_write(source: Source) -> Path:
    """The first folder that can be written to, and has no such file already."""
    troubles = []
    for folder in folders():
        try:
            if os.path.lexists(folder / source.prepared):
                raise OSError(0, f"{source.prepared} is in the way")
            (folder / OWN).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder / OWN).close()
            return folder
        except OSError as error:
            troubles.append(f"{folder} cannot be used ({error.strerror})")
    raise FetchError(f"{'; '.join(troubles)}: set COURSE_DATA to another folder")


def _bring(source: Source, work: Path) -> Path:
    """The prepared file, not yet in its place, from the mirror or from the hosts."""
    troubles = []
    mirror = os.environ.get("COURSE_MIRROR", "").strip().rstrip("/")
    if mirror:
        try:
            return _from_mirror(source, mirror, work / "mirror")
        except FetchError as trouble:
            troubles.append(f"from the mirror: {trouble}")
    try:
        return _from_hosts(source, work / "hosts")
    except FetchError as trouble:
        troubles.append(str(trouble))
    raise FetchError("; then ".join(troubles))


def _from_mirror(source: Source, mirror: str, work: Path) -> Path:
    """What a mirror sends has to be known: anybody may have put it there."""
    from course_utils.sources.download import download

    is_folder = not Path(source.prepared).suffix
    name = f"{source.prepared}.zip" if is_folder else source.prepared
    ready = download(name, [f"{mirror}/{name}"], "", work, source.most_bytes)
    if is_folder:
        ready = work / "ready"
        readable(source.prepare, work, ready)
    _, fingerprint = _examine(source, ready)
    if fingerprint not in source.known:
        raise FetchError(f"{name} is not what the course knows")
    return ready


def _from_hosts(source: Source, work: Path) -> Path:
    from course_utils.sources.download import download

    for name, sha256 in source.files.items():
        urls = [host + name for host in source.hosts]
        download(name, urls, sha256, work, source.most_bytes)
    ready = work / f"ready-{source.prepared}"
    try:
        readable(source.prepare, work, ready)
        _, fingerprint = _examine(source, ready)
    except FetchError as trouble:
        raise FetchError(f"what the hosts sent is of no use: {trouble}") from None
    if fingerprint not in source.known:
        work.parent.with_suffix(".fingerprint").write_text(fingerprint)
        print(f"{source.title} is {AS_SENT}.")
    return ready
