"""Train models, one after the other: python train.py --dataset NAME, or --all"""

import argparse
import dataclasses
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from config import Config, RunConfig
    from corpus import Corpus
    from trainer import Status

DONE, SKIPPED, MISSING, FAILED, STOPPED = "trained", "skipped", "missing", "failed", "stopped"


def parse_arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a character-level diffusion model for each dataset.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--dataset",
        action="append",
        metavar="NAME",
        help="a dataset of the config, or NAME.txt in the datasets folder; repeatable",
    )
    which.add_argument("--all", action="store_true", help="every dataset of the config")
    parser.add_argument("--config", type=Path, default=Path("config.yaml"), help="default config.yaml")
    parser.add_argument("--preset", help="a preset of the config, instead of the one it names")
    parser.add_argument("--minutes", type=float, help="minutes per model at most, instead of the config's max_minutes")
    parser.add_argument("--device", help="auto, cpu, cuda or mps, instead of the config's")
    parser.add_argument("--force", action="store_true", help="train anew what is done, and forget interrupted runs")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    from utils import guarded  # after the arguments: torch takes a second to import, and --help should not wait for it

    return guarded(train, arguments)


def train(arguments: argparse.Namespace) -> int:
    from config import load_config
    from utils import UserError

    config = load_config(arguments.config)
    overrides: dict[str, Any] = {key: value for key in ("device", "preset") if (value := getattr(arguments, key))}
    if arguments.minutes is not None:
        overrides["training"] = {"max_minutes": arguments.minutes}
    if arguments.all and not config.datasets:
        raise UserError(f"{config.path}: datasets is empty, so --all has nothing to train")
    names = list(dict.fromkeys(arguments.dataset or config.datasets))
    runs = [config.resolve(name, **overrides) for name in names]
    return Queue(runs, arguments.force, resume_command(config, arguments)).run_all()


def resume_command(config: "Config", arguments: argparse.Namespace) -> str:
    datasets = ["--all"] if arguments.all else [f"--dataset {name}" for name in arguments.dataset]
    options = [f"--{key} {value}" for key in ("preset", "minutes", "device") if (value := getattr(arguments, key))]
    path = [] if config.path == Path("config.yaml") else [f"--config {config.path}"]
    return " ".join(["python train.py", *datasets, *path, *options])


@dataclasses.dataclass
class Outcome:
    """How one dataset of the queue ended."""

    name: str
    state: str
    detail: str = ""
    documents: str = ""
    parameters: str = ""
    minutes: str = ""
    bits: str = ""


