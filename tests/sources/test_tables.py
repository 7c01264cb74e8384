"""CSV and TSV: delimiters, quotes and headers are found, and no row is lost in silence."""

import csv
import io
import random
import time

import pytest

from sources.log import SourceLog
from sources.tables import open_csv, open_tsv
from utils import UserError


def read(path, content: str | bytes, opener=open_csv):
    """The columns, the rows and the log of a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table, log = opener(path, path.name), SourceLog()
    return table.columns, [tuple(row) for row in table.read(range(len(table.columns)), log)], log


QUESTION = "What would you tell a friend who wants to learn how bread is baked?"  # a name as surveys have them


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("id,text\n1,a b\n2,\"c, d\"\n", ["id", "text"], [("1", "a b"), ("2", "c, d")]),
        ("id;text\r\n1;\"a\r\nb\"\r\n", ["id", "text"], [("1", "a\r\nb")]),
        ("id\ttext\n1\tan \"odd\" one\n", ["id", "text"], [("1", "an \"odd\" one")]),
        ("id|text\n1|a\n2|b\n", ["id", "text"], [("1", "a"), ("2", "b")]),
        ("text\nno comma\n\"two\nlines\"\na, b\n", ["text"], [("no comma",), ("two\nlines",), ("a, b",)]),
        ("id,text\n1,\"he said \\\"hi\\\" to me\"\n", ["id", "text"], [("1", 'he said "hi" to me')]),
        ('id,text\n1,"a \\"b\\" of C:\\temp\\nand D:\\\\new"\n', ["id", "text"],
         [("1", 'a "b" of C:\\temp\\nand D:\\new')]),
        ("id,text\n1,\"he said \"\"hi\"\" to me\"\n", ["id", "text"], [("1", 'he said "hi" to me')]),
        (",text,text,Text\n0,a,b,c\n", ["column1", "text", "text_2", "Text"], [("0", "a", "b", "c")]),
        ("0,2009-01-01,some words here\n4,2009-01-02,more of them\n", ["column1", "column2", "column3"],
         [("0", "2009-01-01", "some words here"), ("4", "2009-01-02", "more of them")]),
        ("v1,v2,,\nham,come back soon,,\nspam,win,a,\n", ["v1", "v2", "column3", "column4"],
         [("ham", "come back soon", "", ""), ("spam", "win", "a", "")]),
        ("id,text\n", ["id", "text"], []),
        ("id;size (\");text\n1;5;\"one, two, three, four\"\n2;6;\"a, b\"\n", ["id", "size (\")", "text"],
         [("1", "5", "one, two, three, four"), ("2", "6", "a, b")]),
        ("\nid,text\n1,some words here\n", ["id", "text"], [("1", "some words here")]),
        ("\"Question one\n(please)\",b,text\n1,2.5,some words\n3,4.5,more of them\n",
         ["Question one\n(please)", "b", "text"], [("1", "2.5", "some words"), ("3", "4.5", "more of them")]),
        ("Good movie,positive\nBad movie,negative\nA fine one,positive\n", ["column1", "column2"],
         [("Good movie", "positive"), ("Bad movie", "negative"), ("A fine one", "positive")]),
        ("id,text\n1,a\nid,text\n2,b\n", ["id", "text"], [("1", "a"), ("id", "text"), ("2", "b")]),
        ("text\n" + "words\n" * 200 + "text\n", ["text"], [("words",)] * 200 + [("text",)]),
        ("Who,Red,Blue,Why\n1,Red,,I like it\n2,,Blue,I do not\n3,Red,Blue,why not\n", ["Who", "Red", "Blue", "Why"],
         [("1", "Red", "", "I like it"), ("2", "", "Blue", "I do not"), ("3", "Red", "Blue", "why not")]),
        ("Who,Kind,Why\n1,Kind,I like it\n2,Other,I do not\n", ["Who", "Kind", "Why"],
         [("1", "Kind", "I like it"), ("2", "Other", "I do not")]),
        ("sep=;\r\nid;text\r\n1;a, b\r\n", ["id", "text"], [("1", "a, b")]),
        ("id,text\n1,a b,\n2,c d,,\n", ["id", "text"], [("1", "a b"), ("2", "c d")]),
        (f"Timestamp,{QUESTION}\n1/2/2026 10:05,I would\n1/3/2026 9:30,why not\n", ["Timestamp", QUESTION],
         [("1/2/2026 10:05", "I would"), ("1/3/2026 9:30", "why not")]),
        ("id,,text\n1,,I would\n2,,why not\n", ["id", "column2", "text"],
         [("1", "", "I would"), ("2", "", "why not")]),
        (f"{QUESTION},Ann\nI would,Ann 2\nwhy not,Bob 3\nin 5 years,Joe\n", ["column1", "column2"],
         [(QUESTION, "Ann"), ("I would", "Ann 2"), ("why not", "Bob 3"), ("in 5 years", "Joe")]),
        (f"just now,{QUESTION}\n5 minutes ago,I would\n2 hours ago,why not\n", ["column1", "column2"],
         [("just now", QUESTION), ("5 minutes ago", "I would"), ("2 hours ago", "why not")]),
        (f"{QUESTION}\n5 or 6\n10 of 12\n", ["column1"], [(QUESTION,), ("5 or 6",), ("10 of 12",)]),
        (f"see above,{QUESTION}\np. 500,I would\np. 900,why not\n,a\n,b\n,c\n", ["column1", "column2"],
         [("see above", QUESTION), ("p. 500", "I would"), ("p. 900", "why not"), ("", "a"), ("", "b"), ("", "c")]),
        ("", [], []),
        ("id,text\n\n1,a\n\n\n2,b\n", ["id", "text"], [("1", "a"), ("2", "b")]),
        ("id,text\n1,x\r\n2,\"y\rz\"\n", ["id", "text"], [("1", "x"), ("2", "y z")]),
        ("id,text\n1,the start\rand the end\n2,b\r\r\n3,\rc\n4,d\r", ["id", "text"],
         [("1", "the start and the end"), ("2", "b "), ("3", " c"), ("4", "d")]),
    ],
)  # fmt: skip
def test_a_table_is_read_however_it_is_written(tmp_path, content, columns, rows):
    found = read(tmp_path / "x.csv", content)
    assert found[:2] == (columns, rows) and not found[2].left_out


def test_names_that_pandas_numbered_are_names(tmp_path):
    """Of columns without a name; a number below is a row's."""
    path = tmp_path / "a.csv"
    path.write_text(",0,1,source\n0,first line,second line,book\n1,another line,one more,web\n")
    table = open_csv(path, "a.csv")
    assert table.columns == ["column1", "0", "1", "source"]
    assert [*table.read([1], SourceLog())] == [["first line"], ["another line"]]
    path.write_text("0,the first text\n1,the second text\n")
    assert open_csv(path, "a.csv").columns == ["column1", "column2"]


