"""Draw the course's logo and favicon: an eye, half pixels and half curve.

    python tools/draw_logo.py

The left half shows the eye as an average over each cell of a grid, which is what a
camera does; the right half shows the curve that we see in it. Both files come out
the same on every machine.
"""

from pathlib import Path

from PIL import Image

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"

# The tile brings its own background, so the logo reads on a light and a dark page.
TILE, WHITE, IRIS, PUPIL = "#16324f", "#ffffff", "#f2a541", "#0b1b2b"
CENTRE = 32.0  # of a drawing 64 units wide
CELL = 4  # side of one pixel of the left half
LID_RADIUS, LID_SHIFT = 29.1, 13.1  # two circles; the eye is where they overlap
IRIS_RADIUS, PUPIL_RADIUS, GLINT_RADIUS = 12.0, 6.0, 2.2
GLINT = (36.0, 28.0)

# At 16 pixels a side no average is sharp enough: the favicon is set by hand.
ICON = """\
 ..............
................
................
................
.....######.....
...###oooo###...
..##oo#xxxoo##..
.###ooxxxxoo###.
.###ooxxxxoo###.
..##ooxxxxoo##..
...###oooo###...
.....######.....
................
................
................
 .............. """
ICON_COLOURS = {".": TILE, "#": WHITE, "o": IRIS, "x": PUPIL, " ": ""}
ICON_SCALE = 3  # 48 pixels, which browsers shrink to 16 without blurring


def colour_at(x: float, y: float) -> str:
    """Return the colour of the smooth eye at one point."""
    from_centre = (x - CENTRE) ** 2 + (y - CENTRE) ** 2
    if (x - CENTRE) ** 2 + (abs(y - CENTRE) + LID_SHIFT) ** 2 > LID_RADIUS**2:
        return TILE
    if from_centre <= PUPIL_RADIUS**2:
        return PUPIL
    return IRIS if from_centre <= IRIS_RADIUS**2 else WHITE


def channels(colour: str) -> tuple[int, int, int]:
    """Split #rrggbb into its three numbers."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def average_colour(left: int, top: int, samples: int = 8) -> str:
    """Average the eye over one cell of the grid."""
    steps = [(index + 0.5) * CELL / samples for index in range(samples)]
    seen = [channels(colour_at(left + dx, top + dy)) for dx in steps for dy in steps]
    return "#" + "".join(
        f"{round(sum(c) / len(seen)):02x}" for c in zip(*seen, strict=True)
    )


def pixels() -> str:
    """Draw the left half, one square for each cell that holds part of the eye."""
    squares = []
    for top in range(0, 64, CELL):
        for left in range(0, 32, CELL):
            colour = average_colour(left, top)
            if colour != TILE:
                squares.append(
                    f'<rect x="{left + 0.2}" y="{top + 0.2}" '
                    f'width="{CELL - 0.4}" height="{CELL - 0.4}" fill="{colour}"/>'
                )
    return "\n".join(squares)


def curves() -> str:
    """Draw the right half, cut off at the centre line."""
    lids = f"M6 32A{LID_RADIUS} {LID_RADIUS} 0 0 1 58 32"
    lids += f"A{LID_RADIUS} {LID_RADIUS} 0 0 1 6 32Z"
    circles = [
        f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'
        for x, y, radius, colour in (
            (CENTRE, CENTRE, IRIS_RADIUS, IRIS),
            (CENTRE, CENTRE, PUPIL_RADIUS, PUPIL),
            (*GLINT, GLINT_RADIUS, WHITE),
        )
    ]
    return "\n".join(
        (
            '<clipPath id="right"><path d="M32 0H64V64H32Z"/></clipPath>',
            '<g clip-path="url(#right)">',
            f'<path d="{lids}" fill="{WHITE}"/>',
            *circles,
            "</g>",
        )
    )


def logo() -> str:
    """Return the logo as SVG."""
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="64" height="64">
<rect width="64" height="64" rx="12" fill="{TILE}"/>
{pixels()}
{curves()}
</svg>
"""


def icon() -> Image.Image:
    """Return the favicon, enlarged without smoothing."""
    rows = [row.ljust(16) for row in ICON.splitlines()]
    picture = Image.new("RGBA", (16, 16))
    for y, row in enumerate(rows):
        for x, sign in enumerate(row):
            if colour := ICON_COLOURS[sign]:
                picture.putpixel((x, y), (*channels(colour), 255))
    side = 16 * ICON_SCALE
    return picture.resize((side, side), Image.Resampling.NEAREST)


if __name__ == "__main__":
    (STATIC / "logo.svg").write_text(logo(), encoding="utf-8")
    icon().save(STATIC / "favicon.png", optimize=True)
