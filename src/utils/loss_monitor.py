"""Reports of a training run: figures on the terminal or in the log, and files for programs."""
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from src.utils.monitoring.display import Figures
from src.utils.monitoring.outputs import NoOutputs, RunOutputs
from src.utils.ppl_score import perplexity


@dataclass(frozen=True)
class ReportSums:
    """Sums over the steps since the last report."""

    loss: float = 0.0
    nll: float = 0.0
    targets: int = 0
    tokens: int = 0

    def plus(self, loss: float, nll: float, targets: int, tokens: int) -> "ReportSums":
        """Return the sums with those of one more step."""
        return ReportSums(self.loss + loss, self.nll + nll, self.targets + targets, self.tokens + tokens)


class LossMonitor:
    """Accumulates the sums of training steps and reports their means every `log_steps` steps.

    A report goes to the terminal (a progress bar) or the log (a line), to `<folder>/metrics.jsonl` and to TensorBoard
    event files; `<folder>/loss_curve.png` is drawn again after validations. Each line of metrics.jsonl is an object
    with `event` ("train", "valid" or "skip"), `step`, `seconds` of training until then, and the figures. `loss` is the
    label-smoothed loss and `nll` the negative log-likelihood, both per target token.

    Args:
        folder: the run folder; it exists.
        log_steps: the number of steps between two reports.
        total_steps: the last step of the run.
        resumed_step: the step that the run is resumed from, 0 for a new run. Entries of later steps are removed from
            the files.
        unreported: the property `unreported` at that step.
        planned: steps of the whole run and their learning rates, which the loss curve shows.
        compute_type: the number format of the matrix products, which the entries of training steps name.
        main: False on all ranks but the main one; they report nothing.
    """

    def __init__(self, folder: str, log_steps: int, total_steps: int, *, resumed_step: int = 0,
                 unreported: Mapping[str, float] | None = None, planned: Sequence[tuple[int, float]] = (),
                 compute_type: str = "float32", main: bool = True):
        self._outputs = RunOutputs(folder, total_steps, resumed_step, planned) if main else NoOutputs()
        self._log_steps = log_steps
        self._compute_type = compute_type
        self._total_steps = total_steps
        self._resumed_step = resumed_step
        self._sums = ReportSums(**(unreported or {}))
        self._due: list[tuple[int, ReportSums, float, float]] = []  # reports whose tokens per second are not known yet
        self._last_figures: Figures | None = None
        self._start = time.monotonic()
        self._restart_rate()

    @property
    def unreported(self) -> dict[str, float]:
        """The sums that the next report starts from. A checkpoint stores them, so that resuming does not change it."""
        return dataclasses.asdict(self._sums)

    def step(self, step: int, loss: float, nll: float, targets: int, tokens: int, learning_rate: float,
             loss_scale: float, more_follow: bool = False) -> None:
        """Add one optimizer step.

        Args:
            step: its number, from 1.
            loss, nll: sums over its target tokens.
            targets: number of target tokens.
            tokens: number of source and target tokens, without padding.
            more_follow: whether the losses of several steps were read back together and this is not the last of them;
                the time that they took is known only at the last one.
        """
        self._sums = self._sums.plus(loss, nll, targets, tokens)
        self._rate_tokens += tokens
        if step % self._log_steps == 0 or step == self._total_steps:
            self._due.append((step, self._sums, learning_rate, loss_scale))
            self._sums = ReportSums()
        if more_follow:
            return
        left = self._remaining_seconds(step)
        if self._due:
            self._report(left)
        else:
            figures = self._last_figures or self._figures(self._sums, learning_rate, loss_scale)
            self._outputs.progress(step, figures, left)

    def skipped(self, step: int, loss_scale: float, new_scale: float) -> None:
        """Report that an update was skipped because its gradients were not finite."""
        self._write("skip", step, {"loss_scale": loss_scale, "new_loss_scale": new_scale})
        self.note(f"step {step}: gradients overflow at loss scale {loss_scale:g}; skipped, the scale is now "
                  f"{new_scale:g}")

    def validated(self, step: int, nll: float, targets: int, best: bool,
                  rouge: Mapping[str, float] | None = None) -> None:
        """Report a validation.

        Args:
            nll: negative log-likelihood, summed over `targets` target tokens.
            best: whether it is the best validation so far.
            rouge: ROUGE scores in percent by name, if they were measured.
        """
        ppl = perplexity(nll, targets)
        self._write("valid", step, {"nll": nll / targets, "ppl": ppl, **(rouge or {}), "best": best})
        scores = "".join(f", {name.upper()} {score:.2f}" for name, score in (rouge or {}).items())
        self.note(f"step {step}: validation perplexity {ppl:.2f}{scores}{' (best so far)' if best else ''}")
        with self.paused():
            self._outputs.draw()

    def note(self, text: str) -> None:
        """Print a line without disturbing the progress bar."""
        self._outputs.note(text)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context whose time does not count for the tokens per second, but for the estimate of the remaining time."""
        start = time.monotonic()
        yield
        self._rate_start += time.monotonic() - start

    def close(self) -> None:
        """Close the progress bar and the files, and draw the loss curve a last time."""
        self._outputs.close()

    def _report(self, left: float) -> None:
        for step, sums, learning_rate, loss_scale in self._due:
            figures = self._last_figures = self._figures(sums, learning_rate, loss_scale)
            self._write("train", step, {**figures._asdict(), "compute_type": self._compute_type})
            self._outputs.report(step, figures, left)
        self._due.clear()
        self._restart_rate()

    def _figures(self, sums: ReportSums, learning_rate: float, loss_scale: float) -> Figures:
        rate = self._rate_tokens / max(time.monotonic() - self._rate_start, 1e-9)
        return Figures(sums.loss / sums.targets, sums.nll / sums.targets, perplexity(sums.nll, sums.targets),
                       learning_rate, rate, loss_scale)

    def _remaining_seconds(self, step: int) -> float:
        """Estimate the remaining seconds from the mean time of the steps of this process, including validations."""
        return (time.monotonic() - self._start) / (step - self._resumed_step) * (self._total_steps - step)

    def _write(self, event: str, step: int, figures: Mapping[str, Any]) -> None:
        seconds = self._outputs.seconds + time.monotonic() - self._start
        self._outputs.write({"event": event, "step": step, **figures, "seconds": round(seconds, 3)})

    def _restart_rate(self) -> None:
        self._rate_tokens = 0
        self._rate_start = time.monotonic()
