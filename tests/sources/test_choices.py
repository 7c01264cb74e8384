"""What is asked for: columns, --join, lengths and samples; what is cleaned, counted and recorded."""

import csv
import hashlib
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

import generate
import train
from config.data_file import MOST_LINE
from sources.cleaning import cleaned, excerpts
from sources.columns import choose, join, number_of
from sources.files import Found
from sources.log import SourceLog
from sources.pipeline import FILTERED, Request, make_text
from tests.helpers import TINY
from tests.sources.helpers import COLUMNS, assert_refused, run, write_table
from utils import UserError

OPENED = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def table(home) -> None:
    write_table()


def test_join_puts_columns_into_a_template():
    assert run("a.csv", "--join", "title. review text") == [
        "Good. I liked this one.", "Not bad at all.", "Nothing", "Odd. Who gave x stars?",
    ]  # fmt: skip
    numbers, made = join("<Review>: REVIEW TEXT (title)", COLUMNS, "a.csv")
    assert numbers == [4, 3, 2] and made(["a", "b", "c"]) == "<a>: b (c)"
    assert made([None, "b", " "]) == "<b)" and made(["a", "", "c"]) == "<a (c)" and made(["", None, " "]) == ""


def test_a_word_of_join_that_is_no_column_is_named():
    columns = "; it has id, stars, title, review text, review"
    what = f"a.csv has no such column{columns}"
    line = f"--join 'titel. review': 'titel': {what}; did you mean 'title'?"
    assert_refused("a.csv", "--join", "titel. review", line=line)
    assert_refused("a.csv", "--join", "...", starts="--join '...': names no column; a.csv has id, stars")
    assert_refused("a.csv", "--column", "rewiew", line=f"--column 'rewiew': {what}; did you mean 'review'?")


def test_the_column_of_prose_is_found_and_the_reason_given(capsys):
    assert run("a.csv") == ["I liked this one.", "Not bad at all.", "Who gave x stars?"]
    said = capsys.readouterr().out.splitlines()
    assert said[:6] == [
        "a.csv: its first rows",
        "  id               1 long,     5 different  1",
        "  stars            2 long,     3 different  5",
        "  title            5 long,     3 different  Good",
        "  review text     16 long,     3 different  I liked this one.",
        "  review           1 long,     2 different  a",
    ]
    assert said[6] == "the text is 'review text': it holds prose, 4 words in the average of the first rows"
    taken = "'review text' stands in the first row, which was taken for names of columns"
    assert said[7] == f"{taken}; if it is a document, put a line of names above it"
    assert "left out: 2 rows empty" in said and said[-2:] == [
        "now: python train.py --dataset x --minutes 60",
        f"then: python generate.py --model {Path('models/x.pt')} --samples 100",
    ]


@pytest.mark.parametrize(
    "review",
    [
        "ఈ సినిమా చాలా బాగుంది, మా కుటుంబం అందరికీ నచ్చింది", "இந்த படம் மிகவும் நன்றாக இருந்தது, அனைவருக்கும் பிடித்தது",
        "यह फ़िल्म बहुत अच्छी थी, सब को पसंद आई", "এই ছবিটি খুব ভালো ছিল, সবার পছন্দ হয়েছে", "ဒီရုပ်ရှင်ကအရမ်းကောင်းတယ်",
        "ភាពយន្តនេះល្អណាស់", "הַסֶּרֶט הָיָה טוֹב מְאֹד", "كَانَ الفِيلْمُ جَمِيلًا جِدًّا",
    ],
)  # fmt: skip
def test_a_column_whose_vowels_are_marks_holds_prose(review, capsys):
    rows = "".join(f'Film {"abcdefgh"[n]},{n},"{review} {review[: n + 9]}"\n' for n in range(8))
    Path("b.csv").write_text(f"title,id,review\n{rows}", encoding="utf-8")
    run("b.csv")
    assert any(line.startswith("the text is 'review': ") for line in capsys.readouterr().out.splitlines())


