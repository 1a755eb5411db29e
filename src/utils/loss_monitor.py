"""What a training run tells: lines for people, metrics.jsonl for programs."""
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from src.utils.ppl_score import perplexity

METRICS_FILE = "metrics.jsonl"


class LossMonitor:
    """Gathers the sums of training steps and reports their means every `log_steps` steps.

    Each line of `<folder>/metrics.jsonl` is an object with `event` ("train" or "valid"), `step`, `seconds` since the
    start and the figures. `loss` is the smoothed loss, `nll` the negative log-likelihood, both per target symbol.
    """

    def __init__(self, folder: str, log_steps: int, total_steps: int):
        self._stream = open(os.path.join(folder, METRICS_FILE), "w", encoding="utf-8")  # noqa: SIM115
        self._log_steps = log_steps
        self._total_steps = total_steps
        self._start = self._window_start = time.monotonic()
        self._clear_window()

    def step(self, step: int, loss: float, nll: float, targets: int, tokens: int, learning_rate: float,
             loss_scale: float) -> None:
        """Take in one optimizer step: sums over its `targets` target symbols; `tokens` counts source and target."""
        self._loss += loss
        self._nll += nll
        self._targets += targets
        self._tokens += tokens
        if step % self._log_steps == 0 or step == self._total_steps:
            self._report(step, learning_rate, loss_scale)

    def skipped(self, step: int, loss_scale: float, new_scale: float) -> None:
        """An update was left out because its gradients were not finite."""
        self._write("skip", step, {"loss_scale": loss_scale, "new_loss_scale": new_scale},
                    f"step {step}: gradients overflow at loss scale {loss_scale:g}; "
                    f"skipped, the scale is now {new_scale:g}")

    def validated(self, step: int, nll: float, targets: int, best: bool) -> None:
        """Result of a validation: summed negative log-likelihood of `targets` symbols."""
        ppl = perplexity(nll, targets)
        self._write("valid", step, {"nll": nll / targets, "ppl": ppl, "best": best},
                    f"step {step}: validation perplexity {ppl:.2f}{' (best so far)' if best else ''}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What runs inside does not count for the tokens per second."""
        start = time.monotonic()
        yield
        self._window_start += time.monotonic() - start

    def close(self) -> None:
        self._stream.close()

    def _report(self, step: int, learning_rate: float, loss_scale: float) -> None:
        now = time.monotonic()
        rate = self._tokens / max(now - self._window_start, 1e-9)
        left = (now - self._start) / step * (self._total_steps - step)
        figures = {"loss": self._loss / self._targets, "nll": self._nll / self._targets,
                   "ppl": perplexity(self._nll, self._targets), "lr": learning_rate, "tokens_per_second": rate,
                   "loss_scale": loss_scale}
        self._write("train", step, figures,
                    f"step {step}/{self._total_steps}: loss {figures['loss']:.4f}, perplexity {figures['ppl']:.2f}, "
                    f"lr {learning_rate:.3g}, {rate:,.0f} tokens/s, {_clock(left)} left")
        self._clear_window()

    def _write(self, event: str, step: int, figures: dict[str, Any], line: str) -> None:
        entry = {"event": event, "step": step, **figures, "seconds": round(time.monotonic() - self._start, 3)}
        self._stream.write(json.dumps(entry) + "\n")
        self._stream.flush()
        print(line, flush=True)

    def _clear_window(self) -> None:
        self._loss = self._nll = 0.0
        self._targets = self._tokens = 0
        self._window_start = time.monotonic()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
