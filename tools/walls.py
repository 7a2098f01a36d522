"""Walls around code that is not trusted: what it may write, whom it may reach.

Linux has two that need no rights: Landlock, which a process puts around itself, and
namespaces, which `unshare` puts around a new one. Where they are missing, the walls
below do nothing, and `standing` says which are left.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

try:
    import resource
except ModuleNotFoundError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

CREATE, ADD, RESTRICT = 444, 445, 446  # the system calls, alike on all processors
NO_NEW_RIGHTS = 38  # of prctl
PATH_BENEATH = 1
CREATE_VERSION = 1
# Every way to change a file system: bits 1 and 4 to 12, then what later kernels know.
WRITE_FILE, REMOVE_AND_MAKE, REFER, TRUNCATE = 1 << 1, 0x1FF0, 1 << 13, 1 << 14
TCP = 0b11
SIGNALS_AND_SOCKETS = 0b11

UNSHARE = [
    *("unshare", "--user", "--map-current-user", "--net", "--pid", "--mount-proc"),
    *("--fork", "--kill-child"),
]


class _Rules(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scope", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def _system_call() -> Callable[..., int] | None:
    if platform.system() != "Linux":
        return None
    call: Callable[..., int] = ctypes.CDLL(None, use_errno=True).syscall
    return call


def landlock_version() -> int:
    """How much Landlock this kernel knows; 0 if none."""
    call = _system_call()
    if call is None:
        return 0
    nothing, none = ctypes.c_void_p(None), ctypes.c_size_t(0)
    return max(0, call(CREATE, nothing, none, ctypes.c_uint32(CREATE_VERSION)))


def write_only_below(folders: Iterable[Path]) -> bool:
    """From now on, let this process and its children change files only in there.

    Where the kernel can, they also can make no connection and send no signal to
    processes outside. Returns whether the wall stands; it cannot be taken down.
    """
    version, call = landlock_version(), _system_call()
    if not version or call is None:
        return False
    files = WRITE_FILE | REMOVE_AND_MAKE
    files |= (REFER if version >= 2 else 0) | (TRUNCATE if version >= 3 else 0)
    rules = _Rules(
        files,
        TCP if version >= 4 else 0,
        SIGNALS_AND_SOCKETS if version >= 6 else 0,
    )
    # Older kernels know only the first parts of this structure.
    size = 8 if version < 4 else 16 if version < 6 else 24
    made = call(CREATE, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if made < 0:
        return False
    for folder in folders:
        with suppress(OSError):
            place = os.open(folder, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
            # A single file takes only the rights that mean something for files.
            allowed = files if folder.is_dir() else files & (WRITE_FILE | TRUNCATE)
            rule = _Beneath(allowed, place)
            call(ADD, made, PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
            os.close(place)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_RIGHTS, 1, 0, 0, 0)
    stands: bool = call(RESTRICT, made, ctypes.c_uint32(0)) == 0
    os.close(made)
    return stands


def around_a_process() -> list[str]:
    """What to put before a command so that it sees no network and no other process."""
    if not shutil.which(UNSHARE[0]):
        return []
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    return UNSHARE if tried.returncode == 0 else []


def limit(gigabytes: float, seconds: float) -> None:
    """Let this process take only so much memory, processor time and disk."""
    if resource is None:
        return
    wanted = {
        resource.RLIMIT_DATA: int(gigabytes * 1e9),
        resource.RLIMIT_CPU: int(seconds * (os.cpu_count() or 1)) + 1,
        resource.RLIMIT_FSIZE: int(1e9),
        resource.RLIMIT_CORE: 0,
    }
    for which, most in wanted.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))


def standing(namespaces: list[str]) -> str:
    """What protects this machine from the code, in a sentence."""
    lock = landlock_version()
    walls = {
        "files": lock >= 1,
        "the network": bool(namespaces) or lock >= 4,
        "other processes": bool(namespaces) or lock >= 6,
    }
    if all(walls.values()):
        return "Each notebook is walled off from files, network and other processes."
    missing = ", ".join(name for name, there in walls.items() if not there)
    return (
        f"This system offers no wall between the notebooks and {missing}: run them in "
        "a container if you do not trust them."
    )
