"""Streams of small random models read in the vocabulary through the model's own last map, and how predictions are composed.

    python make.py [OUT]      OUT defaults to the folder of this script

Of the decoders in ../decoders, and of models that are exported here because their last map is of another kind: masked-language heads
with a transform (BERT, post-norm) and with a factorised table (ALBERT), a scale of logits (Granite), a block in parallel with
attention and a scale (Cohere), an encoder-decoder with a bias of logits (BART). What is read is computed by the model's own modules:
`head(norm(x))` and what the model's forward does behind, with forward hooks for the streams. No two tops that are compared lie nearer than float32 can
tell; where they do, the next seed is taken.

`texts.txt` are the texts of the decoders, `NAME.pt2` the exported models with `NAME.safetensors`, their inputs; `expected.json` has for each model the table
`composition` over all positions (padding has none), the map from what is added and from streams being the model's own and values being multiplied with the
table alone (`values`: "table") or, where that has another width, read through the map too (`values`: "map").
"""

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
import torch
import transformers as t
from common import versions, write_json, write_tensors
from tokenizers import Tokenizer

NEAR = 2e-5
DECODERS = ["gpt2", "gpt2-scaled", "gpt_neox", "gpt_neox-sequential", "llama", "llama-llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"]
WORDS = "the keeper writes a book rain then asks who 7 boats, nobody reads it. he's grey and old, 31 years".split()


def texts():
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, size=rng.integers(1, 5)))[:24] for _ in range(12)]


class Hooks:
    """Outputs and first inputs of modules, by name."""

    def __init__(self):
        self.seen = {}

    def output(self, name, module):
        def hook(_, inputs, output):
            self.seen[name] = (output[0] if isinstance(output, tuple) else output).detach()

        module.register_forward_hook(hook)

    def input(self, name, module):
        module.register_forward_hook(lambda _, inputs, output: self.seen.__setitem__(name, inputs[0].detach()))


def decoder(name):
    """Model, blocks, what makes logits of the last stream, table, values `[neuron, channel]` of each layer."""
    folder = HERE.parent / "decoders" / name
    model = t.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    return model, folder


def causal_parts(model, hooks):
    kind = model.config.model_type
    if kind == "gpt2":
        layers, norm, head = model.transformer.h, model.transformer.ln_f, model.lm_head
        written = [layer.mlp for layer in layers]
        values = [layer.mlp.c_proj.weight for layer in layers]
    elif kind == "gpt_neox":
        layers, norm, head = model.gpt_neox.layers, model.gpt_neox.final_layer_norm, model.get_output_embeddings()
        written = [layer.mlp for layer in layers]
        values = [layer.mlp.dense_4h_to_h.weight.T for layer in layers]
    else:
        layers, norm, head = model.model.layers, model.model.norm, model.lm_head
        written = [getattr(layer, "post_feedforward_layernorm", layer.mlp) for layer in layers]
        values = [layer.mlp.down_proj.weight.T for layer in layers]
    parallel = kind == "cohere" or (kind == "gpt_neox" and model.config.use_parallel_residual)
    for i, layer in enumerate(layers):
        hooks.output(f"after.{i}", layer)
        hooks.output(f"written.{i}", written[i])

    def logits(x):
        x = head(norm(x))
        cap = getattr(model.config, "final_logit_softcapping", None)
        if cap is not None:
            x = torch.tanh(x / cap) * cap
        if kind == "cohere":
            x = x * model.config.logit_scale
        if kind == "granite":
            x = x / model.config.logits_scaling
        return x

    factor = getattr(model.config, "residual_multiplier", 1.0)

    def streams(seen, i):
        y, o = seen[f"written.{i}"] * factor, seen[f"after.{i}"]
        return o - y, y, o

    return dict(layers=len(layers), stream=logits, sum=logits, streams=streams, table=head.weight,
                values=[v.detach() for v in values], parallel=parallel)


