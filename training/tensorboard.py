"""TensorBoard's event file of a training, models/tensorboard/NAME: the points of metrics.jsonl, and the learning curve.

tensorboardX writes the format; this is the only module that imports it.
"""

import itertools
import math
import os
import struct
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from command.disk import flush_to_disk, write_atomic
from command.libraries import library
from command.outputs import check_ours
from config.schema import RunConfig
from evaluation.markdown import fenced
from training.events import Listener, Validation, stalled, try_save, write_metrics
from utils import SOFTWARE, UserError

VERSION = "brain.Event:2"  # of the format; the first event holds it
HEAD = 2  # events before the first validation
RGBA = 4  # the kind of its pictures
CURVES = 20  # pictures of the learning curve in a file, some 30 KB each


def check_tensorboard(runs: Iterable[RunConfig]) -> None:
    """Raise UserError, before anything is trained, if a run asks for event files and tensorboardX is not installed."""
    if any(run.training.tensorboard for run in runs):
        module("proto.event_pb2")


def module(name: str) -> Any:
    """A module of tensorboardX. Raises UserError if it is not installed."""
    return library(f"tensorboardX.{name}", "tensorboard", "training.tensorboard: tensorboardX")


def write_history(run: RunConfig, history: list[Validation], listener: Listener) -> None:
    """Write the validations of a training: metrics.jsonl, and the event file if the run asks for one."""
    try_save(listener, lambda: write_metrics(run, history))
    if run.training.tensorboard:
        try_save(listener, lambda: write_events(run, history))


def write_events(run: RunConfig, history: list[Validation]) -> None:
    """Append to the event file what it lacks of these validations, so that TensorBoard can look on.

    Points at its end that are cut short or not of these validations, as after a divergence, are removed. So no point
    is there twice, however often a training stops.
    """
    path = Path(run.paths.models) / "tensorboard" / run.name / f"events.out.tfevents.{SOFTWARE}"
    check_ours(path, lambda content: SOFTWARE.encode() in content[:200])
    there, now = events_in(path.read_bytes() if path.exists() else b""), time.time()
    values = [values_of(before, record) for before, record in zip([None, *history], history, strict=False)]
    alike = (holds(event, found) for (event, _), found in zip(there[HEAD:], values, strict=False))
    kept = sum(itertools.takewhile(bool, alike))
    values[-1] += curves(run, history)
    began = now - 60 * history[-1].minutes  # of the clock, counted back by minutes of training
    new = [point(began, *pair) for pair in zip(history[kept:], values[kept:], strict=True)]
    if len(there) < HEAD:
        return write_atomic(path, joined([*head(began), *new]))
    if path.stat().st_nlink > 1:  # a backup may be its other name
        return write_atomic(path, path.read_bytes()[: there[HEAD - 1 + kept][1]] + joined(new))
    with path.open("r+b") as file:
        file.truncate(there[HEAD - 1 + kept][1])
        file.seek(0, os.SEEK_END)
        file.write(joined(new))
    return flush_to_disk(path)


def joined(events: list[Any]) -> bytes:
    """Events as they stand in a file."""
    return b"".join(framed(event.SerializeToString()) for event in events)


def events_in(content: bytes) -> list[tuple[Any, int]]:
    """The events of a file up to the first that is not whole, or is none, each with the place where it ends."""
    from google.protobuf.message import DecodeError

    event, found, end = module("proto.event_pb2").Event, [], 0
    while length := content[end : end + 8]:
        data = content[end + 12 : end + 12 + int.from_bytes(length, "little")]
        if content[end : end + 16 + len(data)] != framed(data):
            break
        end += 16 + len(data)
        try:
            found.append((event.FromString(data), end))
        except DecodeError:
            break
    return found


def framed(data: bytes) -> bytes:
    """An event as it stands in a file: its length, the checksum of that, the event, its checksum."""
    length, checksum = struct.pack("<Q", len(data)), module("record_writer").masked_crc32c
    return length + struct.pack("<I", checksum(length)) + data + struct.pack("<I", checksum(data))


def head(wall_time: float) -> list[Any]:
    """The first events of a file: its format, and a start that makes TensorBoard forget what other files hold."""
    event = module("proto.event_pb2")
    start = event.SessionLog(status=event.SessionLog.START, msg=SOFTWARE)
    return [event.Event(wall_time=wall_time, file_version=VERSION), event.Event(wall_time=wall_time, session_log=start)]


def values_of(before: Validation | None, record: Validation) -> list[Any]:
    """What TensorBoard shows of a validation: its numbers, and its sample as Markdown, which it renders."""
    value = module("proto.summary_pb2").Summary.Value
    numbers = [value(tag=tag, simple_value=number) for tag, number in scalars(record, before).items()]
    return [*numbers, *module("summary").text("sample", "\n".join(fenced([record.sample]))).value]


def point(began: float, record: Validation, values: list[Any]) -> Any:
    """The event of a validation, by the clock of a training that began then."""
    at = began + 60 * record.minutes
    return module("proto.event_pb2").Event(wall_time=at, step=record.step, summary={"value": values})


def holds(event: Any, values: list[Any]) -> bool:
    """Whether an event is that of these values."""
    found = event.summary.value[: len(values)]
    return [value.SerializeToString() for value in found] == [value.SerializeToString() for value in values]


def scalars(record: Validation, before: Validation | None) -> dict[str, float]:
    """The points of a validation; speed is that since the validation before, which takes time too."""
    characters = record.characters - (before.characters if before else 0)
    seconds = 60 * (record.minutes - (before.minutes if before else 0))
    found = {
        "bits/held_out": record.held_out,
        "bits/training_text": record.learnt,
        "loss": record.train_loss,
        "learning_rate": record.learning_rate,
        "characters_per_second": characters / seconds if seconds > 0 else None,
    }
    return {tag: value for tag, value in found.items() if value is not None}


def curves(run: RunConfig, history: list[Validation]) -> list[Any]:
    """The learning curve as a value, at CURVES validations and at the end. Raises UserError if it cannot be drawn."""
    ends = history[-1].progress >= 1 or stalled(history, run.training.patience)
    if len(history) % math.ceil(run.training.validations / CURVES) and not ends:
        return []
    try:
        from training.curve import curve_png  # Matplotlib is slow to import, and few ask for event files

        width, height, png = curve_png(run.name, history)
    except Exception as error:  # whatever is wrong with a picture, the training goes on
        raise UserError(f"{run.name}: the learning curve cannot be drawn: {error}") from None
    summary = module("proto.summary_pb2").Summary
    image = summary.Image(height=height, width=width, colorspace=RGBA, encoded_image_string=png)
    return [summary.Value(tag="learning_curve", image=image)]