def test_the_delimiter_is_the_one_that_leaves_rows_whole(tmp_path):
    """Not the most frequent in the first line, which may be a sentence with commas."""
    path = tmp_path / "a.csv"
    rows = [["1", "eng", "Let's go, he said, and so on, and on."], ["2", "eng", "No."], ["3", "eng", "One, two."]]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))
    table = open_csv(path, "a.csv")
    assert [*table.read(range(3), SourceLog())] == rows


def test_a_line_that_tells_the_delimiter_is_counted_as_a_line(tmp_path):
    *_, log = read(tmp_path / "x.csv", "sep=;\nid;text\n1;a\n2\n")
    assert log.places == {"with too few columns": ["x.csv line 4: 1 of 2 columns"]}


def test_what_pythons_csv_writes_is_read_back(tmp_path):
    draw = random.Random(0)
    rows = [[str(n), "".join(draw.choices('ab ,;"\n\t|é', k=draw.randint(1, 40)))] for n in range(3000)]
    text = io.StringIO()
    csv.writer(text).writerows([["id", "text"], *rows])
    columns, found, log = read(tmp_path / "x.csv", text.getvalue())
    assert columns == ["id", "text"] and found == [tuple(row) for row in rows] and not log.left_out


def test_a_quote_that_comes_late_in_a_file_is_one(tmp_path):
    lines = "".join(f"{n},plain words here\n" for n in range(200_000))
    *_, log = found = read(tmp_path / "x.csv", f'id,text\n{lines}9,"now, quoted\nof two lines"\n')
    assert len(found[1]) == 200_001 and found[1][-1] == ("9", "now, quoted\nof two lines") and not log.left_out


