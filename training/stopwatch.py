"""How long a training has worked: a laptop that sleeps, or a process that is stopped, spends little of its time."""

import time

MOST_IDLE = 60.0  # seconds between two readings that count though the processor did nothing, as while a GPU works


class Stopwatch:
    """Seconds of work, from a number on.

    The clock goes on while a process is stopped (Ctrl+Z), and on Windows while the machine sleeps. Processor time does
    not. A training reads its watch at each step. Between two readings at most MOST_IDLE seconds without processor
    time count.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.counted = seconds
        # time.monotonic of Windows advances in steps of 16 ms, longer than a training step of a small network
        self.clock, self.processor = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        """Those counted until now."""
        clock, processor = time.perf_counter(), time.process_time()
        self.counted += min(clock - self.clock, processor - self.processor + MOST_IDLE)
        self.clock, self.processor = clock, processor
        return self.counted
