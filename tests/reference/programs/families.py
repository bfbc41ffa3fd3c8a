"""Small models of every family that transformers knows: configurations with small numbers, and inputs found by trying."""

import inspect

import torch
import transformers
from cases import Program
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SMALL = {
    "hidden_size": 32, "d_model": 32, "n_embd": 32, "dim": 32, "emb_dim": 32, "embed_dim": 32, "embedding_size": 32,
    "intermediate_size": 48, "ffn_dim": 48, "d_ff": 48, "d_inner": 48, "n_inner": 48, "hidden_dim": 48, "d_kv": 8,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24,
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2, "decoder_layers": 2,
    "num_decoder_layers": 2, "num_encoder_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "vocab_size": 99, "max_position_embeddings": 64, "n_positions": 64, "max_source_positions": 32,
    "max_target_positions": 32, "type_vocab_size": 2, "rotary_dim": 4, "image_size": 32, "patch_size": 8,
    "num_local_experts": 4, "num_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, "sliding_window": 4,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "use_cache": False,
    "projection_dim": 16, "num_mel_bins": 16, "state_size": 8, "time_step_rank": 4, "conv_kernel": 4,
    "kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_d_state": 8, "mamba_n_groups": 1, "mamba_d_ssm": 64,
    "attention_hidden_size": 32, "n_group": 1, "topk_group": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
    "attn_layer_period": 2, "attn_layer_offset": 1, "first_k_dense_replace": 1, "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2, "mask_time_prob": 0.0, "attention_dropout": 0.0, "layerdrop": 0.0,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 99, "depth": 2, "window_size": 4,
    "rotary_pct": 0.5, "tie_word_embeddings": False, "use_mamba_kernels": False,
}  # fmt: skip

# What does not follow from the numbers above.
SPECIAL = {
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 4},
    "bamba": {"attn_layer_indices": [1], "mamba_chunk_size": 4, "mamba_expand": 2},
    "falcon_h1": {"mamba_chunk_size": 4},
    "jamba": {"num_experts": 2, "mamba_d_conv": 4},
    "gemma3n_text": {
        "layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0, "laurel_rank": 4,
        "intermediate_size": 48, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.5, 0.0],
    },
    "gpt_oss": {"layer_types": ["sliding_attention", "full_attention"]},
    "gemma2": {"layer_types": ["sliding_attention", "full_attention"]},
    "gemma3_text": {"layer_types": ["sliding_attention", "full_attention"]},
    "qwen3_next": {
        "layer_types": ["linear_attention", "full_attention"], "linear_num_value_heads": 4, "linear_num_key_heads": 2,
        "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    },
    "lfm2": {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    "llama4_text": {"layer_types": ["chunked_attention", "full_attention"], "attention_chunk_size": 4,
                    "intermediate_size_mlp": 48, "moe_layers": [1], "no_rope_layers": [1, 0]},
    "deepseek_v3": {"head_dim": 4, "num_key_value_heads": 4},
    "deepseek_v2": {"head_dim": 4, "num_key_value_heads": 4},
    "longformer": {"attention_window": [4, 4]},
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "funnel": {"block_sizes": [1, 1], "d_head": 8, "n_head": 4, "num_decoder_layers": 1},
    "reformer": {"axial_pos_embds": False, "attn_layers": ["local", "local"], "local_attn_chunk_length": 4},
    "rwkv": {"attention_hidden_size": 32, "context_length": 64},
    "perceiver": {"num_latents": 4, "d_latents": 16, "num_blocks": 1, "num_self_attends_per_block": 1,
                  "num_self_attention_heads": 2, "num_cross_attention_heads": 2, "d_model": 32},
    "xlnet": {"d_head": 8, "mem_len": None},
    "convbert": {"embedding_size": 32, "head_ratio": 2},
    "xlm": {"n_langs": 1, "causal": False},
    "mpt": {"expansion_ratio": 2, "max_seq_len": 64},
    "dbrx": {"max_seq_len": 64},
    "swin": {"depths": [1, 1], "num_heads": [2, 4], "embed_dim": 16, "patch_size": 2, "window_size": 4},
    "swinv2": {"depths": [1, 1], "num_heads": [2, 4], "embed_dim": 16, "patch_size": 2, "window_size": 4},
    "convnext": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32]},
    "convnextv2": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32]},
    "resnet": {"depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8},
    "regnet": {"depths": [1, 1], "hidden_sizes": [8, 16], "embedding_size": 8, "groups_width": 4},
    "mobilenet_v1": {"depth_multiplier": 0.25, "min_depth": 8},
    "mobilenet_v2": {"depth_multiplier": 0.25},
    "efficientnet": {"width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 32},
    "segformer": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32], "num_attention_heads": [1, 2, 2, 4]},
    "pvt": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32], "num_attention_heads": [1, 2, 2, 4]},
    "poolformer": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 16, 32]},
    "audio-spectrogram-transformer": {"max_length": 32, "patch_size": 8, "frequency_stride": 8, "time_stride": 8},
    "wav2vec2": {"conv_dim": [16, 16], "conv_kernel": [10, 3], "conv_stride": [5, 2], "num_feat_extract_layers": 2},
    "clip": {"projection_dim": 16},
}  # fmt: skip
for family in ["hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat", "sew", "wav2vec2-conformer", "wav2vec2-bert"]:
    SPECIAL[family] = SPECIAL["wav2vec2"]
