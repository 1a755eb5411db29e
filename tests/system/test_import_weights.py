"""Run folders made of Pegasus models from elsewhere, and the models that are refused."""
import json

import numpy as np
import pytest
from mindspore import Parameter, Tensor, save_checkpoint
from safetensors.numpy import save_file

from src.checkpoints.compatibility import VocabularyUse
from src.checkpoints.find import find_model
from src.checkpoints.load import load_into
from src.common.errors import MassError, UsageError
from src.export.huggingface.names import SHARED, pegasus_name
from src.export.importer import import_model
from src.inference.model import load_model
from src.transformer.operators.mindspore_operators import MindSporeOperators
from src.transformer.positional_embedding import sinusoids
from src.transformer.transformer import Transformer
from src.utils.dictionary import Dictionary
from src.utils.load_weights import load_weights
from tests.helpers.exporting import PEGASUS_CONFIG, write_pegasus
from tests.helpers.tiny_network import MODEL, named_arrays


def test_special_tokens_come_first_in_the_vocabulary(tmp_path):
    source = write_pegasus(tmp_path / "pegasus")
    path = import_model(source, str(tmp_path / "run"), overrides=["model_config.seq_length=8"])
    files = find_model(checkpoint=path)
    assert files.vocabulary.tokens[:8] == ["<pad>", "<s>", "</s>", "<unk>", "<mask>", "<mask_1>", "▁word0", "▁word1"]
    assert files.vocabulary.tokens[-6:] == ["<id_25>", "<id_26>", "<id_27>", "<id_28>", "<id_29>", "<id_30>"]
    table, original = load_weights(path).arrays["embedding.table"], load_weights(source + "/model.safetensors")
    expected = original.arrays[SHARED][[0, 0, 1, 4, 3, 2, *range(5, MODEL.vocab_size)]]
    np.testing.assert_array_equal(table, expected)
    model = files.config.model_config
    assert (model.seq_length, model.position_encoding, model.hidden_dropout_prob) == (8, "pegasus", 0.3)


def test_an_imported_pegasus_computes_what_transformers_does(tmp_path):
    transformers = pytest.importorskip("transformers", reason="requirements-export.txt is not installed")
    torch = pytest.importorskip("torch", reason="requirements-export.txt is not installed")
    torch.manual_seed(0)
    theirs = transformers.PegasusForConditionalGeneration(transformers.PegasusConfig(**PEGASUS_CONFIG)).eval()
    for parameter in theirs.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    source = write_pegasus(tmp_path / "pegasus")
    theirs.save_pretrained(source)
    path = import_model(source, str(tmp_path / "run"))
    exact = ("model_config.compute_type=float32",)
    ours = load_model(find_model(checkpoint=path, overrides=exact)).network.transformer
    row_of = [0, 0, 1, 4, 3, 2, *range(5, MODEL.vocab_size)]
    rows = {ours: theirs for ours, theirs in enumerate(row_of)}
    source_ids, target_ids = [[9, 7, 12, 2]], [[1, 8, 10]]
    ones = Tensor(np.ones((1, 4), np.int32))
    states = ours(Tensor(np.array(source_ids, np.int32)), Tensor(np.arange(4, dtype=np.int32)[None]), ones, ones,
                  Tensor(np.array(target_ids, np.int32)), Tensor(np.arange(3, dtype=np.int32)[None]),
                  Tensor(np.ones((1, 3), np.int32)), ours.no_dropout_seed)
    logits = ours.embedding.logits(states).asnumpy()
    with torch.inference_mode():
        expected = theirs(input_ids=torch.tensor([[rows[i] for i in source_ids[0]]]),
                          decoder_input_ids=torch.tensor([[rows[i] for i in target_ids[0]]])).logits[0].numpy()
    np.testing.assert_allclose(logits, expected[:, row_of], atol=1e-5)


