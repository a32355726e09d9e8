"""A notebook with images and figures: live, and again in a kernel without server, key or Pillow's luck."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kernel.kernels import LOAD, Kernel, Output, environment, loaded, records, same_bytes
from tests.scripted import answer, errors
from tests.scripted.fixtures import serving
from tests.unit.pictures import drawing, encoded, photograph, saved

CELLS = {
    "load": LOAD,
    "make": """\
import matplotlib.pyplot as plt
fig, ax = plt.subplots()
ax.bar(["a", "b"], [1, 3])
plt.close(fig)
from PIL import Image
Image.new("RGB", (30, 20), "teal")""",
    "in a prompt": "%%ask --no-history\nIs {{ fig }} higher than {{ Out[2] }}?",
    "beside": "%%ask --no-history -i photo.jpg -i fig\nWhich is a chart?",
    "one": "%describe photo.jpg -d low -o one",
    "question": "%%describe fig\nHow high is {{ ax.get_ylim()[1] > 1 }} b?",
    "alt": "%describe f/1.png --alt-text -f text",
    "many": "%describe f -o rows",
    "rows": "list(rows.description.isna()), rows.tokens.notna().sum(), _answer is rows",
    "again": "%describe f/*.png --prompt 'Which number is it?'",
    "missing": "%describe f/1.png f/11.png -o found",
    "of it": "list(found.source), list(found.error)[1]",
    "broken": "%describe f/broken.png",
    "pattern": "%describe f/1.png g/*.png",
    "none": "%describe f/gone.png f/away.png",
    "dry": "%describe f photo.jpg f/away.png --dry-run",
    "follow": "%%ask -i photo.jpg\nWhat is it?",
    "later": "%ask And in short?",
}


class Recorded(NamedTuple):
    """A folder with images and a dialogue file, and what the cells showed when it was written."""

    folder: Path
    outputs: dict[str, list[Output]]

    def copy(self, to: Path) -> Path:
        """Copy the images and the dialogue file, and nothing else, to a folder."""
        return Path(shutil.copytree(self.folder / "work", to))


def run_all(kernel: Kernel) -> dict[str, list[Output]]:
    """Run every cell, as Run All does with errors allowed; return their outputs."""
    return {name: kernel.run(code, name).outputs for name, code in CELLS.items()}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Run the notebook live, watched; stop the server."""
    folder = tmp_path_factory.mktemp("images")
    work = folder / "work"
    saved(work, "photo.jpg", photograph(900, 600))
    for n in range(4):
        saved(work, f"f/{n}.png", drawing(60 + n, 40))
    saved(work, "f/broken.png", encoded(photograph(), "PNG")[:600])
    with serving() as server:
        server.script.then(*[f"Answer {n}, **bold**." for n in range(5)])
        server.script.then(errors.server_error())
        with Kernel(work, environment(folder, server.base_url)) as kernel:
            outputs = run_all(kernel)
    failed = [
        name for name, shown in outputs.items() if shown and shown[-1]["output_type"] == "error"
    ]
    assert failed == ["broken", "pattern", "none"], outputs
    return Recorded(folder, outputs)


@pytest.mark.parametrize("watched", [True, False], ids=["watched", "unwatched"])
def test_restart_and_run_all(recorded: Recorded, tmp_path: Path, watched: bool) -> None:
    """Elsewhere, with no server and no key, every cell shows the same bytes; nothing is written."""
    folder = recorded.copy(tmp_path / "elsewhere")
    file = folder / "notebook.dialogue.json"
    kept = file.read_bytes()
    env = environment(tmp_path, OPENAI_MAGICS_MODE="replay" if watched else "auto")
    env |= {"OPENAI_API_KEY": "", "OPENAI_MAGICS_MODEL": "gpt-4o"}
    with Kernel(folder, env, watched=watched) as kernel:
        outputs = run_all(kernel)
        assert kernel.value("'openai' in __import__('sys').modules") is False or not watched
    for name in CELLS:
        if name != "dry":  # tells what this machine would ask
            assert same_bytes(outputs[name]) == same_bytes(recorded.outputs[name]), name
    assert file.read_bytes() == kept


