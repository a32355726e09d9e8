"""A notebook with images replays with another Pillow, one with figures with another matplotlib.

The other versions are fetched into a folder of their own that goes before this environment's,
for the same interpreter. To compare two interpreters in place of that:
``OAM_PILLOW_A=…/python OAM_PILLOW_B=…/python pytest -m versions``. Each needs Pillow; with
matplotlib as well (and numpy) figures are compared, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openai_magics.images.likeness import NEAR, alike, distance
from tests.scripted import ScriptedServer
from tests.unit.pictures import drawing, photograph, saved

PYTHONS = [os.environ.get(f"OAM_PILLOW_{letter}") for letter in "AB"]
OLDER = ("pillow==11.0.0", "matplotlib==3.9.2")
pytestmark = [pytest.mark.versions]


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Two interpreters, each with what goes before its own packages."""
    folder = tmp_path_factory.mktemp("older")
    if all(PYTHONS):
        return [(str(python), "") for python in PYTHONS]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    wanted = ["--no-deps", "--only-binary", ":all:", "--target", str(folder), *OLDER]
    ran = subprocess.run([*install, *wanted], capture_output=True, text=True, timeout=100)
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or ["pip failed"]
        pytest.skip(f"{' and '.join(OLDER)} cannot be had here: {last[0]}")
    return [(sys.executable, ""), (sys.executable, str(folder))]


def surroundings(before: str, root: str, folder: Path) -> dict[str, str]:
    """Return the environment in which packages in *before* go first."""
    paths = os.pathsep.join(filter(None, (before, root)))
    return {**os.environ, "PYTHONPATH": paths, "MPLCONFIGDIR": str(folder.parent)}


@pytest.fixture(scope="module")
def both(
    tmp_path_factory: pytest.TempPathFactory, interpreters: list[tuple[str, str]]
) -> list[dict[str, Any]]:
    """What each of the two makes of the same files, and of figures of its own."""
    folder = tmp_path_factory.mktemp("files")
    photo, lines = photograph(1600, 1200), drawing(1600, 1200)
    exif = Image.Exif()
    exif[0x0112] = 6
    saved(folder, "photo.jpg", photo, quality=90, exif=exif)
    saved(folder, "progressive.jpg", photo, progressive=True, subsampling=0)
    saved(folder, "cmyk.jpg", photo.convert("CMYK"))
    saved(folder, "grey.jpg", photo.convert("L"))
    saved(folder, "lines.png", lines)
    saved(folder, "palette.png", lines.quantize(16), transparency=3)
    saved(folder, "clear.png", lines.convert("RGBA"))
    deep = np.tile(np.arange(0, 65_536, 256, dtype=np.uint16), (64, 1))
    saved(folder, "deep.png", Image.fromarray(deep))
    saved(folder, "bit.png", lines.convert("1"))
    saved(folder, "still.gif", lines)
    saved(folder, "moving.gif", lines, save_all=True, append_images=[photo])
    saved(folder, "lossless.webp", lines, lossless=True)
    saved(folder, "lossy.webp", photo)
    saved(folder, "scan.tif", lines.convert("L"), compression="tiff_lzw")
    found = []
    for python, before in interpreters:
        script = Path(__file__).with_name("versions.py")
        root = str(script.parents[2])
        command = [python, str(script), str(folder)]
        ran = subprocess.run(
            command, env=surroundings(before, root, folder), capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        found.append(json.loads(ran.stdout))
    versions = [(each["pillow"], each["matplotlib"]) for each in found]
    assert versions[0] != versions[1]
    print(f"\nPillow and matplotlib: {versions}")
    return found


@pytest.mark.parametrize("held", ["files", "opened"])
def test_the_fingerprint_of_a_request_does_not_depend_on_pillow(
    both: list[dict[str, Any]], held: str
) -> None:
    """Of files by their bytes, and of pictures that the notebook opened by their pixels."""
    one, other = (each[held] for each in both)
    assert {name: each["fingerprint"] for name, each in one.items()} == {
        name: each["fingerprint"] for name, each in other.items()
    }


def test_what_is_sent_is_the_same_picture(both: list[dict[str, Any]]) -> None:
    """Type and size are the same, the look is, too; the bytes need not be."""
    one, other = (each["files"] for each in both)
    for name, each in one.items():
        assert each["sent"] == other[name]["sent"], name
        assert distance(each["phash"], other[name]["phash"]) <= 2, name


def test_figures_are_alike_with_another_matplotlib(both: list[dict[str, Any]]) -> None:
    """Their pixels differ, their content does not; those of other data are never alike."""
    one, other = (each["figures"] for each in both)
    if not one or not other:
        pytest.skip("matplotlib is not in both")
    distances = {name: distance(one[name]["phash"], other[name]["phash"]) for name in one}
    same = sum(one[name]["fingerprint"] == other[name]["fingerprint"] for name in one)
    print(f"\n{same} of {len(one)} have the same pixels; distances: {distances}")
    assert max(distances.values()) <= NEAR
    assert [name for name in one if not alike(one[name]["likeness"], other[name]["likeness"])] == []
    for name in (name[:-2] for name in one if name.endswith(" 0")):
        assert not alike(one[f"{name} 0"]["likeness"], other[f"{name} 1"]["likeness"]), name
        assert not alike(one[f"{name} 1"]["likeness"], other[f"{name} 0"]["likeness"]), name


NOTEBOOK = """
import sys
import matplotlib as mpl; mpl.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image
from openai_magics import Session
session = Session("gpt-4o", dialogue_log_path="a.dialogue.json", mode=sys.argv[1],
                  base_url=sys.argv[2], api_key="sk-test-0123456789")
figure, axes = plt.subplots()
axes.plot([1, 3, 2], label="measured")
axes.legend()
axes.set_title("A day in May")
said = [session.ask("What does it show?", images=figure),
        session.ask(["And ", Image.open("photo.jpg"), "?"]),
        session.ask("Which came first?"),
        session.describe_image("photo.jpg")]
print([(each.text, each.id) for each in said])
"""


def test_a_notebook_replays_with_other_versions(
    interpreters: list[tuple[str, str]], scripted: ScriptedServer, tmp_path: Path
) -> None:
    """Recorded with one Pillow and matplotlib, replayed with the others: the same, nothing asked."""
    saved(tmp_path, "photo.jpg", photograph(400, 300))
    root = str(Path(__file__).parents[2])
    told = []
    for mode, (python, before) in zip(("auto", "replay"), interpreters, strict=True):
        command = [python, "-c", NOTEBOOK, mode, scripted.base_url]
        env = surroundings(before, root, tmp_path)
        ran = subprocess.run(command, env=env, capture_output=True, text=True, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        told.append(ran.stdout)
        assert len(scripted.requests) == 4
    assert told[0] == told[1]
    assert "drawn otherwise" in ran.stderr
