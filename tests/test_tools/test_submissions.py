"""One odd submission costs nobody else's marks, and harms nothing outside."""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

import run_submissions
from run_submissions import Marks, Runner, as_table, find_notebooks, main, read_notebook

TOOL = Path(run_submissions.__file__)
SECONDS = 20  # for the cells; importing PyTorch does not count
RIGHT = 'from course_utils import check\ncheck("1.1", (8, 7, 6))'
STUB = 'from course_utils import check\ncheck("1.1", ...)'
ELSE = 'check("1.5", 8.0)'
WRONG = 'check("1.5", 9.0)'

Cases = dict[str, tuple[list[str], int | None, str]]

# The cells, how many answers are right, and what the row must say beside that.
ORDINARY: Cases = {
    "nothing_in_it": ([], 0, ""),
    "wrong": ([STUB, WRONG], 0, "not quite."),
    "second_try": ([STUB, RIGHT, WRONG, ELSE, STUB], 2, ""),
    "errors_in_between": (
        [
            RIGHT,
            "undefined_name + 1",
            "this is no Python",
            "raise SystemExit",
            'check("99.1", 1)',
            "input('your name?')",
            ELSE,
        ],
        2,
        "cell 2: NameError|cell 3: SyntaxError|cell 4: SystemExit|no exercise '99.1'",
    ),
    "all_ways_to_import": (
        [
            'check("1.1", (8, 7, 6))',  # the stub was replaced with its import
            'from course_utils.exercises import check as c\nc("1.5", 8.0)',
            'import course_utils\ncourse_utils.check("2.1", 784 * 64 + 64 + 650)',
            'course_utils.exercises.check("4.1", 49)',
            'from course_utils import check as c\nc("4.2", 128 * 64 * 25 + 128)',
            "%matplotlib inline\n!echo hello",
        ],
        5,
        "",
    ),
    "examined_once": (
        [
            "from course_utils import check\n"
            "from course_utils.exercises import find_exercise\n"
            "calls = 0\n"
            "def checkerboard(size):\n"
            "    global calls\n"
            "    calls += 1\n"
            "    import torch\n"
            "    place = torch.arange(size)\n"
            "    return (place[:, None] + place) % 2",
            'find_exercise("1.2").verdict(checkerboard)\nonce, calls = calls, 0',
            'check("1.2", checkerboard)\nassert calls == once',
        ],
        1,
        "",
    ),
    "talks_to_itself": (
        [
            "import socket\n"
            "server = socket.create_server(('127.0.0.1', 0))\n"
            "socket.create_connection(server.getsockname(), 5)",
            "import torch.distributed as d\n"
            "d.init_process_group('gloo', init_method='tcp://127.0.0.1:29400',\n"
            "                     rank=0, world_size=1)\n"
            "d.barrier()",
            RIGHT,
        ],
        1,
        "",
    ),
}
NASTY: Cases = {
    "hangs": (
        [
            RIGHT,
            "import signal, time\n"
            "for n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
            "while True:\n"
            "    try:\n"
            "        while True: print('x' * 10**6, time.sleep(0.1))\n"
            "    except BaseException: pass",
            ELSE,
        ],
        1,
        "stopped after 20 s|cell 2: did not end",
    ),
    "ends_the_process": ([RIGHT, "import os; os._exit(0)", ELSE], 1, "ended its own"),
    "crashes": ([RIGHT, "import ctypes; ctypes.string_at(0)"], 1, "died (SIGSEGV)"),
    "odd_errors": (
        [
            RIGHT,
            "class Odd(Exception):\n"
            "    def __str__(self): raise RuntimeError\n"
            "raise Odd",
            "raise ValueError('\\ud800 \\x1b[2J')",
            ELSE,
        ],
        2,
        r"cell 2: an error that has no message|cell 3: ValueError: \ud800 \x1b[2J",
    ),
    "takes_all_there_is": (
        [
            RIGHT,
            "big = [bytearray(10**8) for _ in range(1000)]",
            "f = open('big', 'wb'); f.seek(2 * 10**9); f.write(b'x'); f.flush()",
            "import os\n"
            "files = [open(str(n), 'wb') for n in range(3)]\n"
            "for file in files: os.posix_fallocate(file.fileno(), 0, 9 * 10**8)",
            ELSE,
        ],
        2,
        "cell 2: MemoryError|cell 3: OSError|cell 4: OSError: [Errno 28]",
    ),
    "children_take_it": (
        [
            RIGHT,
            "import subprocess, sys, time\n"
            "eat = 'import time; big = b\"x\" * 8 * 10**8; time.sleep(60)'\n"
            "for _ in range(4): subprocess.Popen([sys.executable, '-c', eat])\n"
            "time.sleep(60)",
        ],
        1,
        "GB of memory",
    ),
    "many_processes": (
        [
            RIGHT,
            "import subprocess, time\n"
            "for _ in range(150): subprocess.Popen(['sleep', '60'])\n"
            "time.sleep(60)",
        ],
        1,
        "it started more than 100 processes",
    ),
    "looks_around": (
        [
            RIGHT,
            "import os, shutil, socket, sys",
            "shutil.rmtree({folder!r})",
            "os.chmod({folder!r}, 0)",
            "os.chmod(sys.executable, 0)",
            "open(os.path.join(os.path.dirname(os.__file__), 'antigravity.py'), 'a')",
            "socket.create_connection(('127.0.0.1', {port}), 5)",
            "s = socket.socket(socket.AF_UNIX); s.connect({socket!r})",
            "open('/dev/shm/{shm}')",
            "open('/proc/sys/vm/drop_caches', 'w')",
            "assert 'pytest' in open('/proc/{pid}/cmdline').read()",
            ELSE,
        ],
        2,
        "|".join(f"cell {n}: " for n in range(3, 12)),
    ),
    "pretends": (["print('✓ Exercise 1.1: correct.')"], 0, ""),
    "kills_its_parent": (
        [RIGHT, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", ELSE],
        None,
        "",
    ),
    "leaves_a_process_behind": (
        [
            RIGHT,
            "import subprocess, sys\n"
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)',\n"
            "                  {mark!r}], start_new_session=True)",
        ],
        1,
        "",
    ),
}
# What lies in the folder, and the beginning of its state.
BROKEN = {
    "folder.ipynb": "cannot be read: it is a folder",
    "dangling.ipynb": "cannot be read: No such file",
    "loop.ipynb": "cannot be read: Too many levels",
    "pipe.ipynb": "cannot be read: it is a pipe",
    "closed.ipynb": "",  # depends on whether root runs this
    "half_a_file.ipynb": "cannot be read: it is not JSON",
    "text.ipynb": "cannot be read: it is not JSON",
    "nested.ipynb": "cannot be read: maximum recursion",
    "digits.ipynb": "cannot be read: it is not JSON",
    "format_3.ipynb": "cannot be read: it is not a notebook of format 4",
    "list.ipynb": "cannot be read: it is not a notebook of format 4",
    "huge.ipynb": "cannot be read: it is larger than",
    r"'=1+1\x1b[2J\n| a row |.ipynb": "cannot be read: it is not JSON",
}
# Odd, but a notebook: its answer counts.
ODD = r"M\udcfcller.IPYNB"