def test_a_text_of_more_characters_than_the_vocabulary_has_is_checked_first(capsys):
    """A Chinese voice of 127 characters takes hours to train, and writes nothing that anybody could use."""
    texts = ["".join(chr(0x4E00 + (50 * n + k) % 997) for k in range(50)) for n in range(100)]
    Path("b.txt").write_text("\n".join(texts), encoding="utf-8")
    run("b.txt")
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "87% of the text is outside the vocabulary of 128, and the voice never writes it: raise data.vocab_size; "
        "--check names a size",
        "now: python train.py --dataset x --check",
        "then: python train.py --dataset x --minutes 60",
        f"then: python generate.py --model {Path('models/x.pt')} --samples 100",
    ]
    Path("b.txt").write_text("\n".join(["a plain English line of a text"] * 300 + texts[:1]), encoding="utf-8")
    run("b.txt")
    assert capsys.readouterr().out.splitlines()[-2] == "now: python train.py --dataset x --minutes 60"


def test_the_commands_to_go_on_with_read_the_same_config(capsys):
    Path("other (2).yaml").write_text("paths: {models: my models, datasets: datasets}")
    run("a.csv", "--config", "other (2).yaml")
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "now: python train.py --dataset x --minutes 60 --config 'other (2).yaml'",
        f"then: python generate.py --model '{Path('my models/x.pt')}' --samples 100 --config 'other (2).yaml'",
    ]


@pytest.mark.parametrize(
    ("lines", "preset", "said"), [(9, "cpu", " --preset tiny"), (9, "tiny", ""), (40_000, "cpu", "")]
)
def test_of_a_small_text_the_small_preset_is_advised(capsys, lines, preset, said):
    Path("config.yaml").write_text(f"preset: {preset}\npresets: {{cpu: {{}}, tiny: {{}}}}\n")
    Path("a.txt").write_text("".join(f"a document of number {n}\n" for n in range(lines)))
    run("a.txt")
    assert f"now: python train.py --dataset x --minutes 60{said}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("columns", "best"),
    [
        ({"url": "https://example.org/one/two", "name": "Ann Lee", "body": "It works as it should."}, "body"),
        ({"code": "AB-12 34/56", "label": "very positive", "text": "good"}, "label"),
        ({"id": "12", "text": "今日は良い天気です"}, "text"),
    ],
)
def test_addresses_and_codes_are_no_prose(columns, best):
    rows = [[f"{value}{n}" for value in columns.values()] for n in range(9)]
    assert [*columns][choose("x", [*columns], rows)[0]] == best
    none = "x: no column holds prose; name one with --column, of a, b; "
    of_json = (
        "or read only the files that hold texts; if its rows lie inside a cell that holds JSON, save that as a file"
    )
    for cell, fix in (("x", "or read only the files that hold texts"), ('[{"text": "rows inside a cell"}]', of_json)):
        with pytest.raises(UserError) as error:
            choose("x", ["a", "b"], [["1", None], ["2", cell]])
        assert str(error.value) == none + fix


def test_of_a_long_name_of_a_column_the_beginning_is_shown(capsys):
    """Padded to the longest, two thousand names took gigabytes."""
    Path("a.csv").write_text(f"{'x' * 300_000},text\n1,some words here\n2,more words here\n")
    run("a.csv")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"  {'x' * 57}...  ") and all(len(line) < 200 for line in lines)


def test_lists_as_python_writes_them_are_no_prose():
    """As in tables of recipes; and structs of Parquet, as of chats, which come as JSON."""
    steps = "['make a choice and proceed with recipe', 'cut into half or fourths']"
    Path("a.csv").write_text("steps,description\n" + "".join(f'"{steps}",a dish of number {n}\n' for n in range(9)))
    assert run("a.csv") == [f"a dish of number {n}" for n in range(9)]
    duckdb = pytest.importorskip("duckdb")
    chat = "[{'content': 'How do I bake bread at home, please?', 'role': 'user'}]"
    query = f"SELECT 'Bake bread ' || i AS prompt, {chat} AS messages FROM range(9) AS numbers(i)"
    duckdb.connect().execute(f"COPY ({query}) TO 'a.parquet'")
    assert run("a.parquet", name="y") == [f"Bake bread {n}" for n in range(9)]
    assert run("a.parquet", "--column", "messages", name="z")[0].startswith('[{"content":"How do I bake')


