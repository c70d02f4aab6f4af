"""Writes the pictures that the page offers to try; run it after a change here.

python -m scripts.draw_page_examples
"""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "page" / "src" / "picture" / "examples"


def draw_digit() -> Image.Image:
    """Return a handwritten 5: white on black, as LeNet's digits are."""
    picture = Image.new("L", (560, 560), 0)
    pen = ImageDraw.Draw(picture)
    strokes = (
        [(370, 120), (215, 130), (195, 265)],
        [(195, 265), (270, 235), (345, 265), (385, 335), (360, 410), (285, 450), (180, 425)],
    )
    for stroke in strokes:
        pen.line(stroke, fill=255, width=46, joint="curve")
        for x, y in stroke:  # round ends
            pen.ellipse((x - 23, y - 23, x + 23, y + 23), fill=255)
    return picture.resize((140, 140), Image.Resampling.LANCZOS)


def draw_shapes() -> Image.Image:
    """Return edges, colours and gratings, which filters of a first layer tell apart."""
    size = 256
    y, x = np.mgrid[0:size, 0:size]
    pixels = np.full((size, size, 3), 236, np.uint8)
    disc = (x - 72) ** 2 + (y - 72) ** 2 < 52**2
    pixels[disc] = (208, 64, 52)
    pixels[24:120, 144:240] = (46, 98, 200)
    triangle = (y > 144) & (y < 236) & (np.abs(x - 72) < (y - 144) * 0.6)
    pixels[triangle] = (46, 150, 84)
    waves = (128 + 110 * np.sin((x[140:240, 140:240] + y[140:240, 140:240]) / 3.2)).astype(np.uint8)
    pixels[140:240, 140:240] = waves[..., np.newaxis]
    return Image.fromarray(pixels)


def main() -> None:
    """Write the examples; the landscape is the one that the documentation uses."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "examples" / "picture.jpg", FOLDER / "landscape.jpg")
    draw_digit().save(FOLDER / "digit.png", optimize=True)
    draw_shapes().save(FOLDER / "shapes.png", optimize=True)


if __name__ == "__main__":
    main()