SPECIAL["sew"] = SPECIAL["wav2vec2"] | {"squeeze_factor": 2}

# The well-known ones first.
FIRST = """bert roberta distilbert gpt2 llama qwen2 qwen3 mistral mixtral t5 bart vit clip whisper mamba mamba2 gemma2 gemma3_text
gpt_neox opt bloom falcon mpt gptj codegen phi phi3 cohere cohere2 olmo olmo2 olmoe qwen2_moe qwen3_moe deepseek_v2 deepseek_v3
granite granitemoe gpt_oss llama4_text gemma gemma3n_text jamba bamba falcon_h1 zamba2 qwen3_next rwkv xlnet electra deberta
deberta-v2 albert modernbert mpnet longformer big_bird funnel perceiver wav2vec2 hubert siglip blip dinov2 swin convnext resnet
deit beit segformer audio-spectrogram-transformer nemotron starcoder2 stablelm glm glm4 smollm3 lfm2 minimax xglm biogpt gpt_neo
gpt_bigcode persimmon pegasus mbart m2m_100 marian blenderbot led mt5 umt5 switch_transformers speech_to_text xlm xlm-roberta
camembert ernie esm fnet nystromformer yoso mobilebert squeezebert convbert roformer canine layoutlm layoutlmv3 markuplm lilt
data2vec-text data2vec-audio data2vec-vision wavlm unispeech sew wav2vec2-conformer seamless_m4t clap flava chinese_clip
altclip align groupvit siglip2 clipseg owlvit owlv2 vilt bridgetower xclip timesformer videomae vivit vit_mae vit_msn dinov3_vit
dinov3_convnext convnextv2 regnet efficientnet mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2 levit pvt pvt_v2 poolformer
swiftformer focalnet hiera swinv2 dpt glpn ijepa cvt yolos detr bit dbrx jetmoe arcee exaone4 ernie4_5 ernie4_5_moe hunyuan_v1_dense
seed_oss dots1 helium apertus bitnet diffllama doge zamba recurrent_gemma xlstm t5gemma patchtst patchtsmixer timesfm informer
autoformer time_series_transformer decision_transformer trocr bert-generation ctrl openai-gpt encodec mimi dac vits univnet
""".split()


def mappings():
    base, causal, masked, seq2seq = (
        dict(m) for m in (
            auto.MODEL_MAPPING_NAMES, auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
            auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)
    )  # fmt: skip
    return base, causal, masked, seq2seq


def families():
    base, causal, _, _ = mappings()
    known = sorted(set(base) | set(causal))
    return [f for f in FIRST if f in known] + [f for f in known if f not in FIRST]


def shrink(config, family):
    """A configuration of the same class with small numbers, its parts as well."""
    special = SPECIAL.get(family, {})
    defaults = config.to_dict()
    names = getattr(config, "attribute_map", {})
    values = {}
    for key, value in SMALL.items():
        if (key in defaults or key in names) and not isinstance(defaults.get(names.get(key, key)), (list, tuple, dict)):
            old = defaults.get(names.get(key, key))
            if isinstance(old, bool) == isinstance(value, bool) or old is None:
                values[key] = value
    values |= special
    for part in getattr(type(config), "sub_configs", {}) or {}:
        inner = getattr(config, part, None)
        if inner is not None and hasattr(inner, "to_dict"):
            values[part] = shrink(inner, inner.model_type).to_dict()
    for key in ("layer_types", "mlp_layer_types"):
        if key in defaults and key not in special and isinstance(defaults[key], list):
            kinds = sorted(set(defaults[key]))
            layers = values.get("num_hidden_layers", 2)
            values[key] = [kinds[i % len(kinds)] for i in range(layers)]
    return type(config)(**values)