def write_broken(folder: Path) -> None:
    (folder / "folder.ipynb").mkdir()
    (folder / "dangling.ipynb").symlink_to("nowhere")
    (folder / "loop.ipynb").symlink_to("loop.ipynb")
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "closed.ipynb").touch(mode=0)
    (folder / "half_a_file.ipynb").write_text('{"cells": [')
    (folder / "text.ipynb").write_bytes(b"print('\xff')")
    (folder / "nested.ipynb").write_text("[" * 100_000)
    (folder / "digits.ipynb").write_text('{"nbformat": %s}' % ("9" * 5000))
    (folder / "format_3.ipynb").write_text('{"worksheets": []}')
    (folder / "list.ipynb").write_text("[]")
    with (folder / "huge.ipynb").open("wb") as file:
        file.truncate(10**9)
    (folder / "=1+1\x1b[2J\n| a row |.ipynb").touch()


def write_odd(folder: Path) -> None:
    """A name that is not UTF-8, format "4.0", a BOM, no ids, absurd numbers."""
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"deep": deep}
    absurd = f"### Exercise {'9' * 5000}.1: a\n\n### Exercise 1.1: b \ud800"
    cells = [
        {"cell_type": "markdown", "source": [absurd], "metadata": deep},
        {"cell_type": "code", "source": "print('\ud800')"},
        {"cell_type": "code", "source": RIGHT.splitlines(keepends=True)},
    ]
    text = json.dumps({"cells": cells, "nbformat": 4.0})
    with open(os.fsencode(folder) + b"/M\xfcller.IPYNB", "wb") as file:
        file.write(b"\xef\xbb\xbf" + text.encode())