def test_a_given_vocabulary_keeps_the_order_of_ids(tmp_path):
    vocabulary = Dictionary((f"word{i}", 1) for i in range(MODEL.vocab_size - 5))
    vocabulary.persistence(str(tmp_path / "words.bin"))
    positions = sinusoids(MODEL.max_position_embeddings, MODEL.hidden_size)
    source = write_pegasus(tmp_path / "pegasus", {"model.encoder.embed_positions.weight": positions},
                           eos_token_id=2, decoder_start_token_id=1)
    path = import_model(source, str(tmp_path / "run"), vocabulary=str(tmp_path / "words.bin"))
    original, imported = load_weights(source + "/model.safetensors").arrays, load_weights(path).arrays
    assert all(np.array_equal(array, original[pegasus_name(name)]) for name, array in imported.items())
    assert find_model(checkpoint=path).config.model_config.position_encoding == "tensor2tensor"


@pytest.mark.parametrize("config, arrays, message", [
    ({"model_type": "bart"}, {}, "model of type 'bart': only pegasus has the architecture"),
    ({"decoder_layers": 1}, {}, "encoder and decoder differ in layers"),
    ({"scale_embedding": False}, {}, "needs scale_embedding true"),
    ({"activation_function": "swish"}, {}, "activation_function relu or gelu, found True and 'swish'"),
    ({"d_model": None}, {}, "lacks d_model"),
    ({"d_model": 8}, {}, "model.shared.weight has shape [31, 16], but config.json says [31, 8]"),
    ({"encoder_ffn_dim": 8, "decoder_ffn_dim": 8}, {}, "fc1.weight has shape [24, 16], but config.json says [8, 16]"),
    ({"encoder_layers": 3, "decoder_layers": 3}, {}, "missing is model.encoder.layers.2.fc1.weight"),
    ({"encoder_layers": 1, "decoder_layers": 1}, {}, "not of this network are model.decoder.layers.1."),
    ({"max_position_embeddings": 10**12}, {}, "max_position_embeddings is 1000000000000, but must be a whole number"),
    ({"vocab_size": "31"}, {}, "vocab_size is '31', but must be a whole number"),
    ({"eos_token_id": 31}, {}, "eos_token_id is 31, but there are 31 tokens"),
    ({}, {"model.encoder.extra.weight": np.zeros(2, np.float32)}, "not of this network are model.encoder.extra.weight"),
    ({}, {"model.encoder.embed_positions.weight": np.ones((12, 16), np.float32)}, "learned positions cannot be"),
    ({}, {"final_logits_bias": np.ones((1, 31), np.float32)}, "final_logits_bias is not 0"),
    ({}, {"lm_head.weight": np.ones((31, 16), np.float32)}, "lm_head.weight differs from model.shared.weight"),
    ({"mass_vocabulary_fingerprint": "0" * 64}, {}, "has no export.json: name the exported folder"),
])
def test_other_models_are_refused(tmp_path, config, arrays, message):
    source = write_pegasus(tmp_path / "pegasus", arrays, **config)
    with pytest.raises(MassError) as error:
        import_model(source, str(tmp_path / "run"))
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_weights_in_several_files_are_read(tmp_path):
    source = write_pegasus(tmp_path / "pegasus")
    arrays = load_weights(source + "/model.safetensors").arrays
    names = sorted(arrays)
    parts = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    for part, held in parts.items():
        save_file({name: arrays[name] for name in held}, f"{source}/{part}")
    (tmp_path / "pegasus" / "model.safetensors").unlink()
    index = tmp_path / "pegasus" / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {name: part for part, held in parts.items() for name in held}}))
    imported = load_weights(import_model(source, str(tmp_path / "run"))).arrays
    assert all(np.array_equal(array, arrays[pegasus_name(name)]) for name, array in imported.items()
               if name != "embedding.table")
    index.write_text('{"weight_map": {"a": "../model-1.safetensors"}}')
    with pytest.raises(MassError, match="only a plain file name"):
        import_model(source, str(tmp_path / "other"))