class Queue:
    """Trains runs in order; a failure does not stop the others. Ctrl+C or SIGTERM saves the state and stops all."""

    def __init__(self, runs: list["RunConfig"], force: bool, command: str) -> None:
        from rich.console import Console

        self.runs, self.force, self.command = runs, force, command
        self.console = Console(highlight=False, soft_wrap=True)
        self.outcomes: list[Outcome] = []
        self.stop = False

    def run_all(self) -> int:
        handlers = {number: signal.signal(number, self.ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for run in self.runs:
                self.outcomes.append(self.run_one(run))
                if self.stop:
                    break
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        self.show_table()
        if self.stop:
            self.console.print(f"stopped; nothing is lost. To go on: {self.command}", markup=False)
            return 130
        return 1 if {outcome.state for outcome in self.outcomes} & {FAILED, MISSING} else 0

    def ask_to_stop(self, number: int, frame: object) -> None:
        """The first signal ends the run at its next step, the second at once."""
        self.stop = True
        signal.signal(number, signal.SIG_DFL)

    def run_one(self, run: "RunConfig") -> Outcome:
        from trainer import Stopped, train_model
        from utils import UserError

        watch = Watch(self, run)
        try:
            if not run.data_file().is_file():
                return self.said(Outcome(run.name, MISSING, f"no file {run.data_file()}"))
            if done := self.already_done(run):
                return self.said(done)
            with watch:
                checkpoint = train_model(run, watch)
        except Stopped:
            return watch.outcome(STOPPED, "state saved")
        except UserError as error:
            return self.said(watch.outcome(FAILED, str(error)))
        except MemoryError:
            return self.said(
                watch.outcome(FAILED, "out of memory; lower training.batch_size or choose a smaller preset")
            )
        except Exception as error:  # the queue outlives any one failure; the details are kept
            log = run.model_file().with_suffix(".error.log")
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(traceback.format_exc(), encoding="utf-8")
            return self.said(watch.outcome(FAILED, f"{type(error).__name__}: {error} (details: {log})"))
        plot_curve(watch.status, run)
        metrics = checkpoint.metrics
        bits = f"{metrics['held_out_bits']:.3f} ± {metrics['held_out_error']:.3f}"
        return self.said(watch.outcome(DONE, str(run.model_file()), bits))

    def already_done(self, run: "RunConfig") -> Outcome | None:
        """A skipped outcome if the model on disk came from this very data and config."""
        from checkpoint import load_checkpoint
        from corpus import hash_file
        from utils import UserError

        if self.force:
            run.state_file().unlink(missing_ok=True)
            return None
        if not run.model_file().is_file():
            return None
        try:
            checkpoint = load_checkpoint(run.model_file())
        except UserError as error:
            self.console.print(f"{error}; training anew", markup=False)
            return None
        if (checkpoint.training_sha256, checkpoint.data_sha256) != (run.training_hash(), hash_file(run.data_file())):
            return None
        bits = f"{checkpoint.metrics['held_out_bits']:.3f} ± {checkpoint.metrics['held_out_error']:.3f}"
        return Outcome(run.name, SKIPPED, "done before with this data and config; --force trains anew", bits=bits)

    def said(self, outcome: Outcome) -> Outcome:
        mark = "error: " if outcome.state in (FAILED, MISSING) else ""
        self.console.print(f"{mark}{outcome.name}: {outcome.state}: {outcome.detail}", markup=False)
        return outcome

    def seconds_after(self, run: "RunConfig", speed: float) -> float:
        """A guess at the time that the datasets after this one will take, at the present speed."""
        later = self.runs[self.runs.index(run) + 1 :]
        sizes = [(other, other.data_file().stat().st_size if other.data_file().is_file() else 0) for other in later]
        times = [size * other.training.epochs / speed for other, size in sizes]
        limits = [60 * other.training.max_minutes or float("inf") for other in later]
        return sum(map(min, times, limits))

    def show_table(self) -> None:
        from rich.table import Table

        table = Table("dataset", "state", "documents", "parameters", "minutes", "bits/char")
        for column in table.columns:
            column.no_wrap = True
        for outcome in self.outcomes:
            table.add_row(
                outcome.name, outcome.state, outcome.documents, outcome.parameters, outcome.minutes, outcome.bits
            )
        self.console.print(table)


class Watch:
    """Shows one training: a live line on a terminal, and one plain line per validation everywhere."""

    def __init__(self, queue: Queue, run: "RunConfig") -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        from trainer import Status

        self.queue, self.run, self.console = queue, run, queue.console
        self.status = Status(run.name)
        self.sizes: dict[str, str] = {}
        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
            console=self.console, transient=True, disable=not self.console.is_terminal,
        )  # fmt: skip
        self.task = self.bar.add_task(run.name, total=1.0, text="")

    def __enter__(self) -> "Watch":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def started(self, run: "RunConfig", corpus: "Corpus", parameters: int, device: "torch.device", steps: int) -> None:
        report, losses = corpus.report, corpus.report.losses()
        self.sizes = {"documents": f"{report.documents:,}", "parameters": f"{parameters / 1e6:.2f}M"}
        self.say(
            f"{run.name}: {report.documents:,} documents, {report.characters:,} characters, "
            f"{len(corpus.vocabulary.characters) - 1} of {report.distinct_characters} distinct ones"
            + (f"; {losses}" if losses else "")
        )
        budget = f"at most {steps:,} steps" + (
            f" or {run.training.max_minutes:g} minutes" if run.training.max_minutes else ""
        )
        self.say(f"{run.name}: {parameters:,} parameters on {device.type}, {budget}")
        if device.type == "cpu" and run.preset == "baby":
            self.say(f"{run.name}: this is the size for a GPU, or a long night; --preset cpu learns faster here")

    def resumed(self, status: "Status") -> None:
        self.say(f"{self.run.name}: going on from step {status.step:,}")

    def stepped(self, status: "Status") -> bool:
        self.status = status
        if not self.bar.disable:
            text = f"{speed_text(status)}  loss {status.loss:.2f}  {self.left_text(status)}"
            self.bar.update(self.task, completed=status.progress, text=text)
        return self.queue.stop

    def validated(self, status: "Status") -> None:
        self.status, last = status, status.history[-1]
        self.say(
            f"{self.run.name}: {last.progress:4.0%}  {last.characters / 1e6:.2f}M chars  {speed_text(status)}  "
            f"loss {last.train_loss:.2f}  "
            f"held-out {last.held_out:.3f} ± {last.held_out_error:.3f} bits/char  {self.left_text(status)}"
        )
        self.say("    " + last.sample.replace("\n", "\\n")[:160])

    def left_text(self, status: "Status") -> str:
        text = f"left {clock(status.seconds_left())}"
        after = self.queue.seconds_after(self.run, status.speed)
        return f"{text}, queue {clock(status.seconds_left() + after)}" if after else text

    def outcome(self, state: str, detail: str, bits: str = "") -> Outcome:
        return Outcome(self.run.name, state, detail, minutes=f"{self.status.seconds / 60:.1f}", bits=bits, **self.sizes)

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)


def speed_text(status: "Status") -> str:
    return f"{status.speed / 1000:.1f}k chars/s"


def clock(seconds: float) -> str:
    """Seconds -> "1h05m", "3m20s" or "?" where nothing is known yet."""
    if seconds != seconds:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m{rest:02d}s"


def plot_curve(status: "Status", run: "RunConfig") -> None:
    """The learning curve, models/NAME.png: held-out bits per character over characters seen."""
    import matplotlib

    from utils import atomic_path

    matplotlib.use("agg")
    from matplotlib import pyplot

    history: Any = status.history
    seen = [record.characters / 1e6 for record in history]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.errorbar(
        seen,
        [r.held_out for r in history],
        [r.held_out_error for r in history],
        label="held out (NELBO, averaged weights)",
        capsize=2,
    )
    axes.plot(seen, [r.train_loss for r in history], linestyle=":", label=f"training loss ({run.training.loss})")
    axes.set(title=run.name, xlabel="million characters seen", ylabel="bits per character", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(run.model_file().with_suffix(".png")) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main())