def test_an_export_of_one_object_says_where_its_rows_are():
    """As one of chats is: the name of a person is not the text."""
    pytest.importorskip("duckdb")
    messages = [{"from": "Ann", "text": f"hello there, number {n}"} for n in range(50)]
    Path("result.json").write_text(json.dumps({"name": "Ann Smith", "messages": messages}))
    what = "has one row, and 'messages' in it holds others; save that list as a file of its own"
    assert_refused("result.json", line=f"result.json: {what}, or name a column with --column")
    Path("messages.json").write_text(json.dumps(messages))
    assert run("messages.json") == [message["text"] for message in messages]


CLEANED = [
    ("one<br/>two", "one two"), ("<p>one</p>\n<p class=\"a > b\">two <b>bo</b>ld</p>", "one two bold"),
    ("a < b and c > d, vector<int>, <3, List<String>, <stdio.h>", None),
    ("if a<b and c>d then, 0<p and q>1, i<u && k>v", None),
    ("x<!-- no -->y<script>if (a<b) {}</script>z", "xyz"),
    ("<!-- never ends", None),
    ("AT&amp;T &#39;n&#x27; &lt;b&gt; &eacute;", "AT&T 'n' <b> é"),
    ("?a=1&copy=2 & &nix; &amp", None), ("&region; &param; &notify; &timestamp; &centre;", None),
    ("&not;&notin;", "¬∉"),
    ("one\n\n  two\r\nthree\u2028four\vfive", "one two three four five"), ("\x1b[31mred\x07 \x00x", "[31mred x"),
    (" padded\t", "padded"), ("tab\tstays  and spaces", None), ("&#10;x&#0;y", "x\ufffdy"), ("<DIV>A</DIV>", "A"),
    ("half \ud800 a", "half  a"), ("<a href='x'\nid=\"y\">link</a>", "link"), ("<style>a{}</style >b", "b"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "clean"), CLEANED)
def test_a_document_is_cleaned_to_one_line_of_text(text, clean):
    assert cleaned(text, SourceLog()) == (text if clean is None else clean)


def test_html_stays_where_it_is_wanted():
    assert cleaned("<b>a</b> &amp;\nb", SourceLog(), keep_html=True) == "<b>a</b> &amp; b"


def test_every_change_is_counted_with_three_examples():
    log = SourceLog()
    for number in range(5):
        texts = (f"number {number}<br>and &amp;", f"two\nlines {number}", f"bell\a {number}", "nothing to do")
        for text in texts:
            cleaned(text, log)
    assert log.changed == dict.fromkeys(("HTML removed", "entities resolved", "line breaks made spaces",
                                         "control characters removed"), 5)  # fmt: skip
    assert all(len(examples) == 3 for examples in log.examples.values())
    assert log.examples["HTML removed"][2] == ("number 2<br>and &amp;", "number 2 and &amp;")


@pytest.mark.parametrize(
    "text",
    ["<script>" * 400_000, '<a "' * 900_000, "<!--" * 900_000, "<p " + "a='" * 1_000_000, "&#" * 2_000_000,
     " " * 3_900_000 + "x\n",
     "<p " + "\"a\" " * 900_000, "<br>" * 900_000],
)  # fmt: skip
def test_no_text_takes_long_to_clean(text):
    began = time.process_time()
    cleaned(text, SourceLog())
    assert time.process_time() - began < 10