def masked_parts(model, hooks):
    if model.config.model_type == "albert":
        group = model.albert.encoder.albert_layer_groups[0].albert_layers[0]
        last, head, table = group.full_layer_layer_norm, model.predictions, None
        count = model.config.num_hidden_layers
        calls = {"before": [], "written": [], "after": []}
        group.ffn.register_forward_hook(lambda _, i, o: calls["before"].append(i[0].detach()))
        group.ffn_output.register_forward_hook(lambda _, i, o: calls["written"].append(o.detach()))
        group.register_forward_hook(lambda _, i, o: calls["after"].append((o[0] if isinstance(o, tuple) else o).detach()))

        def streams(seen, i):
            return calls["before"][i], calls["written"][i], calls["after"][i]

        values = [group.ffn_output.weight.T.detach()] * count
    else:
        layers, head = model.bert.encoder.layer, model.cls
        last, table, count = layers[-1].output.LayerNorm, model.cls.predictions.decoder.weight, len(layers)
        for i, layer in enumerate(layers):
            hooks.input(f"before.{i}", layer.intermediate)
            hooks.output(f"written.{i}", layer.output.dense)
            hooks.output(f"after.{i}", layer)

        def streams(seen, i):
            return seen[f"before.{i}"], seen[f"written.{i}"], seen[f"after.{i}"]

        values = [layer.output.dense.weight.T.detach() for layer in layers]
    return dict(layers=count, stream=head, sum=lambda x: head(last(x)), streams=streams, table=table, values=values,
                parallel=False)


def bart_parts(model, hooks):
    layers, head = model.model.decoder.layers, model.lm_head
    for i, layer in enumerate(layers):
        hooks.input(f"before.{i}", layer.fc1)
        hooks.output(f"written.{i}", layer.fc2)
        hooks.output(f"after.{i}", layer)

    def stream(x):
        return head(x) + model.final_logits_bias

    last = layers[-1].final_layer_norm
    return dict(layers=len(layers), stream=stream, sum=lambda x: stream(last(x)),
                streams=lambda seen, i: (seen[f"before.{i}"], seen[f"written.{i}"], seen[f"after.{i}"]),
                table=head.weight, values=[layer.fc2.weight.T.detach() for layer in layers], parallel=False)


def flat(rows, keep):
    return torch.cat([row[0] if row.ndim == 3 else row for row in rows])[keep]


def composition(model, batches, parts, hooks):
    """The table over all positions, or None if two tops are too near to tell."""
    collected = []
    with torch.no_grad():
        for batch in batches:
            hooks.seen = {}
            logits = model(**batch).logits
            rows = [parts["streams"](hooks.seen, i) for i in range(parts["layers"])]
            assert (parts["stream"](rows[-1][2]) - logits).abs().max() < 1e-4, "the last stream is read as the model does"
            collected.append((rows, logits))

    def positions(x):
        return torch.cat([row.reshape(-1, row.shape[-1]) for row in x])

    own = positions([logits for _, logits in collected])
    near = []

    def tops(scores):
        best = torch.topk(scores.double(), 2).values
        near.append(float((best[:, 0] - best[:, 1]).min()))
        return scores.argmax(-1)

    end = tops(own)
    table = {}
    with torch.no_grad():
        for i in range(parts["layers"] if not parts["parallel"] else 0):
            r, y, o = (positions([rows[i][part] for rows, _ in collected]) for part in range(3))
            of_r = parts["stream"](r)
            top_r, top_y, top_o = tops(of_r), tops(parts["sum"](y)), tops(parts["stream"](o))
            if parts["table"] is None:
                as_value = top_y
                of_values = tops(parts["sum"](parts["values"][i]))
            else:
                as_value = tops(y @ parts["table"].T)
                of_values = tops(parts["values"][i] @ parts["table"].T)
            share = lambda mask: float(mask.double().mean())
            row = {
                "residual": share((top_o == top_r) & (top_r != top_y)),
                "agreement": share((top_o == top_r) & (top_r == top_y)),
                "ffn": share((top_o == top_y) & (top_y != top_r)),
                "composition": share((top_o != top_r) & (top_o != top_y)),
                "zero_agreement": share(~torch.isin(as_value, of_values)),
                "decided": share(top_r == end),
                "probability": float(torch.softmax(of_r.double(), -1)[torch.arange(len(end)), end].mean()),
            }
            for name, value in row.items():
                table.setdefault(name, []).append(value)
    if min(near) < NEAR:
        return None
    return dict(positions=len(own), composition=table, values="map" if parts["table"] is None else "table", margin=min(near))


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            scale = parameter.ndim == 1 and not name.endswith("bias")
            parameter.copy_(1.0 + 0.3 * noise if scale else 0.35 * noise)
        for name, buffer in model.named_buffers():
            if name == "final_logits_bias":
                buffer.copy_(torch.randn(buffer.shape, generator=generator))
    return model.eval()


