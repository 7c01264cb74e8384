"""What changed in the formats of a set: each change by the first format that has it, as set.json numbers them.

Where code does otherwise for earlier sets it names the change, so a search for the name finds the place. What changed
in the sources of pages and contact sheets alone, as with format 3, has none: see WRITTEN_OTHERWISE in verify_files.py.
"""

PUNCTUATION = 2  # the trait "letters alone" holds no text with punctuation
SETTINGS_COVERED = 2  # the provenance covers set.json
ONE_FORM = 2  # set.json and all tokens hold the settings that the sampler reads, and no others
PLURALS = 2  # "1 text", not "1 texts"
WHOLE_LOOPS = 4  # a loop is found though a shorter repeat begins it
EXACT_RANKS = 4  # rarities are compared in whole numbers
MORE_MARKDOWN = 4  # more of Markdown is escaped in a description
SHORT_TITLES = 4  # a long title ends in the picture, not beyond it
TYPOGRAPHIC_NUMBERS = 5  # numbers grouped by typographic spaces and hyphens are found
INDENTS = 5  # an indented line is no code in a description
TWINS_APART = 5  # text that a base shares with a voice does not set the bound of a copy
LIST_MAY_MOVE = 6  # where the list of words lies changes neither the provenance nor the marks of a contact sheet
ALL_IS_NO_CHOICE = 6  # a selection of all tokens does not count as chosen by hand
MARKS_BY_LIST = 7  # sets with different lists of words share no marks of their contact sheets
SIDE_BY_SIDE = 8  # numbers with no more between them than between their groups are found
OWN_BOUND = 8  # documents of other texts, which a base learnt, do not set the bound of a copy
SMALL_LETTERS = 8  # in such a text a letter that the voice lacks is compared as a small one, if the voice has both
WORDS_APART = 9  # a listed word is found in scripts without spaces, and is no part of a word that marks belong to
PLAINER_MARKDOWN = 10  # a description has fewer backslashes, and one that no Markdown is made of has none
TEXT_OF = 10  # metadata name licence and source as those of the training text
SHARED_SYMBOL = 10  # each word of a title has a part in Metaplex' symbol
LINE_BREAKS = 11  # a description shows each line on a line of its own
LIVE_LISTED = 11  # Metaplex' files name the live page
WHOLE_LETTERS = 11  # of words of a title that are many, each has a letter in Metaplex' symbol, whatever its bytes
RIGHT_TO_LEFT = 11  # the SVG of a text in Arabic or Hebrew begins its lines at the right
ONE_COMPARISON = 11  # copies are sought as evaluate.py seeks them: only what is seen counts, and case does not
LONG_WORDS_SPLIT = 11  # a long word, as a text without spaces is, makes no letters small: it goes over several lines
BESIDE_UNSPACED = 11  # numbers, @names and listed words are found beside letters of scripts without spaces
OWN_CAPITALS = 11  # a listed word is found in capitals that are other letters: SS of ß, Greek ones without accents
SET_FORMAT = 11  # of new sets
