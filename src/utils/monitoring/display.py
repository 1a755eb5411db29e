"""The progress display of a run: a progress bar on a terminal, lines in a log."""
import os
import sys
from typing import NamedTuple, Protocol, TextIO

NARROWEST_BAR = 40  # columns; some terminals report 0


class Figures(NamedTuple):
    """The figures of a report, over the tokens since the previous report."""

    loss: float  # label-smoothed, per target token
    nll: float  # negative log-likelihood per target token
    ppl: float
    lr: float
    tokens_per_second: float  # source and target, without padding
    loss_scale: float


class Display(Protocol):
    """Shows the progress of a run."""

    def progress(self, step: int, figures: Figures, left: float) -> None:
        """Show that a step is done, with the figures of the last report and the estimated seconds until the end."""

    def report(self, step: int, figures: Figures, left: float) -> None:
        """Show the figures of a new report, which ends with this step."""

    def note(self, text: str) -> None:
        """Show a line of text permanently."""

    def close(self) -> None: ...


def make_display(total_steps: int, resumed_step: int = 0, stream: TextIO | None = None) -> Display:
    """Return a progress bar if `stream` (None: standard output) is a terminal wide enough for it, otherwise lines."""
    stream = stream or sys.stdout
    has_room = stream.isatty() and os.get_terminal_size(stream.fileno()).columns >= NARROWEST_BAR
    return (ProgressBar if has_room else LogLines)(total_steps, resumed_step, stream)


class LogLines:
    """One line per report."""

    def __init__(self, total_steps: int, resumed_step: int, stream: TextIO):
        self._total_steps = total_steps
        self._stream = stream

    def progress(self, step: int, figures: Figures, left: float) -> None:
        pass

    def report(self, step: int, figures: Figures, left: float) -> None:
        self.note(f"step {step}/{self._total_steps}: loss {figures.loss:.4f}, perplexity {figures.ppl:.2f}, "
                  f"lr {figures.lr:.3g}, {figures.tokens_per_second:,.0f} tokens/s, {clock(left)} left")

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        pass


class ProgressBar:
    """A progress bar over all steps, including those before resuming; it shows our estimate of the time, not tqdm's."""

    def __init__(self, total_steps: int, resumed_step: int, stream: TextIO):
        from tqdm import tqdm

        self._stream = stream
        self._bar = tqdm(total=total_steps, initial=resumed_step, file=stream, dynamic_ncols=True,
                         bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {desc}")

    def progress(self, step: int, figures: Figures, left: float) -> None:
        self._describe(figures, left)
        self._bar.update(step - self._bar.n)  # redraws at most ten times per second

    def report(self, step: int, figures: Figures, left: float) -> None:
        self._describe(figures, left)
        self._bar.n = step
        self._bar.refresh()

    def _describe(self, figures: Figures, left: float) -> None:
        self._bar.set_description_str(
            f"loss {figures.loss:.3f}, ppl {figures.ppl:.4g}, lr {figures.lr:.2g}, "
            f"{figures.tokens_per_second:,.0f} tokens/s, {clock(left)} left", refresh=False)

    def note(self, text: str) -> None:
        self._bar.write(text, file=self._stream)
        self._stream.flush()

    def close(self) -> None:
        self._bar.close()


def clock(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds: 3725.6 -> '1:02:05'."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