def test_a_sample_is_random_and_always_the_same(capsys):
    lines = [f"document number {n}" for n in range(5000)]
    Path("b.txt").write_text("\n".join(lines) + "\n")
    first = run("b.txt", "--max-documents", "500")
    assert run("b.txt", "--max-documents", "500") == first and len(first) == 500
    numbers = [int(line.split()[-1]) for line in first]
    assert numbers == sorted(numbers) and len({n // 500 for n in numbers}) == 10  # in their order, from everywhere
    assert 2000 < sum(numbers) / 500 < 3000 and numbers[:5] == [35, 40, 52, 75, 97]  # in every version
    assert "left out: 4,500 rows not in the sample of --max-documents" in capsys.readouterr().out
    assert run("b.txt", "--max-documents", "5000") == lines
    assert_refused("b.txt", "--max-documents", "1", starts="--max-documents 1: one to learn from")
    assert_refused("b.txt", "--max-documents", "-1", starts="--max-documents -1: must be at least 0")


def test_lengths_and_repeats_are_counted(capsys):
    Path("b.txt").write_text("aa\nbbb\nbbb\nccccc\ndddddd\n\n")
    assert run("b.txt", "--min-characters", "3", "--max-characters", "5") == ["bbb", "bbb", "ccccc"]
    said = capsys.readouterr().out.splitlines()
    for line in ("left out: 1 row shorter than --min-characters", "left out: 1 row longer than --max-characters",
                 "left out: 1 row empty", "repeated: 1 document; training drops them"):  # fmt: skip
        assert line in said
    assert_refused("b.txt", "--min-characters", "9", "--max-characters", "5", starts="--max-characters 5: is less than")
    assert_refused("b.txt", "--min-characters", "99", starts="b.txt: no document is left of 6 rows: ")


def test_a_document_that_training_does_not_read_is_left_out(capsys):
    """A file of short lines may be one document, of characters of three bytes each."""
    Path("all").mkdir()
    Path("all/long.txt").write_text("".join(f"{'文' * 9}{n}\n" for n in range(MOST_LINE // 27)), encoding="utf-8")
    Path("all/short.txt").write_text("a short one\n", encoding="utf-8")
    assert run("all", "--unit", "file") == ["a short one"]
    assert "left out: 1 row longer than 4 MB, which training does not read" in capsys.readouterr().out
    Path("config.yaml").write_text("datasets: {x: {data: {format: stream}}}\n")
    assert len(run("all", "--unit", "file")) == 2  # continuous text has no documents


def test_the_record_says_what_was_read_and_what_became_of_it():
    pytest.importorskip("duckdb")
    options = ["--license", "CC0-1.0", "--where", "id < 4", "--column", "Review Text", "--min-characters", "2"]
    text = "\n".join(run("a.csv", *options)) + "\n"
    record = json.loads(Path("datasets/x.source.json").read_text("utf-8"))
    assert record["source"] == "a.csv, column Review Text, where id < 4" and record["license"] == "CC0-1.0"
    content = Path("a.csv").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert record["files"] == [{"name": "a.csv", "kind": "csv", "bytes": len(content), "sha256": digest}]
    assert record["text"] == {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text), "documents": 2,
                              "characters": len(text) - 2}  # fmt: skip
    assert (record["rows"], record["left_out"]) == (5, {"not taken by --where": 2, "empty": 1})
    before = Path("datasets/x.source.json").read_bytes(), Path("datasets/x.txt").read_bytes()
    run("a.csv", *options)
    assert before == (Path("datasets/x.source.json").read_bytes(), Path("datasets/x.txt").read_bytes())
    run("a.csv", "--source", "my own")
    assert json.loads(Path("datasets/x.source.json").read_text("utf-8"))["source"] == "my own"


def test_where_a_text_is_from_may_hold_all_that_a_line_can():
    for text in ("Verein\u00a0e.V.", "\U0001f469\u200d\U0001f4bb wrote it", "caf\u00e9", "a\u00adb", "\ue000"):
        run("a.csv", "--source", text, "--license", text, "--overwrite")
        record = json.loads(Path("datasets/x.source.json").read_text("utf-8"))
        assert record["source"] == record["license"] == text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a\nb", r"'\n', a line break"), ("a\u2028b", r"'\u2028', a line break"), ("a\x85", r"'\x85', a line break"),
        ("\x1b[1m", r"'\x1b', a control character"), ("a\tb", r"'\t', a control character"),
        ("caf\udcc3", r"'\udcc3', a byte that is no character of your terminal's encoding"),
    ],
)  # fmt: skip
def test_what_no_line_can_hold_is_named(text, what):
    assert_refused("a.csv", "--license", text, line=f"--license: must be one line of text, but holds {what}")
    assert_refused("a.csv", "--source", text, line=f"--source: must be one line of text, but holds {what}")


def test_a_source_beyond_any_is_one_line():
    assert_refused("a.csv", "--source", "x" * 20_001, line="--source: longer than the 20,000 allowed, by 1")


def test_where_of_bytes_that_are_no_characters_is_one_line():
    pytest.importorskip("duckdb")
    what = r"holds '\udcc3', a byte that is no character of your terminal's encoding"
    assert_refused("a.csv", "--where", "id = 'caf\udcc3'", line=f"--where: {what}")


def test_a_text_of_somebody_else_is_never_written_over():
    Path("datasets").mkdir()
    text = Path("datasets/x.txt")
    text.write_text("mine\n")
    fix = "name another --name, or replace it with --overwrite"
    missing = "the list of what it wrote there, .x.txt.written.jsonl, is missing or empty"
    assert_refused("a.csv", line=f"{text}: not known as this program's: {missing}; {fix}")
    assert run("a.csv", "--overwrite") == run("a.csv")  # from now on it is this program's
    text.write_text(text.read_text() + "mine\n")
    assert_refused("a.csv", line=f"{text}: not written by this program, or changed since; {fix}")
    assert_refused("datasets/x.txt", "--overwrite", line=f"{text}: this command reads it; name another --name")
    assert_refused("datasets", "--overwrite", line=f"{text}: this command reads it; name another --name")


def test_the_name_of_the_base_is_refused_by_what_it_is():
    line = "--name base: train.py --base trains a model of this name; choose another name"
    assert_refused("a.csv", name="base", line=line)


@pytest.mark.parametrize("name", ["../x", "a b", "", "nul", "x" * 101])
def test_a_name_that_no_dataset_can_have_is_one_line(name):
    assert_refused("a.csv", name=name, starts="--name ")


def test_a_config_that_names_another_file_for_the_dataset_is_named():
    Path("config.yaml").write_text("datasets: {x: {data: {file: y.txt}}}\n")
    what = "datasets.x: data.file is 'y.txt', and x.txt would not be read"
    assert_refused("a.csv", line=f"config.yaml: {what}")


def test_files_of_several_kinds_are_read_together():
    Path("b.txt").write_text("a line of text\n")
    Path("c.csv").write_text("review text,n\nanother table,1\n")
    first = run("a.csv")
    assert run("b.txt", "a.csv", "c.csv") == ["a line of text", *first, "another table"]
    assert json.loads(Path("datasets/x.source.json").read_text())["column"] == "text, review text"
    assert run("a.csv", "b.txt") == [*first, "a line of text"]
    assert_refused("b.txt", "a.csv", "--column", "text", starts="--column 'text': a.csv has no such column")


def test_files_of_other_columns_are_named():
    Path("b.csv").write_text("id,reviews\n1,some words\n")
    fix = "name only the files that hold texts, or a column with --column"
    assert_refused("a.csv", "b.csv", line=f"'review text': b.csv has no such column; it has id, reviews; {fix}")


@pytest.mark.usefixtures("warm_processes")
def test_three_commands_from_a_table_to_a_voice(home, capsys):
    draw = random.Random(0)
    words = ["fix", "the", "parser", "of", "lines", "and", "tests"]
    with Path("c.csv").open("w", newline="") as file:
        rows = [[n, draw.randint(1, 5), " ".join(draw.choices(words, k=6)) + f" {n}"] for n in range(200)]
        csv.writer(file).writerows([["id", "stars", "text"], *rows])
    run("c.csv")
    paths = {folder: str(home / folder) for folder in ("datasets", "models", "outputs")}
    Path("config.yaml").write_text(json.dumps({**TINY, "paths": paths}))
    assert train.main(["--dataset", "x", "--check"]) == 0
    assert Counter(path.suffix for path in Path("datasets").iterdir() if path.name[0] != ".") == {".txt": 1, ".json": 1}
    assert train.main(["--dataset", "x"]) == 0
    assert generate.main(["--model", "models/x.pt", "--samples", "3"]) == 0
    assert len(Path("outputs/x_samples.txt").read_text("utf-8").splitlines()) == 3


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("<p>" + 100 * "x", 100 * "x", ("<p>" + 27 * "x" + "...", 30 * "x" + "...")),
        (40 * "a", 20 * "a", (40 * "a", 20 * "a")),
        (60 * "a" + "b", 60 * "a" + "c", ("..." + 30 * "a" + "b", "..." + 30 * "a" + "c")),
    ],
)
def test_dots_stand_where_something_is_left_out(before, after, shown):
    assert excerpts(before, after) == shown


