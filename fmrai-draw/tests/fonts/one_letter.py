"""Makes one-letter.ttf, a font with nothing but 語 as a solid block: what tests take for a font of the machine.

Needs fonttools 4.68: python one_letter.py
"""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

EM = 1000


def block(width: int, height: int):
    pen = TTGlyphPen(None)
    if width:
        pen.moveTo((50, 0))
        pen.lineTo((50, height))
        pen.lineTo((width - 50, height))
        pen.lineTo((width - 50, 0))
        pen.closePath()
    return pen.glyph()


def main() -> None:
    font = FontBuilder(EM, isTTF=True)
    font.setupGlyphOrder([".notdef", "word"])
    font.setupCharacterMap({ord("語"): "word"})
    font.setupGlyf({".notdef": block(0, 0), "word": block(EM, 800)})
    font.setupHorizontalMetrics({".notdef": (EM, 0), "word": (EM, 50)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "One Letter", "styleName": "Regular", "psName": "OneLetter"})
    font.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    font.setupPost()
    font.font["head"].created = font.font["head"].modified = 3_600_000_000
    font.font.recalcTimestamp = False
    font.save(Path(__file__).with_name("one-letter.ttf"))


if __name__ == "__main__":
    main()