def test_rows_that_are_not_whole_are_counted_and_named(tmp_path):
    content = 'id,title,text\n1,a,b\n2,c\n3,d,e,f\n4,g,"h\ni"\n5,"he said "hi" to",j\n6,k,l\n'
    _, rows, log = read(tmp_path / "x.csv", content)
    assert rows == [("1", "a", "b"), ("4", "g", "h\ni"), ("6", "k", "l")]
    assert log.left_out == {"with too few columns": 1, "with too many columns": 1, "that cannot be read": 1}
    assert log.places["with too few columns"] == ["x.csv line 3: 2 of 3 columns"]
    assert log.places["with too many columns"] == ["x.csv line 4: 4 of 3 columns"]
    assert log.places["that cannot be read"][0].startswith("x.csv line 7: ")
    assert log.bad_rows == 3


def numbered(first: int, beyond: int) -> str:
    return "".join(f"{n},row number {n}\n" for n in range(first, beyond))


STRAY = [
    (f'id,text\n{numbered(0, 200)}200,"what a day\n{numbered(201, 260)}260,she said "no"\n{numbered(261, 300)}', [200]),
    (f'id,text\n{numbered(0, 3)}3,"a\n4,"b\n5,"c\n{numbered(6, 9)}9,x "y" z\n10,a "b" c\n11,"d"e\n', [3, 4, 5, 11]),
    (f'id,text\n{numbered(0, 3)}3,"a\n4,"b "c\n{numbered(5, 7)}7,"two\nlines"\n8,"z" \n', [3, 4, 8]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "lost"), STRAY)
def test_a_stray_quotation_mark_costs_its_own_row_alone(tmp_path, content, lost):
    _, rows, log = read(tmp_path / "x.csv", content)
    every = range(int(content.splitlines()[-1].split(",")[0]) + 1)
    assert [int(row[0]) for row in rows] == [n for n in every if n not in lost]
    assert log.left_out == {"that cannot be read": len(lost)} == {"that cannot be read": log.rows}
    assert log.places["that cannot be read"][0].startswith(f"x.csv line {lost[0] + 2}: ")


@pytest.mark.parametrize(("delimiter", "opener"), [(",", open_csv), ("\t", open_tsv)])
def test_a_stray_quotation_mark_that_costs_a_row_its_columns_takes_no_other_with_it(tmp_path, delimiter, opener):
    rows = [f"{n},row number {n},x" for n in range(300)]
    rows[100], rows[250] = 'a,"what a day', '250,row number 250,x"'
    content = "\n".join(["id,text,kind", *rows, ""]).replace(",", delimiter)
    _, found, log = read(tmp_path / "x.csv", content, opener)
    assert [row[0] for row in found] == [str(n) for n in range(300) if n != 100]
    assert log.left_out == {"with too few columns": 1} and log.bad_rows == 1


def test_rows_that_are_read_again_and_again_take_no_hours_and_are_counted(tmp_path):
    lines, began = 200_000, time.process_time()
    content = "id,text\n1,a b\n" + 'x","\n' * lines + '2,"z"z\n3,c d\n'
    _, rows, log = read(tmp_path / "x.csv", content)
    assert rows == [("1", "a b"), ("3", "c d")] and log.bad_rows == lines + 1
    assert time.process_time() - began < 20


