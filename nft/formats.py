"""The formats of a set, by the number in its set.json, and what each did otherwise than the next."""

# the trait "letters alone" held texts with punctuation too, and the provenance did not cover set.json
FIRST_FORMAT = 1
# pages and SVG files drew wide characters over their neighbours
SECOND_FORMAT = 2
# loops of short parts were missed, equal rarities were ranked by rounding, less of Markdown was escaped, and a long
# title ran out of its picture
THIRD_FORMAT = 3
# numbers grouped by typographic spaces and hyphens were not found, indented lines were code in a description, and text
# that a base shares with a voice set the bound of a copy
FOURTH_FORMAT = 4
# moving the list of words changed the provenance and lost the marks of a contact sheet, and a selection of all tokens
# counted as chosen by hand
FIFTH_FORMAT = 5
# sets with different lists of words shared the marks of their contact sheets. A sheet of formats 3 to 6 may be another
# version's too: what it is made of changed while the format stayed
SIXTH_FORMAT = 6
SET_FORMAT = 7  # of new sets
