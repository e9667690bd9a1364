"""Make the small pictures of the READMEs from the figures of a run.

    python tests/benchmarks/pictures.py --plots-dir stars_255

Writes `plots/readme/<name>.png`, at most 1000 pixels wide and 200 kB, and lists them with their
captions in `plots/README.md`.
"""

import argparse
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from exoplanets.figures.captions import CAPTIONS
from exoplanets.files import DataError, atomic_write, run, say

WIDTH = 1000  # pixels
LARGEST = 200_000  # bytes
ABOUT = """# Figures

The scripts save their figures here, 150 dots per inch, with the data they were made of named in the
corner; step 4 also writes `results.md` and `results.tex` (tables for a report) and `index.html`, a
page with all of it. `--predict --plots` writes a page per star into `stars/`.

The pictures below are of the 255 real stars of the main README. Blue is a non-host, orange a host.
"""


def shrink(figure, path):
    """Write a small copy of a figure; 256 colours, and fewer pixels until it is small enough."""
    with Image.open(figure) as image:
        image = image.convert("RGB")
    for width in (WIDTH, 850, 700, 550):
        size = (width, round(image.height * width / image.width))
        small = image.resize(size, Image.Resampling.LANCZOS)
        small = small.quantize(256, Image.Quantize.FASTOCTREE)  # keeps the colours of thin lines
        with atomic_write(path) as temporary:
            small.save(temporary, optimize=True)
        if path.stat().st_size <= LARGEST:
            return


def describe_figures(names):
    """The text of `plots/README.md`, with the pictures that there are."""
    lines = [ABOUT]
    for title, captions in CAPTIONS.items():
        lines.append(f"## {title}\n")
        for name, caption in captions.items():
            picture = f"![{name}](readme/{name}.png)\n\n" if name in names else ""
            lines.append(f"### {name}.png\n\n{picture}{caption}\n")
    return "\n".join(lines)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plots-dir", type=Path, required=True, help="figures of a finished run")
    args = parser.parse_args(argv)
    folder = ROOT / "plots" / "readme"
    folder.mkdir(exist_ok=True)
    names = [name for captions in CAPTIONS.values() for name in captions]
    for name in names:
        figure = args.plots_dir / f"{name}.png"
        if not figure.is_file():
            raise DataError(f"'{figure}' is missing: run the four scripts with this --plots-dir")
        shrink(figure, folder / figure.name)
        say(f"{folder / figure.name}: {(folder / figure.name).stat().st_size / 1000:.0f} kB")
    with atomic_write(ROOT / "plots" / "README.md") as temporary:
        temporary.write_text(describe_figures(names))


if __name__ == "__main__":
    run(main)