def text(config, batch, length):
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    ids = torch.randint(3, getattr(config, "vocab_size", 99) or 99, (batch, length))
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[-1, -2:] = 0
    return ids, mask


def candidates(config, module):
    """Inputs to try, each a function of batch and length."""
    vision = getattr(config, "vision_config", config)
    side = getattr(vision, "image_size", 32) or 32
    side = side if isinstance(side, int) else side[0]
    channels = getattr(vision, "num_channels", 3) or 3
    mel = getattr(getattr(config, "audio_config", config), "num_mel_bins", 16)
    known = inspect.signature(module.forward).parameters

    def ids(batch, length):
        ids, mask = text(config, batch, length)
        return {"input_ids": ids, "attention_mask": mask} if "attention_mask" in known else {"input_ids": ids}

    def pixels(batch, length):
        return {"pixel_values": torch.randn(batch, channels, side, side)}

    def seq2seq(batch, length):
        return ids(batch, length) | {"decoder_input_ids": text(config, batch, 5)[0]}

    def features(batch, length):
        return {"input_features": torch.randn(batch, mel, 64), "decoder_input_ids": text(config, batch, 5)[0]}

    def frames(batch, length):
        return {"input_features": torch.randn(batch, length * 4, mel)}

    def waves(batch, length):
        return {"input_values": torch.randn(batch, 40 * length)}

    def spectrum(batch, length):
        return {"input_values": torch.randn(batch, 32, mel)}

    def video(batch, length):
        return {"pixel_values": torch.randn(batch, getattr(vision, "num_frames", 8), channels, side, side)}

    def arrays(batch, length):
        return {"inputs": torch.randn(batch, length, getattr(config, "d_model", 32))}

    def bare(batch, length):
        return {"inputs": text(config, batch, length)[0]}

    def both(batch, length):
        return ids(batch, length) | pixels(batch, length)

    def speech(batch, length):
        return frames(batch, length) | {"decoder_input_ids": text(config, batch, 5)[0]}

    makers = [seq2seq, ids, both, pixels, features, speech, frames, waves, spectrum, video, bare, arrays]
    return [make for make in makers if set(make(2, 8)) <= set(known)]


def model_class(family):
    base, causal, masked, seq2seq = mappings()
    name = base.get(family)
    if family in causal and family not in masked and family not in seq2seq:
        name = causal[family]
    if name is None:
        name = causal[family]
    name = name[0] if isinstance(name, (tuple, list)) else name
    return getattr(transformers, name)


def randomised(module):
    """Biases and norms random too, so that a forgotten or swapped one shows."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.nan_to_num_(0.0).add_(0.08 * torch.randn_like(parameter))
    return module.eval()


def model(family, attention, experts=None, **changes):
    """A small model; `changes` are values of its configuration, `experts` how it computes a mixture of experts."""
    config = shrink(CONFIG_MAPPING[family](), family)
    for key, value in changes.items():
        setattr(config, key, value)
    kind = model_class(family)
    module = kind._from_config(config, attn_implementation=attention if kind._supports_sdpa else "eager")
    if experts:
        module.set_experts_implementation(experts)
    return randomised(module)


def program(family, attention="sdpa", experts=None, **changes):
    """The program of a family, with the first inputs that its model takes."""
    module = model(family, attention, experts, **changes)
    config, tried = module.config, []
    for make in candidates(config, module):
        state = torch.get_rng_state()
        try:
            with torch.no_grad():
                module(**make(2, 8))
        except Exception as error:
            tried.append(f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}")
            continue
        torch.set_rng_state(state)
        inputs = [((), make(2, 8)), ((), make(3, 12))]
        dynamic = {}
        for name, value in inputs[0][1].items():
            axes = {axis: torch.export.Dim.AUTO for axis in range(value.dim()) if value.shape[axis] != inputs[1][1][name].shape[axis]}
            dynamic[name] = axes or None
        return Program(module, inputs, dynamic)
    raise ValueError(f"no inputs fit {type(module).__name__}: {tried[:2]}")
