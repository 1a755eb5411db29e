"""What a person sees of a running training: a progress bar on a terminal, lines in a log."""
import os
import sys
from typing import NamedTuple, Protocol, TextIO

NARROWEST_BAR = 40  # columns; some terminals say they have none


class Figures(NamedTuple):
    """The figures of a report, over the tokens since the one before."""

    loss: float  # smoothed, per target symbol
    nll: float  # negative log-likelihood per target symbol
    ppl: float
    lr: float
    tokens_per_second: float  # source and target, without padding
    loss_scale: float


class Display(Protocol):
    """Where progress goes."""

    def progress(self, step: int, figures: Figures, left: float) -> None:
        """A step is done: the figures of the last report, and the seconds to the end as they are now expected."""

    def report(self, step: int, figures: Figures, left: float) -> None:
        """New figures, of the steps up to this one."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def close(self) -> None: ...


def make_display(total_steps: int, resumed_step: int = 0, stream: TextIO | None = None) -> Display:
    """A bar if `stream` (standard output, if None) is a terminal with room for it, lines otherwise."""
    stream = stream or sys.stdout
    has_room = stream.isatty() and os.get_terminal_size(stream.fileno()).columns >= NARROWEST_BAR
    return (ProgressBar if has_room else LogLines)(total_steps, resumed_step, stream)


class LogLines:
    """One line a report."""

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
    """A bar of all steps, those before resuming included; its time left is the log's, not tqdm's."""

    def __init__(self, total_steps: int, resumed_step: int, stream: TextIO):
        from tqdm import tqdm

        self._stream = stream
        self._bar = tqdm(total=total_steps, initial=resumed_step, file=stream, dynamic_ncols=True,
                         bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {desc}")

    def progress(self, step: int, figures: Figures, left: float) -> None:
        self._describe(figures, left)
        self._bar.update(step - self._bar.n)  # draws ten times a second at most

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
    """Hours, minutes, seconds: 3725.6 -> '1:02:05'."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
