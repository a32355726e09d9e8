"""What is typed as an image: a variable of the notebook, or a place."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from openai_magics.errors import OptionError
from openai_magics.images.named import named
from tests.unit.pictures import drawing, saved

PICTURE = drawing(4, 3)
NAMES: dict[str, Any] = {
    "picture": PICTURE,
    "several": [drawing(5, 3), drawing(6, 3)],
    "Out": {3: PICTURE},
    "held": {"a key": PICTURE},
    "result": SimpleNamespace(figure=PICTURE, _own=PICTURE),
    "place": "a.png",
    "number": 3,
    "photo": 3,
}


@pytest.mark.parametrize(
    ("typed", "called"),
    [
        pytest.param("picture", ["picture"], id="variable"),
        pytest.param("several", ["several[0]", "several[1]"], id="list"),
        pytest.param("several[1]", ["several[1]"], id="item"),
        pytest.param("several[-1]", ["several[-1]"], id="from the end"),
        pytest.param("Out[3]", ["Out[3]"], id="output"),
        pytest.param("held['a key']", ["held['a key']"], id="key"),
        pytest.param("result.figure", ["result.figure"], id="attribute"),
        pytest.param("place", ["a.png"], id="a path in a variable"),
        pytest.param("a.png", ["a.png"], id="path"),
        pytest.param("photo.jpg", ["photo.jpg"], id="a file before an attribute"),
        pytest.param("plot[0-9].png", ["plot1.png", "plot2.png"], id="pattern"),
        pytest.param("./picture", ["./picture/b.png"], id="a folder called as a variable"),
        pytest.param("https://example.org/a.png", ["https://example.org/a.png"], id="url"),
    ],
)
def test_what_a_word_names(typed: str, called: list[str], tmp_path: Path) -> None:
    """A variable by its name, what it holds by index and attribute, else a place."""
    for name in ("a.png", "photo.jpg", "plot1.png", "plot2.png", "picture/b.png"):
        saved(tmp_path, name, PICTURE)
    assert [item.source.name for item in named([typed], NAMES)] == called


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("pictures", "neither a variable nor a file 'pictures' (did you mean 'picture'?)"),
        ("number", "number: A value of type int is no image"),
        ("Out[4]", "Out[4] cannot be looked up: KeyError"),
        ("several[7]", "IndexError"),
        ("result._own", "no file 'result._own'"),
        ("picture.save('x.png')", "no file"),
        ("gone.png", "no file 'gone.png'"),
    ],
)
def test_what_names_nothing(typed: str, said: str) -> None:
    """The error says what was looked for; nothing is called."""
    with pytest.raises(OptionError) as caught:
        named([typed], NAMES)
    assert said in str(caught.value)


def test_what_is_there_and_no_image_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that could be a variable's: of a folder and the clipboard, what is wrong with them."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(OptionError, match="The folder 'empty' has no image"):
        named(["empty"], {})

    def none() -> None:
        raise NotImplementedError("wl-paste or xclip is required")

    monkeypatch.setattr("PIL.ImageGrab.grabclipboard", none)
    with pytest.raises(OptionError, match="There is no clipboard here"):
        named(["clipboard"], {})