def test_missing_files_and_wrong_arguments_are_named(tmp_path):
    source = write_pegasus(tmp_path / "pegasus")
    run = str(tmp_path / "run")
    with pytest.raises(UsageError, match="exists: choose another name"):
        import_model(source, source)
    with pytest.raises(UsageError, match="choose one"):
        import_model(source, run, like=source, vocabulary="words.bin")
    with pytest.raises(MassError, match="is no folder of export.py, no run folder and no checkpoint"):
        import_model(source, run, like=source)
    Dictionary([("word", 1)]).persistence(str(tmp_path / "words.bin"))
    with pytest.raises(MassError, match="has 6 tokens, but the model .* has 31"):
        import_model(source, run, vocabulary=str(tmp_path / "words.bin"))
    tokenizer = tmp_path / "pegasus" / "tokenizer.json"
    for content in ("[]", "{}", '{"model": {"vocab": 5}}', '{"model": {"vocab": {"a": "b"}}}', "{", "[" * 10**5,
                    '{"model": {"unk_id": 99, "vocab": {"a": 1}}}'):
        tokenizer.write_text(content)
        with pytest.raises(MassError, match="tokenizer.json"):
            import_model(source, run)
    (tmp_path / "pegasus" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(MassError, match="cannot be read"):
        import_model(source, run)
    (tmp_path / "pegasus" / "model.safetensors").unlink()
    with pytest.raises(MassError, match="weights are read from safetensors only"):
        import_model(source, run)


MODULES = {"self_attention": {"encoder": "attention", "decoder": "masked_attn"},
           "cross_attention": {"decoder": "enc_dec_attn"}}


def model_zoo_name(name):
    """The name that the earlier implementation gives to one of our weights."""
    parts = name.split(".")
    if name == "embedding.table":
        return "transformer.transformer.embedding_lookup.embedding_table"
    side, *rest = parts
    if rest[0] == "norm":
        norm = "layer_norm" if side == "encoder" else "layer_preprocess"
        return f"transformer.transformer.{side}.{norm}.layer_norm.{rest[1]}"
    number, module, *rest = rest[1:]
    kind = module.removesuffix("_norm")
    theirs = MODULES[kind][side] if kind in MODULES else "feed_forward_net"
    if module.endswith("_norm"):
        inner = ["layer_norm", "layer_norm", *rest]
    elif kind in MODULES:
        inner = ["multi_head_self_attention", f"{rest[0].replace('output', 'out')}_layer", *rest[1:]]
    else:
        inner = rest
    return ".".join(["transformer.transformer", side, "layers", number, theirs, *inner])


def test_weights_of_the_earlier_implementation_are_refused_with_the_reason(tmp_path):
    """Their shapes agree, but keys and values of self-attention are computed of states that are not normalized."""
    network = Transformer(MODEL, MindSporeOperators())
    path = str(tmp_path / "earlier.ckpt")
    save_checkpoint([{"name": model_zoo_name(name), "data": Parameter(Tensor(array))}
                     for name, array in named_arrays(network).items()], path)
    assert len(load_weights(path).arrays) == len(named_arrays(network))
    with pytest.raises(MassError, match="earlier implementation of MASS .* states that are not normalized"):
        import_model(path, str(tmp_path / "run"))
    with pytest.raises(MassError, match="earlier implementation of MASS .* states that are not normalized"):
        load_into(network, path, MODEL, VocabularyUse("the vocabulary", "", MODEL.vocab_size, "0"))


def test_a_file_is_no_model_to_import(tmp_path):
    path = str(tmp_path / "own.ckpt")
    save_checkpoint([{"name": "embedding.table", "data": Parameter(Tensor(np.ones((4, 2), np.float32)))}], path)
    for name in (path, __file__):
        with pytest.raises(UsageError, match="is a file, but must be the folder of a Hugging Face model"):
            import_model(name, str(tmp_path / "run"))
