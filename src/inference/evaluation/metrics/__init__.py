"""The registry of metrics: to add one, write a file beside this one and add its class to the list.

Importing this package does not import MindSpore.
"""
from src.inference.evaluation.metrics.metric import Metric
from src.inference.evaluation.metrics.perplexity import Perplexity
from src.inference.evaluation.metrics.rouge import Rouge

METRICS: dict[str, type[Metric]] = {metric.name: metric for metric in (
    Rouge,  # the first one is the default
    Perplexity,
)}
"""All metrics by name."""

DEFAULT_METRIC = next(iter(METRICS))
