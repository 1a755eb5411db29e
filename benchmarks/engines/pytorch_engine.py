"""The peer: Hugging Face's BART of equal dimensions on PyTorch, trained as its users train it."""
import numpy as np
import torch
import transformers
from transformers import BartConfig, BartForConditionalGeneration

from benchmarks.engines.workload import Training
from config.config import ModelConfig
from src.dataset.batching.batch import Batch
from src.utils.dictionary import BOS_INDEX, EOS_INDEX, PAD_INDEX

BETAS = (0.9, 0.98)  # those of src/training/optimizer.py, whose import would load MindSpore


class PyTorchEngine:
    """Runs full training steps on the CPU with PyTorch's default threads and scaled_dot_product_attention.

    The optimizer is the fused form of Adam, the default of Hugging Face's Trainer. In bfloat16, the forward pass and
    the loss run in PyTorch's autocast, as they do with Trainer's option `bf16`.
    """

    def __init__(self, training: Training, seed: int):
        torch.manual_seed(seed)
        model = training.model
        self._network = BartForConditionalGeneration(bart_config(model))
        self._network.train()
        self._optimizer = torch.optim.Adam(self._network.parameters(), training.learn_rate.lr, betas=BETAS, fused=True)
        self._autocast = training.peer_type == "bfloat16"
        self._clip_norm = training.learn_rate.clip_norm
        self._loss = torch.nn.CrossEntropyLoss(ignore_index=PAD_INDEX, label_smoothing=model.label_smoothing)
        self.description = (f"PyTorch {torch.__version__}, transformers {transformers.__version__}, "
                            f"{torch.get_num_threads()} threads")
        self.weights = sum(parameter.numel() for parameter in self._network.parameters())

    def step(self, batch: Batch) -> float:
        """Update the weights on a batch with one example per row; return the mean loss over the target tokens."""
        source_ids, source_mask, decoder_input_ids, labels = (
            torch.from_numpy(array.astype(np.int64))
            for array in (batch.source_ids, batch.source_mask, batch.decoder_input_ids, batch.labels))
        # The decoder needs no mask for padding: it is at the end, where the causal mask already excludes it.
        with torch.autocast("cpu", torch.bfloat16, enabled=self._autocast):
            output = self._network(input_ids=source_ids, attention_mask=source_mask,
                                   decoder_input_ids=decoder_input_ids, use_cache=False)
            loss = self._loss(output.logits.flatten(0, 1), labels.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss.item()

    def wait(self) -> None:
        """Return at once: on the CPU, PyTorch's functions return when they have finished."""


def bart_config(model: ModelConfig) -> BartConfig:
    """Return the configuration of a BART with the dimensions of our network."""
    dropout = model.hidden_dropout_prob
    return BartConfig(
        vocab_size=model.vocab_size, d_model=model.hidden_size, max_position_embeddings=model.seq_length,
        encoder_layers=model.num_hidden_layers, decoder_layers=model.num_hidden_layers,
        encoder_attention_heads=model.num_attention_heads, decoder_attention_heads=model.num_attention_heads,
        encoder_ffn_dim=model.intermediate_size, decoder_ffn_dim=model.intermediate_size,
        activation_function=model.hidden_act, dropout=dropout, activation_dropout=dropout,
        attention_dropout=model.attention_dropout_prob, scale_embedding=True, pad_token_id=PAD_INDEX,
        bos_token_id=BOS_INDEX, eos_token_id=EOS_INDEX, decoder_start_token_id=BOS_INDEX,
        attn_implementation="sdpa")