SIZES = dict(vocab_size=44, hidden_size=16, num_attention_heads=4, num_hidden_layers=2, intermediate_size=24,
             max_position_embeddings=32, bos_token_id=1, eos_token_id=2, pad_token_id=0)


def exported():
    one = dict(SIZES, num_key_value_heads=2)
    return {
        "bert_mlm": (t.BertForMaskedLM, t.BertConfig(**SIZES, type_vocab_size=2, attn_implementation="eager"), masked_parts),
        "albert_mlm": (t.AlbertForMaskedLM,
                       t.AlbertConfig(**SIZES, embedding_size=8, type_vocab_size=2, attn_implementation="eager"), masked_parts),
        "granite": (t.GraniteForCausalLM,
                    t.GraniteConfig(**one, logits_scaling=3.0, residual_multiplier=0.6, embedding_multiplier=2.0), causal_parts),
        "cohere": (t.CohereForCausalLM, t.CohereConfig(**one, logit_scale=0.25), causal_parts),
        "bart": (t.BartForConditionalGeneration,
                 t.BartConfig(vocab_size=44, d_model=16, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
                              decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=32,
                              bos_token_id=1, eos_token_id=2, pad_token_id=0, decoder_start_token_id=2), bart_parts),
    }


def export(name, out):
    kind, config, build = exported()[name]
    config.use_cache = False
    for seed in range(31, 91):
        torch.manual_seed(seed)
        model = randomise(kind(config), seed)
        ids = torch.randint(3, 44, (6, 7), generator=torch.Generator().manual_seed(seed))
        inputs = {"input_ids": ids}
        if name == "bart":
            inputs["decoder_input_ids"] = torch.randint(3, 44, (6, 7), generator=torch.Generator().manual_seed(seed + 1))
        hooks = Hooks()
        found = composition(model, [inputs], build(model, hooks), hooks)
        if found is None:
            continue
        plain = kind(config).eval()
        plain.load_state_dict(model.state_dict())
        with torch.no_grad():
            program = torch.export.export(plain, (), inputs, strict=False)
        for node in program.graph.nodes:  # half of the file, and lines of another machine
            node.meta.pop("stack_trace", None)
        torch.export.save(program, out / f"{name}.pt2")
        write_tensors(out / f"{name}.safetensors", {key: value.numpy() for key, value in inputs.items()},
                      {key: ["sample", "token"] for key in inputs}, made_by="lens/make.py", seed=seed)
        return dict(found, seed=seed)
    raise SystemExit(f"{name}: no seed tells its tops apart")


def main(out):
    torch.set_num_threads(1)
    t.utils.logging.set_verbosity_error()
    lines = texts()
    (out / "texts.txt").write_text("\n".join(lines) + "\n")
    expected = {}
    for name in DECODERS:
        model, folder = decoder(name)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        hooks = Hooks()
        batches = [{"input_ids": torch.tensor([tokenizer.encode(line).ids])} for line in lines]
        expected[name] = composition(model, batches, causal_parts(model, hooks), hooks)
        print(name, expected[name])
    for name in exported():
        expected[name] = export(name, out)
        print(name, expected[name])
    write_json(out / "expected.json", {"made_with": versions(), "models": expected})


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
