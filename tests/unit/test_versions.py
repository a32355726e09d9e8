"""A notebook with images replays with another Pillow, one with figures with another matplotlib.

Give two interpreters: ``OAM_PILLOW_A=…/python OAM_PILLOW_B=…/python pytest -m versions``. Each
needs Pillow; with matplotlib as well (and numpy) figures are compared, too.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from openai_magics.images.likeness import NEAR, alike, distance
from tests.unit.pictures import drawing, photograph, saved

PYTHONS = [os.environ.get(f"OAM_PILLOW_{letter}") for letter in "AB"]
pytestmark = [
    pytest.mark.versions,
    pytest.mark.skipif(not all(PYTHONS), reason="OAM_PILLOW_A and OAM_PILLOW_B are not set"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
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
    for python in PYTHONS:
        script = Path(__file__).with_name("versions.py")
        root = str(script.parents[2])
        command = [str(python), str(script), str(folder)]
        environment = {**os.environ, "PYTHONPATH": root}
        ran = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found.append(json.loads(ran.stdout))
    versions = [(each["pillow"], each["matplotlib"]) for each in found]
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