def test_what_is_shown(recorded: Recorded) -> None:
    """One image beside its answer; many as a table, a failed one among them; no bar is left."""
    shown = recorded.outputs
    one = shown["one"][0]["data"]
    assert one["text/plain"].startswith("Answer")
    assert '<img src="data:image/jpeg;base64,' in one["text/html"]
    assert "<strong>bold</strong>" in one["text/html"]
    many = shown["many"]
    assert [each["output_type"] for each in many] == ["display_data"]
    assert "5 images, 1 failed" in many[0]["data"]["text/plain"]
    assert "Describing" not in json.dumps(shown)
    assert "cut off" in shown["broken"][0]["evalue"]
    assert "2 images, 1 failed" in shown["missing"][0]["data"]["text/plain"]
    told = shown["of it"][0]["data"]["text/plain"]
    assert "['f/1.png', 'f/11.png']" in told
    assert "There is no file 'f/11.png' (did you mean '1.png'?)" in told
    assert "No image matches 'g/*.png'" in shown["pattern"][0]["evalue"]
    assert "There is no file 'f/gone.png'" in shown["none"][0]["evalue"]
    would = shown["dry"][0]["data"]["text/plain"]
    assert "f/away.png: There is no file 'f/away.png'" in would
    assert "900 x 600 pixels" in would


def test_what_is_kept(recorded: Recorded) -> None:
    """Images by what the notebook holds: hashes and names, no bytes but small pictures."""
    file = recorded.folder / "work" / "notebook.dialogue.json"
    for record in records(file):
        text = json.dumps(record["request"]["messages"])
        assert "base64" not in text
        assert len(text) < 1500
        for image in record["request"]["resolved"].get("images", ()):
            assert len(image.get("thumbnail", "")) < 9000
    kinds = {record["kind"] for record in records(file)}
    assert kinds == {"ask", "describe"}


def test_the_bar_is_seen_while_it_matters(tmp_path: Path) -> None:
    """While many are described a bar grows in one place, and the table takes it in the end."""
    for n in range(6):
        saved(tmp_path, f"f/{n}.png", drawing(60 + n, 40))
    with serving() as server:
        server.script.always(answer("Fine.", first_delay=0.1))
        with loaded(tmp_path, environment(tmp_path, server.base_url)) as kernel:
            ran = kernel.ok("%describe f --concurrency 2", "c")
            updates = ran.of("display_data") + ran.of("update_display_data")
            seen = [each["data"]["text/plain"] for each in updates]
            assert any("of 6" in text and "█" in text for text in seen)
            (output,) = ran.outputs
            assert output["data"]["text/plain"].startswith("6 images")


def test_tab(tmp_path: Path) -> None:
    """Paths, and variables that may be images, complete after %describe and -i."""
    saved(tmp_path, "folder/photo.png", drawing(9, 9))
    saved(tmp_path, "photo.png", drawing(9, 9))
    saved(tmp_path, "phone.txt", b"x")
    with loaded(tmp_path, environment(tmp_path)) as kernel:
        kernel.ok("from PIL import Image\nphoenix = Image.new('L', (3, 3)); number = 3")
        assert kernel.complete("%describe ph") == ["phoenix", "photo.png"]
        assert kernel.complete("%%describe folder/") == ["folder/photo.png"]
        assert kernel.complete("%describe fo") == ["folder/"]
        assert kernel.complete("%ask -i pho") == ["phoenix", "photo.png"]
        assert kernel.complete("%describe photo.png -d ") == ["auto", "high", "low", "original"]
        page = kernel.ok("%describe?")
        assert "alternative text" in json.dumps(page.reply["payload"])
