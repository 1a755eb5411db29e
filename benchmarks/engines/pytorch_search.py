"""The peer: Hugging Face's `generate` on a BART of equal sizes."""
import numpy as np
import torch
import transformers
from transformers import BartForConditionalGeneration

from benchmarks.engines.pytorch_engine import bart_config
from benchmarks.engines.search_workload import SearchSettings, Sources


class PyTorchSearch:
    """Beam search with a cache and scaled_dot_product_attention, on the CPU with PyTorch's default threads."""

    def __init__(self, settings: SearchSettings, seed: int):
        torch.manual_seed(seed)
        transformers.logging.set_verbosity_error()
        self._network = BartForConditionalGeneration(bart_config(settings.model)).eval()
        self.description = (f"PyTorch {torch.__version__}, transformers {transformers.__version__}, "
                            f"{torch.get_num_threads()} threads")
        self.weights = sum(parameter.numel() for parameter in self._network.parameters())

    def step(self, sources: Sources) -> float:
        """Return the length of the predictions, without the <s> that they begin with."""
        ids = torch.from_numpy(sources.ids.astype(np.int64))
        with torch.inference_mode():
            found = self._network.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), num_beams=sources.beam, do_sample=False,
                min_new_tokens=sources.prediction_length, max_new_tokens=sources.prediction_length, length_penalty=1.0,
                early_stopping=False, use_cache=True)
        return found.shape[1] - 1

    def wait(self) -> None:
        """Return at once: on the CPU, PyTorch returns when the result is there."""