def test_the_lines_of_a_row_that_is_not_whole_are_named(tmp_path):
    *_, log = read(tmp_path / "x.csv", 'id,text\n1,"a\nb\nc",d\n2,e\n')
    assert log.places["with too many columns"] == ["x.csv lines 2-4: 3 of 2 columns"]


def test_the_lines_of_a_cell_are_no_rows_though_their_row_is_none(tmp_path):
    content = 'id,text\n1,a b\n2,"a first line\nhello, world\nfoo, bar\nbaz, qux",extra\n3,c d\n'
    assert read(tmp_path / "x.csv", content)[1] == [("1", "a b"), ("3", "c d")]


def test_a_tsv_whose_quotes_are_text_is_read_as_it_is(tmp_path):
    content = "id\ttext\n" + "".join(f'{n}\t"opened only\n{n}\tan inch is 1" or so\n' for n in range(50))
    _, rows, log = read(tmp_path / "x.tsv", content, open_tsv)
    assert len(rows) == 100 and rows[0] == ("0", '"opened only') and not log.left_out


@pytest.mark.parametrize("delimiter", "\t|")
def test_marks_that_two_rows_happen_to_have_make_no_cell_of_all_between(tmp_path, delimiter):
    cells = [["id", "text"], *([str(n), f"row number {n}"] for n in range(300))]
    cells[101][1], cells[161][1] = '"what a day', 'she said no"'
    cells[201][1], cells[202][1] = '"come here', 'now"'
    content = "".join(f"{delimiter.join(row)}\r\n" for row in cells)
    _, rows, log = read(tmp_path / "x.tsv", content)
    assert [[*row] for row in rows] == cells[1:] and not log.left_out


@pytest.mark.parametrize("delimiter", "\t|")
def test_a_table_whose_quotes_are_meant_keeps_its_cells_of_several_lines(tmp_path, delimiter):
    cells = [["id", "title", "text"], *([str(n), f'the "{n}"', f"two\nlines {n}"] for n in range(9))]
    cells += [["9", "code", f"if x:{delimiter}y\n\n{delimiter}z\n"], ["10", f"a{delimiter}b\nc", f"d\n{delimiter}"]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(cells)
    _, rows, log = read(tmp_path / "x.tsv", text.getvalue())
    assert [[*row] for row in rows] == cells[1:] and not log.left_out


def test_a_quote_that_is_never_closed_is_one_line(tmp_path):
    content = "id,text\n" + '1,"a"\n' * 300_000 + '2,"never closed\n' + "3,b\n" * 100
    with pytest.raises(UserError, match=r"^x.csv line 300002: a quotation mark is opened here and never closed$"):
        read(tmp_path / "x.csv", content)


def test_a_quote_that_swallows_megabytes_is_one_line(tmp_path):
    content = "id,text\n" + '1,"a"\n' * 300_000 + '2,"never closed\n' + "3,b\n" * 1_200_000
    with pytest.raises(UserError, match=r"^x.csv line 300002: a row of more than 4 MB begins here; is a quot"):
        read(tmp_path / "x.csv", content)


def test_cells_of_many_lines_that_make_a_row_of_megabytes_are_one_line(tmp_path):
    cell = '"' + "words of a line\n" * 100_000 + '"'
    content = f"a,b,c,text\n1,2,3,one\n{cell},{cell},{cell},two\n"
    with pytest.raises(UserError, match=r"^x.csv line 3: a row of more than 4 MB begins here; is a quotation mark not"):
        read(tmp_path / "x.csv", content)
    assert len(read(tmp_path / "x.csv", f"a,b,c,text\n{cell},{cell},2,one\n{cell},{cell},2,two\n")[1]) == 2


def test_a_million_columns_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"^x.csv: has more than 2,000 columns; is it a table of texts\?$"):
        read(tmp_path / "x.csv", ",".join("c" for _ in range(500_000)) + "\n")


def test_nul_bytes_are_kept_for_cleaning_to_count(tmp_path):
    _, rows, _ = read(tmp_path / "x.csv", b"id,text\n1,he\0llo\n2,plain\n")
    assert rows == [("1", "he\0llo"), ("2", "plain")]
