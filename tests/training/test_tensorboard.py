"""Event files for TensorBoard: the points of metrics.jsonl, each once, however often a training ends."""

import io
import json
import struct
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import Quiet, shape
from tests.training.states import stop
from training.tensorboard import events_in as places_of
from training.tensorboard import framed
from training.trainer import train_model
from utils import UserError

event_pb2 = pytest.importorskip(
    "tensorboardX.proto.event_pb2", reason="tensorboardX is not installed: requirements-tensorboard.txt"
)
EVENTS = "events.out.tfevents.*"


def masked_crc(data: bytes) -> int:
    """The checksum of TensorFlow's records: CRC-32C, bit by bit, turned and added to as they ask for."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events_in(path: Path) -> list:
    """The events of a file, each length and each event with a right checksum."""
    data, found = path.read_bytes(), []
    while data:
        length, check = struct.unpack("<QI", data[:12])
        event, rest = data[12 : 12 + length], data[12 + length :]
        assert check == masked_crc(data[:8]) and struct.unpack("<I", rest[:4]) == (masked_crc(event),)
        found.append(event_pb2.Event.FromString(event))
        data = rest[4:]
    return found


def event_files(run) -> list[Path]:
    return sorted((Path(run.paths.models) / "tensorboard" / run.name).glob(EVENTS))


def records_of(run) -> list[dict]:
    """The lines of metrics.jsonl."""
    lines = run.model_file().with_suffix(".metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def asking(run, **training):
    return shape(run, tensorboard=True, validations=3, max_steps=6, **training)


def test_an_event_file_holds_the_points_of_the_metrics_and_the_curve(tiny_run):
    run = asking(tiny_run())
    train_model(run, Quiet())
    [path] = event_files(run)
    version, start, *events = events_in(path)
    assert version.file_version == "brain.Event:2" and start.session_log.status == start.session_log.START
    records, before = records_of(run), (0, 0)
    assert [event.step for event in events] == [record["step"] for record in records] == [2, 4, 6]
    for event, record in zip(events, records, strict=True):
        values = {value.tag: value for value in event.summary.value}
        numbers = {tag: value.simple_value for tag, value in values.items() if value.HasField("simple_value")}
        speed = (record["characters"] - before[0]) / (60 * (record["minutes"] - before[1]))
        expected = {
            "bits/held_out": record["held_out"],
            "bits/training_text": record["learnt"],
            "loss": record["train_loss"],
            "learning_rate": record["learning_rate"],
            "characters_per_second": speed,
        }
        assert numbers == pytest.approx(expected, rel=1e-6)  # of a float32
        [text] = values["sample/text_summary"].tensor.string_val
        assert text.decode() == f"```\n{record['sample']}\n```"
        before = record["characters"], record["minutes"]
    assert events[-1].wall_time - events[0].wall_time == pytest.approx(
        60 * (records[-1]["minutes"] - records[0]["minutes"]), abs=1
    )
    pictures = [value.image for event in events for value in event.summary.value if value.HasField("image")]
    assert len(pictures) == 3
    picture = pictures[-1]
    drawn = Image.open(io.BytesIO(picture.encoded_image_string))
    assert drawn.size == (picture.width, picture.height) and drawn.format == "PNG"


@pytest.mark.parametrize("stop_at", range(1, 6))
def test_a_training_that_goes_on_doubles_no_point(tiny_run, stop_at):
    run = asking(tiny_run())
    stop(run, stop_at)
    train_model(run, Quiet())
    [path] = event_files(run)
    assert [event.step for event in events_in(path)[2:]] == [record["step"] for record in records_of(run)] == [2, 4, 6]


def test_an_event_file_cut_at_any_byte_is_made_whole(tiny_run):
    run = asking(tiny_run())
    stop(run, 5)
    [path], state = event_files(run), run.state_file().read_bytes()
    whole, first = path.read_bytes(), len(path.read_bytes()) - 300
    _, _, *events = events_in(path)
    assert [event.step for event in events] == [2, 4]
    head = whole.index(b"diffusion-gpt-local") + 40
    wrong = bytes([whole[head + 60] ^ 255])
    damaged = whole[: head + 60] + wrong + whole[head + 61 :]
    none = whole[: places_of(whole)[1][1]] + framed(b"\xff\xff\xff")  # a whole record, but no event
    for content in (*(whole[:size] for size in (head, head + 100, first // 2, first, len(whole) - 1)), damaged, none):
        path.write_bytes(content)
        run.state_file().write_bytes(state)
        train_model(run, Quiet())
        run.model_file().unlink()
        assert event_files(run) == [path]
        assert [event.step for event in events_in(path)[2:]] == [2, 4, 6]


def test_points_of_which_the_state_knows_nothing_go(tiny_run):
    """A kill may come after a point was written and before the state was; or the file is of another training."""
    run = asking(tiny_run())
    train_model(run, Quiet())
    [path] = event_files(run)
    old = events_in(path)
    run.model_file().unlink()
    train_model(run.model_copy(update={"seed": 5}), Quiet())
    new = events_in(path)
    assert [event.step for event in new[2:]] == [2, 4, 6] and new[:2] == old[:2]
    assert [e.summary.value[0].simple_value for e in new[2:]] == pytest.approx([r["held_out"] for r in records_of(run)])
    assert new[2].summary.value[0].simple_value != old[2].summary.value[0].simple_value


def test_what_is_written_is_appended(tiny_run):
    """TensorBoard keeps the file open while it grows."""
    run, seen = asking(tiny_run()), []

    class Looking(Quiet):
        def validated(self, status, course):
            seen.append(event_files(run)[0].read_bytes())

    train_model(run, Looking())
    assert len(seen) == 3 and seen[2].startswith(seen[1]) and seen[1].startswith(seen[0])


def test_a_long_training_draws_few_curves(tiny_run):
    run = shape(tiny_run(), tensorboard=True, validations=50, max_steps=50, patience=0)
    train_model(run, Quiet())
    [path] = event_files(run)
    drawn = [e.step for e in events_in(path) for value in e.summary.value if value.HasField("image")]
    assert drawn == [*range(3, 50, 3), 50]


@pytest.mark.usefixtures("warm_processes")
def test_event_files_change_no_model_and_train_none_anew(project, capsys):
    config, train = project
    assert train("--dataset", "one") == 0
    weights = (config.parent / "models/one.pt").read_bytes()
    text = config.read_text("utf-8").replace("training:\n", "training:\n  tensorboard: true\n")
    config.write_text(text, "utf-8")
    capsys.readouterr()
    assert train("--dataset", "one") == 0 and "done before with this data and config" in capsys.readouterr().out
    assert (config.parent / "models/one.pt").read_bytes() == weights
    assert not (config.parent / "models/tensorboard").exists()


def test_without_tensorboardx_nothing_is_trained(project, capsys, monkeypatch):
    config, train = project
    config.write_text(config.read_text("utf-8").replace("two: {}", "two: {training: {tensorboard: true}}"), "utf-8")
    for name in [name for name in sys.modules if name.startswith("tensorboardX")]:
        monkeypatch.setitem(sys.modules, name, None)
    line = "training.tensorboard: tensorboardX is not installed; pip install -r requirements-tensorboard.txt"
    for options in (["--all"], ["--all", "--check"], ["--all", "--base"]):
        assert train(*options) == 2
        assert capsys.readouterr().err == f"error: {line}\n"
        assert not (config.parent / "models").exists()


def test_event_files_of_others_stay_and_cost_no_training(tiny_run):
    run = asking(tiny_run())
    folder = Path(run.paths.models) / "tensorboard" / run.name
    folder.mkdir(parents=True)
    theirs, named_alike = folder / "events.out.tfevents.1.host", folder / "events.out.tfevents.diffusion-gpt-local"
    theirs.write_bytes(b"theirs")
    train_model(run, Quiet())
    assert len(event_files(run)) == 2 and theirs.read_bytes() == b"theirs"
    named_alike.write_bytes(b"theirs")
    run.model_file().unlink()
    watcher = Quiet()
    train_model(run, watcher)
    note = f"not saved, and going on: {named_alike}: not written by this program; move it away"
    assert watcher.notes == [note] * 3 and named_alike.read_bytes() == b"theirs" and run.model_file().is_file()


def test_a_curve_that_cannot_be_drawn_costs_no_training(tiny_run, monkeypatch):
    from matplotlib.figure import Figure

    def fails(*arguments, **options):
        raise RuntimeError("no such font")

    monkeypatch.setattr(Figure, "savefig", fails)
    run, watcher = asking(tiny_run()), Quiet()
    train_model(run, watcher)
    assert watcher.notes == ["not saved, and going on: toy: the learning curve cannot be drawn: no such font"] * 3
    assert run.model_file().is_file()


def test_python_without_tensorboardx_is_told_too(tiny_run, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("tensorboardX")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match="tensorboardX is not installed"):
        train_model(asking(tiny_run()), Quiet())
