"""A picture shows what its typeface has, and every text fits."""

from nft.image import SIDE, characters_without_glyph, layout


def test_what_the_face_lacks_is_known():
    assert characters_without_glyph("a naïve\u00a0Ω …\n\u200d🎉日א😀") >= {"🎉", "日", "א"}
    # a picture shows tab and newline as space and as a new line
    assert not characters_without_glyph("\t\n" + "".join(map(chr, range(32, 127))) + "éßñçøāžšΩжк–—“”…€²½")


def test_every_text_fits_its_card():
    for text in ("a", "word " * 10, "x" * 500, "word " * 300, "w" * 9000):
        size, lines = layout(text)
        assert lines and all(len(line) * 0.602 * size <= SIDE - 180 + 1e-6 for line in lines)
        assert len(lines) * 1.5 * size <= SIDE - 180
    assert "".join(layout("x" * 500)[1]) == "x" * 500 and layout("w" * 90_000)[1][-1].endswith("\u2026")
