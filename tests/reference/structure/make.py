"""Graphs of small random transformers models, with what their configurations say is in them.

Usage: python structure/make.py [folder] [name ...]

Writes one NAME.json.gz per export: the graph in fMRAi's format (operations in execution order, tensors in order of
first appearance), and `expected.json`: per graph the numbers of blocks, taken from the configuration and from the
modules of the eager model, never from the graph.
"""

import gzip
import json
import math
import sys
import traceback
from pathlib import Path

import torch
import transformers as t
from torch.export.graph_signature import InputKind

SEED = 20210905
HIDDEN, LAYERS, HEADS, INNER, VOCABULARY = 32, 2, 4, 48, 120
BATCH, TOKENS = 2, 7

DTYPES = {
    torch.uint8: "uint8", torch.int8: "int8", torch.int16: "int16", torch.int32: "int32", torch.int64: "int64",
    torch.float16: "float16", torch.float32: "float32", torch.float64: "float64", torch.complex64: "complex64",
    torch.complex128: "complex128", torch.bool: "bool", torch.bfloat16: "bfloat16",
}
SCALAR_TYPES = {
    torch.uint8: 0, torch.int8: 1, torch.int16: 2, torch.int32: 3, torch.int64: 4, torch.float16: 5, torch.float32: 6,
    torch.float64: 7, torch.complex64: 9, torch.complex128: 10, torch.bool: 11, torch.bfloat16: 15,
}
# Called or not depending on sizes, so no operations of the graph.
TRANSPARENT = {"aten::contiguous"}


# ---------------------------------------------------------------------------------------------------- graphs


def number(x):
    x = float(x)
    return x if math.isfinite(x) else {math.inf: "inf", -math.inf: "-inf"}.get(x, "NaN")