def write(path: Path, cells: list[str], **facts: object) -> None:
    for name, fact in facts.items():
        cells = [cell.replace(f"{{{name}!r}}", repr(fact)) for cell in cells]
        cells = [cell.replace(f"{{{name}}}", str(fact)) for cell in cells]
    prose = "### Exercise 1.1: a\n\ntext\n\n### Exercise 1.5: b"
    raw = [{"cell_type": "markdown", "source": prose}]
    raw += [{"cell_type": "code", "source": cell} for cell in cells]
    path.write_text(json.dumps({"cells": raw, "nbformat": 4}))


def snapshot(folder: Path) -> dict[str, object]:
    """The names, modes and times of change of everything in a folder."""
    return {
        path.name: (path.lstat().st_mode, path.lstat().st_ctime_ns)
        for path in [folder, *folder.iterdir()]
    }


@dataclass
class Marked:
    rows: dict[str, dict[str, str]]
    table: str
    printed: str
    sandbox: bool
    unchanged: bool
    connections: list[object]
    processes: list[bytes]
    mark: str


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marked]:
    """One run of the tool, on a console that knows ASCII only."""
    folder = tmp_path_factory.mktemp("submissions")
    to = tmp_path_factory.mktemp("marks")
    mark = f"left-behind-by-{folder.name}-{os.getpid()}"
    in_memory = Path("/dev/shm", mark)
    in_memory.touch()
    server = socket.create_server(("127.0.0.1", 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(to / "socket"))
    local.listen()
    connections: list[object] = []
    facts = {
        "folder": str(folder),
        "port": server.getsockname()[1],
        "socket": str(to / "socket"),
        "shm": mark,
        "pid": os.getpid(),
        "mark": mark,
    }
    for name, (cells, _, _) in (ORDINARY | NASTY).items():
        write(folder / f"{name}.ipynb", cells, **facts)
    write_broken(folder)
    write_odd(folder)
    before = snapshot(folder)
    for listening in (server, local):
        threading.Thread(
            target=lambda s=listening: connections.append(s.accept()), daemon=True
        ).start()
    options = ["--to", to, "--seconds", SECONDS, "--gigabytes", 1.5, "--jobs", 3]
    command = [sys.executable, TOOL, folder, *options]
    ran = subprocess.run(
        list(map(str, command)),
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    assert not ran.stderr
    printed = ran.stdout.decode("ascii")
    with (to / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    yield Marked(
        {row["notebook"].removesuffix(".ipynb"): row for row in rows},
        (to / "marks.md").read_text(encoding="utf-8"),
        printed,
        "runs in a sandbox" in printed,
        snapshot(folder) == before,
        connections,
        [p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()],
        mark,
    )
    server.close()
    local.close()
    in_memory.unlink()


@pytest.mark.parametrize("name", ORDINARY | NASTY)
def test_gets_its_marks(marked: Marked, name: str) -> None:
    _, right, remark = (ORDINARY | NASTY)[name]
    if name == "looks_around" and not marked.sandbox:
        pytest.skip("this system offers no sandbox")
    row = marked.rows[name]
    assert right is None or row["right"] == str(right), row
    for part in remark.split("|"):
        assert part in " ".join(row.values())
    if right is not None and not remark:
        assert (row["state"], row["failed cells"]) == ("ran to the end", "")


def test_odd_entries_have_rows(marked: Marked) -> None:
    for name, state in BROKEN.items():
        row = marked.rows[name.removesuffix(".ipynb")]
        assert row["state"].startswith(state), row
        assert row["right"] == "0"
    assert marked.rows[ODD]["right"] == "1"
    assert marked.rows[ODD]["state"] == "ran to the end"
    assert len(marked.rows) == len(ORDINARY | NASTY | BROKEN) + 1


def test_names_do_not_disturb_table_or_console(marked: Marked) -> None:
    table = marked.table.partition("\n\n")[0].splitlines()
    assert len(table) == len(marked.rows) + 2
    assert len({line.count("|") for line in table}) == 1
    assert "\x1b" not in marked.table + marked.printed
    assert f"[1 of {len(marked.rows)}]" in marked.printed


def test_a_notebook_reaches_nothing_outside(marked: Marked) -> None:
    if not marked.sandbox:
        pytest.skip("this system offers no sandbox")
    assert marked.unchanged
    assert not marked.connections
    assert not any(marked.mark.encode() in command for command in marked.processes)


def test_ctrl_c_ends_promptly_and_keeps_the_marks(tmp_path: Path) -> None:
    folder, to = tmp_path / "handed in", tmp_path / "marks"
    folder.mkdir()
    write(folder / "a.ipynb", [RIGHT])
    write(folder / "b.ipynb", [RIGHT, "import time; time.sleep(600)"])
    write(folder / "c.ipynb", [RIGHT])
    command = [sys.executable, str(TOOL), str(folder), "--to", str(to)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as tool:
        assert tool.stdout
        assert tool.stderr
        while "[1 of 3] a.ipynb: 1 right" not in tool.stdout.readline():
            assert tool.poll() is None
        tool.send_signal(signal.SIGINT)
        tool.wait(10)
        printed, errors = tool.stdout.read(), tool.stderr.read()
    assert tool.returncode == 130
    assert not errors
    assert "Stopped by Ctrl-C" in printed
    table = (to / "marks.md").read_text(encoding="utf-8")
    assert table.partition("\n\n")[0] in printed
    assert [line.count("✓") for line in table.splitlines()[2:5]] == [1, 0, 0]
    assert "c.ipynb  | 0/2   |     |     | not finished" in table


class Windows:
    """A module of Python without what it does not have on Windows."""

    def __init__(self, module: Any, *missing: str) -> None:
        self.module, self.missing = module, missing

    def __getattr__(self, name: str) -> Any:
        if name in self.missing:
            raise AttributeError(f"there is no {name} on Windows")
        return getattr(self.module, name)


def test_marks_without_a_sandbox_and_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, missing = tmp_path / "submissions", tmp_path / "missing"
    for place in (folder, missing):
        place.mkdir()
    child = "import subprocess\nsubprocess.Popen(['sleep', '600'])"
    delete = f"import shutil\nshutil.rmtree({str(folder)!r})"
    write(folder / "a.ipynb", [RIGHT, delete, child])
    write(folder / "b.ipynb", [RIGHT, "import time; time.sleep(600)"])
    for name in ("resource", "fcntl"):
        text = "raise ModuleNotFoundError(name=__name__)"
        (missing / f"{name}.py").write_text(text)
    environment = run_submissions.environment

    def environment_of_windows(home: Path) -> dict[str, str]:
        made = environment(home)
        return {**made, "PYTHONPATH": f"{missing}{os.pathsep}{made['PYTHONPATH']}"}

    def popen(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        assert not {"pass_fds", "preexec_fn", "process_group"} & set(options)
        return subprocess.Popen(*arguments, **options)

    names = ("killpg", "getpgid", "setsid", "fork", "mkfifo", "geteuid", "getuid")
    windows = Windows(subprocess, "Popen")
    monkeypatch.setattr(windows, "Popen", popen, raising=False)
    monkeypatch.setattr(run_submissions, "subprocess", windows)
    monkeypatch.setattr(run_submissions, "os", Windows(os, *names))
    monkeypatch.setattr(run_submissions, "signal", Windows(signal, "SIGKILL"))
    monkeypatch.setattr(run_submissions, "environment", environment_of_windows)
    monkeypatch.setattr(run_submissions, "sandboxed", lambda paths: ["no-unshare-here"])
    before = children()
    assert main([str(folder), "--to", str(tmp_path / "to"), "--seconds", "5"]) == 0
    printed = capsys.readouterr().out
    assert "This system offers no sandbox" in printed
    assert not folder.exists(), "without a sandbox a notebook can do this"
    # But the second one was read before the first one ran.
    assert "a.ipynb: 1 right" in printed
    assert "b.ipynb: 1 right" in printed
    assert "stopped after 5 s" in printed
    assert children() <= before


def children() -> set[int]:
    """The processes that sleep for ten minutes."""
    return {
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"] == ["sleep", "600"]
    }


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every notebook as run at once."""
    monkeypatch.setattr(run_submissions, "sandbox_that_works", lambda: ["a sandbox"])
    monkeypatch.setattr(Runner, "_run", lambda self, marks: "ran to the end")


@pytest.mark.usefixtures("no_processes")
def test_the_folder_is_the_teachers_while_the_tool_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, later = tmp_path / "handed in", '{"cells": []}'
    folder.mkdir()
    for name in "abc":
        write(folder / f"{name}.ipynb", [RIGHT])

    def synchronise(self: Runner, marks: Marks) -> str:
        (folder / "b.ipynb").write_text(later)
        (folder / "c.ipynb").unlink(missing_ok=True)
        return "ran to the end"

    monkeypatch.setattr(Runner, "_run", synchronise)
    assert main([str(folder), "--to", str(tmp_path / "marks")]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.ipynb", "b.ipynb"]
    assert (folder / "b.ipynb").read_text() == later


@pytest.mark.usefixtures("no_processes")
def test_tables_that_cannot_be_written_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locked(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    write(tmp_path / "a.ipynb", [RIGHT])
    monkeypatch.setattr(run_submissions, "save", locked)
    assert main([str(tmp_path), "--to", str(tmp_path / "marks")]) == 1
    printed = capsys.readouterr().out
    assert "cannot be written to" in printed
    assert "Permission denied." in printed
    assert "| a.ipynb  | 0/2   |" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["empty"], "no notebook below empty"),
        (["nowhere"], "nowhere is not a folder"),
        (["full", "--to", "file"], "file cannot be made"),
        (["full", "--to", "file/marks"], "marks cannot be made"),
        (["full", "--jobs", "0"], "--jobs: invalid positive value: '0'"),
        (["full", "--seconds", "nan"], "--seconds: invalid positive value: 'nan'"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("file").touch()
    write(Path("full", "a.ipynb"), [RIGHT])
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err
    assert not Path("marks/marks.csv").exists()


def test_says_that_the_course_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.ipynb", [RIGHT])
    (tmp_path / "course_utils.py").write_text("import no_such_package")
    surroundings = {"PYTHONPATH": str(tmp_path)}
    monkeypatch.setattr(run_submissions, "environment", lambda home: surroundings)
    with pytest.raises(SystemExit, match=r"does not start.* named 'no_such_package'"):
        main([str(tmp_path), "--to", str(tmp_path / "marks")])


def test_a_folder_that_cannot_be_opened_has_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def closed(path: str | Path) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(os, "scandir", closed)
    states = [read_notebook(p, tmp_path).state for p in find_notebooks(tmp_path)]
    assert states == ["cannot be read: Permission denied"]


def test_a_flood_of_reports_is_bounded() -> None:
    lines = [{"cell": 1}, *({"error": "again"} for _ in range(1000))]
    lines += [{"check": "1.1", "verdict": "correct."}, {"check": "x" * 99}]
    text = "\n".join(json.dumps(line) for line in lines) + "\n[[[[\n" + "[" * 200_000
    marks = Marks("a")
    marks.listen(io.BytesIO(text.encode()))
    assert marks.verdicts == {"1.1": "correct."}
    assert len(marks.errors) == run_submissions.MOST_ERRORS
    assert "(and 49 more)" in as_table([marks])
