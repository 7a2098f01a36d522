"""Run a command in a sandbox: with files, processes and a network of its own.

Linux only, with `unshare`, `mount` and `setpriv` of util-linux, for root and, where
the system allows user namespaces, for everybody. The command sees the system, Python
and the paths that are named, all read-only. What it writes goes into memory and is
gone at the end. It reaches no other process, no socket and no network but 127.0.0.1.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

UNSHARE = (
    *("unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--ipc"),
    *("--fork", "--kill-child"),
)
# Without capabilities nobody can undo what is mounted.
SETPRIV = ("setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
SYSTEM = ("/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib64", "/nix", "/sys")
# Graphics cards too, where there are some.
DEVICES = ("null", "zero", "full", "*random", "nvidia*", "dri", "kfd", "dxg")
DISK = "2g"  # all that the command can write
MOST_THREADS = 4096
BRING_UP, UP = 0x8914, 1  # SIOCSIFFLAGS and IFF_UP of Linux


def sandboxed(readable: Iterable[Path]) -> list[str]:
    """What to put before a command, so that it runs in a sandbox."""
    return [*UNSHARE, sys.executable, __file__, *map(str, readable), "--"]


def main(arguments: Sequence[str]) -> None:
    """Build the sandbox around this process, which `unshare` started, and go on."""
    end = arguments.index("--")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    bring_up_loopback()
    real = str(Path(sys.executable).resolve().parents[1])
    readable = [*SYSTEM, sys.prefix, sys.base_prefix, real, *arguments[:end]]
    build(Path.cwd(), map(Path, readable))
    os.execvp(SETPRIV[0], [*SETPRIV, *arguments[end + 1 :]])


def bring_up_loopback() -> None:
    """Let processes in here reach each other at 127.0.0.1, as torchrun does."""
    import fcntl  # not on Windows

    with socket.socket() as some:
        fcntl.ioctl(some, BRING_UP, struct.pack("16sh14x", b"lo", UP))


def build(home: Path, readable: Iterable[Path]) -> None:
    """Enter a new file system, which holds what is readable and an empty `home`."""
    run("mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755", "tmpfs", home)
    devices = [path for name in DEVICES for path in Path("/dev").glob(name)]
    for path in (*readable, *devices):
        show(path, home)
    for mounted in mounts_below(home):
        run("mount", "-o", "remount,bind,ro", mounted)
    for folder in ("tmp", "dev/shm", "proc", str(home).lstrip("/")):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "dev/fd").symlink_to("/proc/self/fd")
    run("mount", "-t", "proc", "-o", "ro", "proc", home / "proc")
    os.chdir(home)
    run("pivot_root", ".", ".")
    run("umount", "--lazy", ".")
    os.chdir(home)


def show(path: Path, root: Path) -> None:
    """Let a file or folder be seen in the sandbox, in the same place as outside."""
    target = root / str(path).lstrip("/")
    if not path.exists() or target.exists():
        return
    if path.is_dir():
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    run("mount", "--rbind", path, target)


def mounts_below(folder: Path) -> list[str]:
    """Where something is mounted in a folder."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4].replace("\\040", " ") for line in lines]
    return [place for place in places if place.startswith(f"{folder}/")]


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def limit(gigabytes: float) -> None:
    """Let this process take only so much memory, files of 1 GB and some threads."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limits
        return
    wanted = {
        resource.RLIMIT_DATA: int(gigabytes * 1e9),
        resource.RLIMIT_FSIZE: int(1e9),
        resource.RLIMIT_NPROC: MOST_THREADS,
        resource.RLIMIT_CORE: 0,
    }
    for which, most in wanted.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    main(sys.argv[1:])