class Graph:
    """Writes an exported program down as a recorded run would be."""

    def __init__(self, program):
        self.program, self.operations, self.tensors, self.ids = program, [], [], {}
        self.leaves, shared = {}, {}
        for spec in program.graph_signature.input_specs:
            if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
                data = program.state_dict.get(spec.target, program.constants.get(spec.target))
                key = (data.data_ptr(), tuple(data.shape), data.stride()) if data.numel() else spec.target
                self.leaves[spec.arg.name] = ("parameter", shared.setdefault(key, spec.target))
            elif spec.kind is InputKind.USER_INPUT:
                self.leaves[spec.arg.name] = ("input", spec.arg.name)
            else:
                self.leaves[spec.arg.name] = ("constant", spec.target or spec.arg.name)
        self.module = ""
        for node in program.graph.nodes:
            if node.op == "call_function":
                self.call(node)

    def tensor(self, value, origin, name=None, version_of=None, on_request=False):
        entry = {"id": len(self.tensors), "name": name, "dtype": DTYPES.get(value.dtype, "other"),
                 "shape": [int(n) for n in value.shape], "origin": origin}
        if name is None:
            del entry["name"]
        if version_of is not None:
            entry["version_of"] = version_of
        if on_request:
            entry["on_request"] = True
        self.tensors.append(entry)
        return entry["id"]

    def id(self, node):
        if node.op == "placeholder":
            origin, name = self.leaves[node.name]
            key = (origin, name)
            if key not in self.ids:
                self.ids[key] = self.tensor(node.meta["val"], origin, None if origin == "constant" else name)
            return self.ids[key]
        return self.ids[node]

    def value(self, kind, x):
        kind = str(kind)
        node = isinstance(x, torch.fx.Node)
        if node and isinstance(x.meta.get("val"), torch.Tensor):
            return {"tensor": self.id(x)}
        if node:
            x = x.meta["val"]
        if isinstance(x, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            x = x.node.hint
        if x is None:
            return "none"
        if isinstance(x, torch.dtype):
            return {"int": SCALAR_TYPES.get(x, 99)}
        if isinstance(x, bool):
            return {"bool": x}
        if isinstance(x, int):
            return {"size": x} if "SymInt" in kind else {"int": x}
        if isinstance(x, float):
            return {"float": number(x)}
        if isinstance(x, str):
            return {"text": x}
        if isinstance(x, (list, tuple)):
            if "Tensor" in kind:
                return {"tensors": [None if y is None else self.id(y) for y in x]}
            plain = [y.meta["val"] if isinstance(y, torch.fx.Node) else y for y in x]
            plain = [y.node.hint if isinstance(y, torch.SymInt) else y for y in plain]
            if all(isinstance(y, bool) for y in plain) and plain:
                return {"bools": plain}
            if all(isinstance(y, int) for y in plain):
                return {"sizes" if "SymInt" in kind else "ints": plain}
            return {"floats": [number(y) for y in plain]}
        return {"other": type(x).__name__}

    def call(self, node):
        target = node.target
        if not isinstance(target, torch._ops.OpOverload):
            if getattr(target, "__name__", "") == "getitem":
                self.ids[node] = self.ids[(node.args[0], node.args[1])]
            elif isinstance(node.meta.get("val"), torch.Tensor):
                raise ValueError(f"cannot write down {target}")
            return  # arithmetic on sizes
        schema = target._schema
        name = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        results = node.meta.get("val")
        many = isinstance(results, (list, tuple))
        values = list(results) if many else [results]
        if name.startswith("aten::sym_") or any(isinstance(v, (torch.SymInt, int, float, bool)) for v in values):
            return
        if name in TRANSPARENT:
            self.ids[node] = self.id(node.args[0])
            return
        arguments, written = [], None
        for i, argument in enumerate(schema.arguments):
            if i < len(node.args):
                x = node.args[i]
            elif argument.name in node.kwargs:
                x = node.kwargs[argument.name]
            else:
                x = argument.default_value if argument.has_default_value() else None
            arguments.append({"name": argument.name, "value": self.value(argument.type, x)})
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(x, torch.fx.Node):
                written = x
        stack = node.meta.get("nn_module_stack") or {}
        module = list(stack.values())[-1][0] if stack else ""
        ordinal = len(self.operations)
        outputs = []
        for position, value in enumerate(values):
            if not isinstance(value, torch.Tensor):
                continue
            origin = {"operation": {"operation": ordinal, "output": len(outputs)}}
            old = self.id(written) if written is not None and not many else None
            made = self.tensor(value, origin, version_of=old)
            outputs.append(made)
            if many:
                self.ids[(node, position)] = made
            else:
                self.ids[node] = made
            if old is not None:
                key = self.leaves[written.name] if written.op == "placeholder" else written
                self.ids[key] = made
        if name.startswith("aten::scaled_dot_product_attention"):
            query, key = node.args[0].meta["val"], node.args[1].meta["val"]
            probabilities = query.new_empty([*query.shape[:-1], key.shape[-2]])
            origin = {"operation": {"operation": ordinal, "output": len(outputs)}}
            outputs.append(self.tensor(probabilities, origin, on_request=True))
        operation = {"id": ordinal, "name": name, "arguments": arguments, "outputs": outputs}
        if module:
            operation["module"] = module
        self.operations.append(operation)

    def json(self):
        return {"format": 1, "operations": self.operations, "tensors": self.tensors}


# ---------------------------------------------------------------------------------------------------- models

SMALL = dict(
    hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
    vocab_size=VOCABULARY, max_position_embeddings=64,
)
BERT = dict(layers=LAYERS, function="gelu", norms_of_stream=True)


def ids(**more):
    return dict(input_ids=torch.randint(5, VOCABULARY, (BATCH, TOKENS)), **more)


def masked():
    return ids(attention_mask=torch.ones(BATCH, TOKENS, dtype=torch.int64))


def pixels(size, channels=3):
    return dict(pixel_values=torch.randn(BATCH, channels, size, size))


def want(n=LAYERS, neurons=INNER, function="gelu", gated=False, experts=None, cross=0, residual=None, streams=1,
         unembedding=VOCABULARY, position=0, token=1, token_type=0, relative=0, patch=0, head=0, shared=0,
         attention=None, stem=0, ffn=None):
    """What a configuration says: `n` layers, each with one attention and one feed-forward block."""
    attention = n if attention is None else attention
    ffn = n if ffn is None else ffn
    return dict(
        attention=attention, cross_attention=cross, ffn=ffn, shared_expert=shared, neurons=neurons, function=function,
        gated=gated, experts=experts, residual=attention + cross + ffn if residual is None else residual, streams=streams,
        unembedding=unembedding, head=head,
        embeddings={k: v for k, v in dict(token=token, position=position, token_type=token_type, patch=patch,
                                          relative_position=relative, stem=stem).items() if v})


def models():
    """Name -> (function that makes model and inputs, expectation)."""
    rope = dict(num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    llama = dict(SMALL, **rope)
    small_image = dict(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
                       image_size=16, patch_size=8)
    silu = dict(function="silu", gated=True)
    out = {}

    def add(name, config, architecture, inputs, expected, both=True, **more):
        def make(attention):
            c = config()
            for key, value in more.items():
                setattr(c, key, value)
            torch.manual_seed(SEED)
            model = architecture._from_config(c, attn_implementation=attention) if attention else architecture(c)
            return model.eval(), inputs()
        for attention in (("eager", "sdpa") if both else ("eager",)):
            out[f"{name}_{attention}"] = (lambda a=attention: make(a), expected)

    add("bert", lambda: t.BertConfig(**SMALL), t.BertForMaskedLM, masked, want(position=1, token_type=1))
    add("bert_classifier", lambda: t.BertConfig(**SMALL, num_labels=3), t.BertForSequenceClassification, masked,
        want(position=1, token_type=1, unembedding=0, head=1), both=False)
    add("bert_gelu_new", lambda: t.BertConfig(**SMALL, hidden_act="gelu_new"), t.BertModel, masked,
        want(position=1, token_type=1, unembedding=0, function="gelu_tanh"), both=False)
    add("distilbert", lambda: t.DistilBertConfig(vocab_size=VOCABULARY, dim=HIDDEN, n_layers=LAYERS, n_heads=HEADS,
        hidden_dim=INNER, max_position_embeddings=64), t.DistilBertForMaskedLM, masked, want(position=1))
    add("roberta", lambda: t.RobertaConfig(**SMALL, pad_token_id=1), t.RobertaForMaskedLM, masked,
        want(position=1, token_type=1))
    add("albert", lambda: t.AlbertConfig(**SMALL, embedding_size=16, hidden_act="gelu_new"), t.AlbertForMaskedLM, masked,
        want(position=1, token_type=1, function="gelu_tanh"))
    add("electra", lambda: t.ElectraConfig(**SMALL, embedding_size=16), t.ElectraForPreTraining, masked,
        want(position=1, token_type=1, unembedding=0, head=1), both=False)
    gpt2 = dict(vocab_size=VOCABULARY, n_positions=64, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS, n_inner=INNER,
                bos_token_id=1, eos_token_id=2)
    add("gpt2", lambda: t.GPT2Config(**gpt2), t.GPT2LMHeadModel, masked, want(position=1, function="gelu_tanh"),
        use_cache=False)
    add("gpt_neox", lambda: t.GPTNeoXConfig(**SMALL, bos_token_id=1, eos_token_id=2), t.GPTNeoXForCausalLM, masked,
        want(residual=LAYERS), use_cache=False)
    add("opt", lambda: t.OPTConfig(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, ffn_dim=INNER,
        vocab_size=VOCABULARY, max_position_embeddings=64, word_embed_proj_dim=HIDDEN), t.OPTForCausalLM, masked,
        want(position=1, function="relu"), use_cache=False)
    add("llama", lambda: t.LlamaConfig(**llama), t.LlamaForCausalLM, masked, want(**silu), use_cache=False)
    add("qwen2", lambda: t.Qwen2Config(**llama), t.Qwen2ForCausalLM, masked, want(**silu), use_cache=False)
    add("qwen3", lambda: t.Qwen3Config(**llama, head_dim=8), t.Qwen3ForCausalLM, masked, want(**silu), use_cache=False)
    add("mistral", lambda: t.MistralConfig(**llama, sliding_window=4), t.MistralForCausalLM, masked, want(**silu),
        use_cache=False)
    add("phi3", lambda: t.Phi3Config(**llama), t.Phi3ForCausalLM, masked, want(**silu), use_cache=False)
    gemma = dict(function="gelu_tanh", gated=True)
    add("gemma2", lambda: t.Gemma2Config(**llama, head_dim=8), t.Gemma2ForCausalLM, masked, want(**gemma), both=False,
        use_cache=False)
    add("gemma3", lambda: t.Gemma3TextConfig(**llama, head_dim=8), t.Gemma3ForCausalLM, masked, want(**gemma),
        use_cache=False)
    add("cohere", lambda: t.CohereConfig(**llama), t.CohereForCausalLM, masked,
        want(function="silu", gated=True, residual=2 * LAYERS), use_cache=False)
    add("phi", lambda: t.PhiConfig(**llama), t.PhiForCausalLM, masked, want(function="gelu_tanh", residual=LAYERS), use_cache=False,
        both=False)
    add("olmo2", lambda: t.Olmo2Config(**llama), t.Olmo2ForCausalLM, masked, want(**silu), use_cache=False, both=False)
    for experts in ("batched_mm", "grouped_mm"):
        moe = want(experts=4, **silu)
        add(f"mixtral_{experts}", lambda: t.MixtralConfig(**llama, num_local_experts=4), t.MixtralForCausalLM, masked, moe,
            use_cache=False, _experts_implementation=experts)
        add(f"qwen2_moe_{experts}", lambda: t.Qwen2MoeConfig(**llama, num_experts=4, moe_intermediate_size=INNER,
            num_experts_per_tok=2, shared_expert_intermediate_size=INNER), t.Qwen2MoeForCausalLM, masked,
            want(experts=4, shared=LAYERS, residual=2 * LAYERS, **silu), use_cache=False, both=False,
            _experts_implementation=experts)
    add("gpt_oss", lambda: t.GptOssConfig(**llama, head_dim=8, num_local_experts=4, num_experts_per_tok=2, sliding_window=4),
        t.GptOssForCausalLM, masked, want(experts=4, function="quick_gelu", gated=True), use_cache=False,
        both=False, _experts_implementation="batched_mm")
    t5 = dict(vocab_size=VOCABULARY, d_model=HIDDEN, d_kv=8, d_ff=INNER, num_layers=LAYERS, num_decoder_layers=LAYERS,
              num_heads=HEADS, decoder_start_token_id=0)
    pair = lambda: masked() | dict(decoder_input_ids=torch.randint(5, VOCABULARY, (BATCH, 5)))
    both = dict(attention=2 * LAYERS, cross=LAYERS, ffn=2 * LAYERS, streams=2, token=2)
    add("t5", lambda: t.T5Config(**t5), t.T5ForConditionalGeneration, pair, want(function="relu", relative=2, **both),
        use_cache=False)
    add("t5_gated", lambda: t.T5Config(**t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False),
        t.T5ForConditionalGeneration, pair, want(function="gelu_tanh", gated=True, relative=2, **both), use_cache=False)
    bart = dict(vocab_size=VOCABULARY, d_model=HIDDEN, encoder_layers=LAYERS, decoder_layers=LAYERS,
                encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=INNER, decoder_ffn_dim=INNER,
                max_position_embeddings=64)
    add("bart", lambda: t.BartConfig(**bart), t.BartForConditionalGeneration, pair, want(position=2, **both), use_cache=False)
    add("vit", lambda: t.ViTConfig(**small_image, num_labels=5), t.ViTForImageClassification, lambda: pixels(16),
        want(token=0, unembedding=0, head=1, position=1, patch=1))
    clip_text = dict(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
                     vocab_size=VOCABULARY, max_position_embeddings=64, projection_dim=16, eos_token_id=2)
    add("clip", lambda: t.CLIPConfig(text_config=clip_text, vision_config=dict(small_image, projection_dim=16),
        projection_dim=16), t.CLIPModel, lambda: masked() | pixels(16),
        want(attention=2 * LAYERS, ffn=2 * LAYERS, streams=2, function="quick_gelu", unembedding=0, position=2, patch=1))
    whisper = dict(vocab_size=VOCABULARY, num_mel_bins=8, d_model=HIDDEN, encoder_layers=LAYERS, decoder_layers=LAYERS,
                   encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=INNER, decoder_ffn_dim=INNER,
                   max_source_positions=10, max_target_positions=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                   decoder_start_token_id=3, suppress_tokens=None, begin_suppress_tokens=None)
    from transformers.models.whisper.modeling_whisper import WhisperEncoder
    add("whisper_encoder", lambda: t.WhisperConfig(**whisper), WhisperEncoder,
        lambda: dict(input_features=torch.randn(BATCH, 8, 20)), want(token=0, unembedding=0, position=1, stem=2))
    add("whisper", lambda: t.WhisperConfig(**whisper), t.WhisperForConditionalGeneration,
        lambda: dict(input_features=torch.randn(BATCH, 8, 20), decoder_input_ids=torch.randint(5, VOCABULARY, (BATCH, 5))),
        want(position=2, stem=2, **dict(both, token=1)), use_cache=False, both=False)
    add("swin", lambda: t.SwinConfig(image_size=16, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4,
        mlp_ratio=2.0, num_labels=5), t.SwinForImageClassification, lambda: pixels(16),
        want(n=4, neurons=[32, 32, 64, 64], token=0, unembedding=0, head=1, patch=1, relative=4, streams=2))
    add("convnext", lambda: t.ConvNextConfig(hidden_sizes=[8, 16], depths=[2, 2], num_stages=2, patch_size=4, image_size=32,
        num_labels=5), t.ConvNextForImageClassification, lambda: pixels(32),
        want(n=4, attention=0, neurons=[32, 32, 64, 64], token=0, unembedding=0, head=1, patch=1, streams=2, residual=4),
        both=False)
    add("convnextv2", lambda: t.ConvNextV2Config(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4,
        image_size=32, num_labels=5), t.ConvNextV2ForImageClassification, lambda: pixels(32),
        want(n=2, attention=0, neurons=[32, 64], token=0, unembedding=0, head=1, patch=1, streams=2, residual=2), both=False)
    for kind in ("basic", "bottleneck"):
        add(f"resnet_{kind}", lambda kind=kind: t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2],
            layer_type=kind, num_labels=5), t.ResNetForImageClassification, lambda: pixels(32),
            # Every block but the first of the second stage, whose shortcut is a convolution.
            want(n=0, token=0, unembedding=0, head=1, stem=1, residual=3, streams=2), both=False)
    add("mamba", lambda: t.MambaConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS, state_size=4,
        use_cache=False), t.MambaForCausalLM, ids, want(n=0, residual=LAYERS), both=False)
    add("modernbert", lambda: t.ModernBertConfig(**dict(SMALL, num_hidden_layers=3), pad_token_id=0, bos_token_id=1,
        eos_token_id=2, cls_token_id=1, sep_token_id=2, local_attention=4), t.ModernBertForMaskedLM, masked,
        want(n=3, gated=True))
    add("deberta_v2", lambda: t.DebertaV2Config(**SMALL, relative_attention=True, position_buckets=8,
        pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm"), t.DebertaV2ForMaskedLM, masked,
        want(position=1), both=False)
    add("falcon", lambda: t.FalconConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, ffn_hidden_size=INNER, bos_token_id=1, eos_token_id=2), t.FalconForCausalLM, masked,
        want(residual=LAYERS), use_cache=False, both=False)
    add("bloom", lambda: t.BloomConfig(vocab_size=VOCABULARY, hidden_size=HIDDEN, n_layer=LAYERS, n_head=HEADS),
        t.BloomForCausalLM, masked, want(neurons=4 * HIDDEN, function="gelu_tanh"), use_cache=False, both=False)
    add("gptj", lambda: t.GPTJConfig(vocab_size=VOCABULARY, n_positions=64, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS,
        n_inner=INNER, rotary_dim=4, bos_token_id=1, eos_token_id=2), t.GPTJForCausalLM, masked,
        want(function="gelu_tanh", residual=LAYERS), use_cache=False, both=False)
    add("wav2vec2", lambda: t.Wav2Vec2Config(hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=INNER, vocab_size=VOCABULARY, conv_dim=(8, 8), conv_stride=(5, 2), conv_kernel=(10, 3),
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, num_feat_extract_layers=2, apply_spec_augment=False),
        t.Wav2Vec2ForCTC, lambda: dict(input_values=torch.randn(BATCH, 200)),
        # The convolution of positions is added to the stream as well.
        want(token=0, unembedding=0, head=1, stem=2, residual=2 * LAYERS + 1), both=False)
    add("dinov2", lambda: t.Dinov2Config(**{k: v for k, v in small_image.items() if k != "intermediate_size"}, mlp_ratio=2,
        num_labels=5, use_swiglu_ffn=True), t.Dinov2ForImageClassification, lambda: pixels(16),
        want(token=0, unembedding=0, head=1, position=1, patch=1, function="silu", gated=True,
             neurons=(int(HIDDEN * 2 * 2 / 3) + 7) // 8 * 8), both=False)
    add("granite", lambda: t.GraniteConfig(**llama, residual_multiplier=0.5), t.GraniteForCausalLM, masked, want(**silu),
        use_cache=False, both=False)
    add("nemotron", lambda: t.NemotronConfig(**llama), t.NemotronForCausalLM, masked,
        want(function="relu_squared"), use_cache=False, both=False)
    # Not among the graphs kept: its decomposed form is einsum in five axes, whose attention is not found.
    add("xlnet", lambda: t.XLNetConfig(vocab_size=VOCABULARY, d_model=HIDDEN, n_layer=LAYERS, n_head=HEADS, d_inner=INNER),
        t.XLNetLMHeadModel, masked, want(), use_mems_eval=False, both=False)
    add("deepseek_v3", lambda: t.DeepseekV3Config(**dict(llama, num_key_value_heads=HEADS), moe_intermediate_size=INNER,
        n_routed_experts=4, n_group=1, topk_group=1, num_experts_per_tok=2, first_k_dense_replace=1, q_lora_rank=12,
        kv_lora_rank=12, qk_rope_head_dim=4, v_head_dim=8, qk_nope_head_dim=8), t.DeepseekV3ForCausalLM, masked,
        want(shared=1, residual=2 * LAYERS, experts=[None, 4], **silu), use_cache=False, both=False,
        _experts_implementation="batched_mm")
    return out


# ---------------------------------------------------------------------------------------------------- making


def norms_called(model, inputs):
    """Normalisation modules that run, by their class's name; a module that runs twice counts twice."""
    calls = []
    hooks = [m.register_forward_hook(lambda m, *_: calls.append(type(m).__name__)) for m in model.modules()
             if "Norm" in type(m).__name__ and "WeightNorm" not in type(m).__name__ and not list(m.children())]
    model(**inputs)
    for hook in hooks:
        hook.remove()
    return len(calls)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "graphs"
    only = sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "expected.json"
    expected = json.loads(index.read_text()) if index.exists() else {}
    torch.set_num_threads(1)
    for name, (make, wanted) in models().items():
        if only and not any(name.startswith(o) for o in only):
            continue
        try:
            model, inputs = make()
            with torch.no_grad():
                norms = norms_called(model, inputs)
                raw = torch.export.export(model, (), inputs, strict=False)
        except Exception as error:  # noqa: BLE001
            print(f"{name}: not exported: {str(error).splitlines()[0] if str(error) else error!r}")
            traceback.print_exc(limit=-2)
            continue
        for suffix in ("", "__core"):
            try:
                program = raw if not suffix else raw.run_decompositions()
                graph = Graph(program).json()
            except Exception as error:  # noqa: BLE001
                print(f"{name}{suffix}: not written: {str(error).splitlines()[0] if str(error) else error!r}")
                continue
            text = json.dumps(graph, separators=(",", ":"))
            with open(folder / f"{name}{suffix}.json.gz", "wb") as file:
                with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                    packed.write(text.encode())
            head = model.get_output_embeddings() if wanted["unembedding"] else None
            tied = head is not None and head.weight is model.get_input_embeddings().weight
            expected[name + suffix] = dict(wanted, tied=tied, norms=norms, operations=len(graph["operations"]))
            print(f"{name}{suffix}: {len(graph['operations'])} operations", flush=True)
            # Written after each graph, so that a stopped run can be gone on with.
            versions = dict(torch=torch.__version__, transformers=t.__version__, seed=SEED)
            document = {"made_with": versions} | {k: expected[k] for k in sorted(expected) if k != "made_with"}
            index.write_text(json.dumps(document, indent=1) + "\n")


main()