@pytest.mark.parametrize(
    ("name", "content"), [("e.csv", ""), ("e.csv", "\n\n"), ("e.tsv", "id\ttext\n"), ("e.json", "[]")]
)
def test_a_table_without_rows_is_one_line(name, content):
    pytest.importorskip("duckdb")
    Path(name).write_text(content)
    assert_refused(name, line=f"{name}: holds no rows")
    if "id" not in content:
        assert_refused("a.csv", name, "--column", "id", line=f"{name}: holds no rows")


def test_a_table_without_a_whole_row_is_no_empty_one():
    Path("e.csv").write_text("id,text\n1,a,b\n2,c,d\n")
    for chosen in ((), ("--column", "text")):
        what = "2 of 2 rows cannot be read, as e.csv line 2: 3 of 2 columns"
        assert_refused("e.csv", *chosen, line=f"e.csv: {what}")


def test_what_could_not_be_decoded_is_counted_in_the_text_alone(capsys):
    """A program before may have written U+FFFD; a row that is not taken does not count."""
    Path("e.csv").write_text("id,text\n1,caf\ufffd au lait\n2,\ufffd\ufffd and\n", encoding="utf-16")
    told = "could not be decoded: {} of the text, now U+FFFD"
    for chosen, count in ((), "3 characters"), (("--min-characters", "8"), "1 character"):
        run("e.csv", *chosen)
        assert told.format(count) in capsys.readouterr().out.splitlines()
    run("a.csv")
    assert "could not be decoded" not in capsys.readouterr().out


@pytest.mark.skipif(not OPENED.is_dir(), reason="this system does not tell which files are open")
def test_a_source_is_closed_before_what_ends_early_is_told(tmp_path):
    """Windows removes no file that is open, and would say so in place of what is amiss."""
    pytest.importorskip("duckdb")
    Path("e.csv").write_text("id,text\n" + "".join(f"{n},some text\n" for n in range(FILTERED + 1)))  # some are left
    request, found = Request(where="id > nix"), [Found(Path("e.csv"), "csv")]
    with pytest.raises(UserError, match=r'column "nix" not found') as raised:
        make_text(request, found, tmp_path, lambda _: None)
    assert raised.tb  # which keeps all that is open in its functions
    assert "e.csv" not in [path.readlink().name for path in OPENED.iterdir() if path.is_symlink()]


def test_of_two_columns_whose_names_differ_in_case_one_is_to_be_typed_as_it_is_written():
    with pytest.raises(UserError, match="has several of this name, Text, text; type one as it is written"):
        number_of("TEXT", ["Text", "id", "text"], "a.csv", "--column ")
    assert number_of("text", ["Text", "id", "text"], "a.csv", "--column ") == 2
