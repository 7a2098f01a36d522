"""The tool that runs the chapters and stores their outputs in one form."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import run_notebooks
from canonical_form import (
    NotebookError,
    faults,
    library,
    normalise,
    parse,
    serialise,
    tidy_traceback,
)
from run_notebooks import main

Cells = list[dict[str, Any]]

PLOT = """\
import matplotlib.pyplot as plt

print("before")
plt.plot([1, 2])
plt.show()
print("after")
"""


def code(source: str, *outputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "source": source, "outputs": list(outputs)}
    return cell | {"execution_count": None, "metadata": {}} | more


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def raw(cells: Cells, **metadata: Any) -> str:
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": metadata}
    return json.dumps(notebook | {"cells": cells})


def settled(*cells: dict[str, Any], **metadata: Any) -> Any:
    """The notebook in canonical form, as plain JSON with joined lines."""
    return normalise(parse(raw(list(cells), **metadata)))


def png(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, format="png")
    return base64.b64encode(content.getvalue()).decode()


def write(folder: Path, *cells: dict[str, Any], name: str = "chapter.ipynb") -> Path:
    path = folder / name
    path.write_text(raw(list(cells)), encoding="utf-8")
    return path


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    cells = parse(path.read_text(encoding="utf-8")).cells
    return [cell.outputs for cell in cells if cell.cell_type == "code"]


# The canonical form.


def test_the_canonical_form_is_its_own_canonical_form() -> None:
    cell = code("1  \n", stream("a"), stream("b\rc"), metadata={"tags": ["x"]})
    once = settled(cell)
    assert serialise(normalise(once)) == serialise(once)
    assert serialise(normalise(parse(serialise(once)))) == serialise(once)


def test_missing_and_repeated_ids_are_given_once_and_for_all() -> None:
    cells = [code("1"), code("1"), code("1", id="mine"), code("1", id="mine")]
    ids = [cell.id for cell in settled(*cells).cells]
    assert len(set(ids)) == 4
    assert ids[2] == "mine"
    assert ids == [cell.id for cell in settled(*cells).cells]


def test_only_metadata_with_a_meaning_is_kept() -> None:
    kept = {"tags": ["hide-cell"], "cellView": "form", "jupyter": {"a": True}}
    dropped = {"execution": {"start": "now"}, "scrolled": True, "id": "x"}
    cell = settled(code("1", metadata=kept | dropped)).cells[0]
    assert cell.metadata == kept


def test_versions_and_widgets_leave_the_metadata_and_a_wish_for_a_gpu_stays() -> None:
    notebook = settled(
        language_info={"name": "python", "version": "3.11.7"},
        kernelspec={"name": "mine", "display_name": "Mine"},
        widgets={"state": {}},
        accelerator="GPU",
    )
    assert set(notebook.metadata) == {"kernelspec", "language_info", "accelerator"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert "version" not in notebook.metadata.language_info


def test_a_picture_is_stored_with_few_colours_and_only_reduced_once() -> None:
    picture = png(Image.effect_noise((64, 64), 50).convert("RGB"))
    figure = {"output_type": "display_data", "metadata": {}}
    once = settled(code("", figure | {"data": {"image/png": picture}})).cells[0].outputs
    assert len(once[0].data["image/png"]) < len(picture)
    assert settled(code("", once[0])).cells[0].outputs == once


def test_printed_pieces_are_joined_but_not_across_a_figure() -> None:
    figure: dict[str, Any] = {"output_type": "display_data", "metadata": {}}
    figure["data"] = {"image/png": png(Image.new("RGB", (1, 1)))}
    cell = code("", stream("a"), stream("b"), figure, stream("c"))
    found = settled(cell).cells[0].outputs
    assert [output.get("text") for output in found] == ["ab", None, "c"]


def test_of_a_progress_bar_the_last_state_stays() -> None:
    cell = settled(code("", stream("\r 10%"), stream("\r 99%\n"))).cells[0]
    assert cell.outputs[0].text == " 99%\n"


def test_live_widgets_are_dropped_and_what_stands_in_for_them_is_kept() -> None:
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    data = [view | {"text/plain": "IntSlider()"}, view | {"text/html": "<b>x</b>"}]
    shown = [
        {"output_type": "display_data", "metadata": {}, "data": part} for part in data
    ]
    found = settled(code("", *shown)).cells[0].outputs
    assert [output.data for output in found] == [{"text/html": "<b>x</b>"}]


def test_a_traceback_keeps_the_notebook_s_frames_and_names_the_library() -> None:
    frames = [
        "\x1b[31mCell In[1]\x1b[39m, line 1\n----> 1 net(x)\n",
        "File \x1b[32m/a/lib/python3.11/site-packages/torch/nn/m.py:7\x1b[39m, in f\n",
        "File /a/lib/python3.11/site-packages/torch/nn/n.py:9, in g\n",
        "RuntimeError: shapes",
    ]
    assert tidy_traceback(frames) == [
        "Cell In[1], line 1\n----> 1 net(x)\n",
        "    ... inside torch ...\n",
        "RuntimeError: shapes",
    ]


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        ("File /a/python3.11/site-packages/PIL/Image.py:36, in open(fp)", "PIL"),
        ("File ~/x/lib/python3.11/json/__init__.py:346, in loads(s)", "json"),
        ("File C:\\a\\Lib\\site-packages\\torch\\nn.py:7, in f()", "torch"),
        ("File /x/course_utils/answers/exercises.py:7, in f()", "course_utils"),
        ("File /x/script.py:7, in f()", "script.py"),
        ("File <string>:1", "<string>"),
    ],
)
def test_a_library_is_named_without_its_place(frame: str, name: str) -> None:
    assert library(frame) == name


# What --check finds.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "notebook of format 4"),
        ('{"nbformat": 3, "worksheets": []}', "notebook of format 4"),
        ('{"nbformat": 4, "cells": [1]}', "is not a valid notebook"),
        ('{"nbformat": 4, "metadata": {}, "cells": [{}]}', "is not a valid notebook"),
    ],
)
def test_a_file_that_is_no_notebook_gives_one_sentence(text: str, message: str) -> None:
    with pytest.raises(NotebookError, match=message) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_cells_must_have_run_in_order() -> None:
    cells = [code("a", execution_count=2), code("b")]
    found = faults(serialise(settled(*cells)))
    assert "cell 1 (`a`) has the count [2] instead of [1]" in found[0]
    assert found[1] == "cell 2 (`b`) has not been run."


def test_stderr_may_not_be_stored() -> None:
    cell = code("a", stream("careful!\n", "stderr"), execution_count=1)
    assert "writes to stderr" in faults(serialise(settled(cell)))[0]


def test_check_says_what_is_wrong_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, code("1"))
    before = path.read_bytes()
    assert main(["--check", str(path)]) == 1
    assert "chapter.ipynb: cell 1 (`1`) has not been run." in capsys.readouterr().out
    assert path.read_bytes() == before


def test_no_notebooks_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(run_notebooks, "NOTEBOOKS", tmp_path)
    assert main([]) == 1
    assert "no notebooks" in capsys.readouterr().out


# Running, with real kernels.


def test_two_runs_leave_no_difference(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREETING", "hello")
    (tmp_path / "beside.txt").write_text("found")
    failing = code("1 / 0", metadata={"tags": ["raises-exception"]})
    beside = code("import os\nopen('beside.txt').read() + os.environ['GREETING']")
    path = write(tmp_path, code(PLOT), failing, beside)
    assert main([str(path)]) == 0
    first = path.read_bytes()
    assert main([str(path)]) == 0
    assert path.read_bytes() == first
    assert main(["--check", str(path)]) == 0
    assert "chapter.ipynb: ran in" in capsys.readouterr().out
    assert not [name for name in tmp_path.iterdir() if name.name.startswith(".")]

    plot, error, last = outputs(path)
    picture = base64.b64decode(plot[1]["data"]["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert b"Matplotlib" not in picture
    assert [output.get("text") for output in plot] == ["before\n", None, "after\n"]
    assert error[0]["ename"] == "ZeroDivisionError"
    assert last[0]["data"]["text/plain"] == "'foundhello'"


def test_a_failure_leaves_the_file_and_goes_on_with_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path, code("1"), code("# divide\n1 / 0"), name="bad.ipynb")
    good = write(tmp_path, code("1"), name="good.ipynb")
    before = bad.read_bytes()
    assert main([str(bad), str(tmp_path / "missing.ipynb"), str(good)]) == 1
    lines = capsys.readouterr().out.splitlines()
    problem = "cell 2 (`# divide`) failed with ZeroDivisionError: division by zero"
    assert lines[0] == f"bad.ipynb: {problem}"
    assert lines[1] == "missing.ipynb: cannot be read: no such file or directory."
    assert lines[2].startswith("good.ipynb: ran in")
    assert bad.read_bytes() == before
    assert outputs(good) != [[]]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os\nos._exit(1)", "the kernel died in cell 1 (`import os`)"),
        ("import time\ntime.sleep(60)", "cell 1 (`import time`) was stopped after 2 s"),
        (
            "import sys\nprint(1, file=sys.stderr)",
            "cell 1 (`import sys`) writes",
        ),
    ],
    ids=["dead kernel", "hanging cell", "stderr"],
)
def test_what_cannot_be_stored_gives_one_sentence(
    source: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, code(source))
    before = path.read_bytes()
    assert main(["--timeout", "2", str(path)]) == 1
    printed = capsys.readouterr()
    assert message in printed.out
    assert printed.out.count("\n") == 1
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_gives_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_notebooks, "save", refuse)
    assert main([str(write(tmp_path, code("1")))]) == 1
    printed = capsys.readouterr().out
    assert printed == "chapter.ipynb: cannot be written: permission denied.\n"


def test_an_edit_made_during_the_run_is_not_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, code("open('chapter.ipynb', 'a').write(' ')"))
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert "was edited while it ran" in capsys.readouterr().out
    assert path.read_bytes() == before + b" "
