"""A folder of thirty submitted notebooks, a third of them nasty, is marked right."""

import csv
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

import walls
from canonical_form import serialise
from run_submissions import Marks, as_table, main, run_all

SECONDS = 45  # enough for importing PyTorch beside other tests
RIGHT = 'from course_utils import check\ncheck("1.1", (8, 7, 6))'
STUB = 'from course_utils import check\ncheck("1.1", ...)'
ELSE = 'check("1.5", 8.0)'
WRONG = 'check("1.5", 9.0)'
FAILS = "undefined_name + 1"

# Twenty ordinary ones: the cells, what is right, and what the remarks must say.
ORDINARY = {
    "all_right": ([RIGHT, ELSE], 2, ""),
    "one_wrong": ([RIGHT, WRONG], 1, ""),
    "not_begun": ([STUB], 0, ""),
    "fails_in_between": ([RIGHT, FAILS, ELSE], 2, "cell 2: NameError"),
    "no_python": ([RIGHT, "this is no Python", ELSE], 2, "cell 2: SyntaxError"),
    "second_try": ([STUB, RIGHT, WRONG, ELSE], 2, ""),
    "nothing_in_it": ([], 0, ""),
    "no_such_exercise": ([RIGHT, 'check("99.1", 1)'], 1, "there is no exercise"),
    "magic": (["%matplotlib inline\n!echo hello", RIGHT], 1, ""),
    "leaves_by_exit": ([RIGHT, "raise SystemExit", ELSE], 2, "SystemExit"),
}
DELETE = f"import shutil\nshutil.rmtree({{folder!r}}, ignore_errors=True)\n{RIGHT}"
NASTY = {
    "hangs": ([RIGHT, "while True:\n    pass", ELSE], 1, "stopped after"),
    "cannot_be_interrupted": (
        [
            RIGHT,
            "import signal\n"
            "for n in (2, 15): signal.signal(n, signal.SIG_IGN)\n"
            "while True:\n"
            "    try:\n"
            "        while True: pass\n"
            "    except BaseException: pass",
        ],
        1,
        "stopped after",
    ),
    "prints_for_ever": ([RIGHT, "while True: print('x' * 10000)"], 1, "cell 2: "),
    "ends_the_process": ([RIGHT, "import os; os._exit(0)", ELSE], 1, "ended its own"),
    "crashes": ([RIGHT, "import ctypes; ctypes.string_at(0)"], 1, "died (SIGSEGV)"),
    "eats_memory": (
        [RIGHT, "big = [bytearray(10**8) for _ in range(1000)]", ELSE],
        2,
        "MemoryError",
    ),
    "fills_the_disk": (
        [RIGHT, "f = open('big', 'wb'); f.seek(2 * 10**9); f.write(b'x'); f.flush()"],
        1,
        "cell 2: OSError",
    ),
    "deletes_the_others": ([DELETE, ELSE], 2, None),
    "pretends": (["print('✓ Exercise 1.1: correct.')"], 0, ""),
    "waits_for_input": ([RIGHT, "input('your name?')", ELSE], 2, "cell 2: "),
    "calls_home": (
        ["import socket\nsocket.create_connection(('127.0.0.1', {port}), 5)", ELSE],
        0,
        "cell 1: ",
    ),
    "kills_its_parent": (
        [RIGHT, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", ELSE],
        None,
        None,
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
BROKEN = {"half_a_file": '{"cells": [', "not_json": "print('hello')"}


@dataclass
class Marked:
    folder: Path
    files: dict[str, bytes]
    marks: dict[str, Marks]
    connections: list[object]
    mark: str
    wall: list[str]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marked]:
    folder = tmp_path_factory.mktemp("submissions")
    mark = f"left-behind-by-{folder.name}-{os.getpid()}"
    server = socket.create_server(("127.0.0.1", 0))
    connections: list[object] = []

    def accept() -> None:
        while True:
            try:
                connections.append(server.accept())
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    facts = {
        "{folder!r}": repr(str(folder)),
        "{port}": str(server.getsockname()[1]),
        "{mark!r}": repr(mark),
    }
    ordinary = ORDINARY | {f"{name}_again": case for name, case in ORDINARY.items()}
    for name, (cells, _, _) in (ordinary | NASTY).items():
        write(folder / f"{name}.ipynb", cells, facts)
    for name, text in BROKEN.items():
        (folder / f"{name}.ipynb").write_text(text)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(files) >= 30
    wall = walls.around_a_process()
    found = {m.name[:-6]: m for m in run_all(folder, SECONDS, 4, wall, jobs=4)}
    yield Marked(folder, files, found, connections, mark, wall)
    server.close()


def write(path: Path, cells: list[str], facts: dict[str, str] | None = None) -> None:
    for place, fact in (facts or {}).items():
        cells = [cell.replace(place, fact) for cell in cells]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell("### Exercise 1.1\n\n### Exercise 1.5")
    ]
    notebook.cells[0].source = "### Exercise 1.1: a\n\ntext\n\n### Exercise 1.5: b"
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.write_text(serialise(notebook), encoding="utf-8")


CASES = {**ORDINARY, **{f"{n}_again": case for n, case in ORDINARY.items()}, **NASTY}


@pytest.mark.parametrize("name", CASES)
def test_gets_its_marks(marked: Marked, name: str) -> None:
    _, right, remark = CASES[name]
    marks = marked.marks[name]
    said = f"{marks.state}; {marks.errors}"
    assert right is None or marks.score == right, said
    if remark:
        assert remark in said
    elif remark == "":
        assert (marks.state, marks.errors) == (Marks.state, [])


@pytest.mark.parametrize("name", BROKEN)
def test_says_what_is_no_notebook(marked: Marked, name: str) -> None:
    assert marked.marks[name].state.startswith("is no notebook: it is not JSON")


def test_no_file_is_lost_or_changed(marked: Marked) -> None:
    assert {p.name: p.read_bytes() for p in marked.folder.iterdir()} == marked.files


def test_nothing_is_left_running(marked: Marked) -> None:
    if not marked.wall:
        pytest.skip("needs namespaces, which this system does not allow")
    commands = [
        p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists()
    ]
    assert not any(marked.mark.encode() in command for command in commands)


def test_nobody_reaches_the_network(marked: Marked) -> None:
    if not marked.wall and walls.landlock_version() < 4:
        pytest.skip("needs namespaces or Landlock 4, which this system does not have")
    assert not marked.connections


def test_the_files_are_there_even_without_walls(tmp_path: Path) -> None:
    folder = tmp_path / "submissions"
    folder.mkdir()
    delete = f"import shutil\nshutil.rmtree({str(folder)!r}, ignore_errors=True)"
    for name in ("a", "b"):
        write(folder / f"{name}.ipynb", [delete, RIGHT])
    before = {path: path.read_bytes() for path in folder.iterdir()}
    found = list(run_all(folder, SECONDS, 4, wall=[]))
    assert [marks.score for marks in found] == [1, 1]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_files_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, to = tmp_path / "handed in", tmp_path / "marks"
    (folder / "group 1").mkdir(parents=True)
    write(folder / "group 1" / "=SUM(A1).ipynb", [RIGHT, FAILS, WRONG])
    write(folder / "=1+1.ipynb", [])
    arguments = [str(folder), "--to", str(to), "--seconds", str(SECONDS)]
    assert main(arguments) == 0
    with (to / "marks.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["notebook"] for row in rows] == [
        "'=1+1.ipynb",  # or a spreadsheet would calculate it
        "group 1/=SUM(A1).ipynb",
    ]
    assert rows[1]["1.1"] == "correct."
    assert rows[1]["1.5"].startswith("not quite.")
    assert "NameError" in rows[1]["failed cells"]
    table = (to / "marks.md").read_text(encoding="utf-8")
    assert "| ✓   | ✗   | cell 2: NameError" in table
    assert table.splitlines()[0] in capsys.readouterr().out


def test_an_empty_folder_and_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--to", str(tmp_path / "marks")]) == 1
    assert "no notebook below" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err


def test_a_bar_in_a_name_does_not_break_the_table() -> None:
    lines = as_table([Marks("a|b.ipynb", ["1.1"])]).splitlines()
    assert {line.count("|") for line in lines} == {5}
