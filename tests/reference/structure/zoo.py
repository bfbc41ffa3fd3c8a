"""A zoo of every architecture that transformers knows: small random models, exported, with what their configurations say.

Usage: python structure/zoo.py FOLDER [name ...] [--workers N]

Goes through the model types of transformers in alphabetical order. Each is made small by setting the fields that configurations
have in common (layers, heads, widths, tables), run once, and exported with the sizes of batch and tokens left open where
that is possible. Writes NAME.pt2, and `zoo.json`: for each architecture the numbers that its configuration and its modules
tell, or why there is no program of it. Nothing is read from the graph. `cargo xtask zoo` runs it.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import time
import warnings
from pathlib import Path
from queue import Empty

import torch
import transformers
from torch.export import Dim

warnings.filterwarnings("ignore")
SEED = 20261130
LAYERS, HEADS, HIDDEN, INNER, VOCABULARY = 2, 4, 32, 48, 120
# What one architecture may take: seconds of a processor, seconds by the clock (the machine may have other work), bytes.
SECONDS, PATIENCE, MEMORY = 60, 900, 5 << 30

# Fields by the names that configurations have for them; only those that are there are set.
COUNTS = dict.fromkeys(
    """num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers num_encoder_layers num_decoder_layers
    entity_layers l_layers r_layers vision_layers text_layers decoder_ffn_layers""".split(), LAYERS) | dict.fromkeys(
    """num_attention_heads n_head n_heads num_heads encoder_attention_heads decoder_attention_heads num_encoder_attention_heads
    num_decoder_attention_heads attention_heads""".split(), HEADS)
SIZES = dict.fromkeys("hidden_size d_model n_embd dim embed_dim embedding_dim encoder_hidden_size decoder_hidden_size".split(), HIDDEN) | dict.fromkeys(
    """intermediate_size d_ff n_inner hidden_dim encoder_ffn_dim decoder_ffn_dim ffn_dim d_inner feed_forward_size ffn_hidden_size
    dim_feedforward moe_intermediate_size shared_expert_intermediate_size encoder_intermediate_size
    decoder_intermediate_size mlp_dim""".split(), INNER) | dict.fromkeys("vocab_size".split(), VOCABULARY) | dict.fromkeys(
    """max_position_embeddings n_positions max_source_positions max_target_positions n_ctx""".split(), 64)
OTHERS = dict(
    num_key_value_heads=2, head_dim=8, attention_head_size=8, d_kv=8, kv_channels=8, num_experts=4, num_local_experts=4, n_routed_experts=4, num_experts_per_tok=2, num_experts_per_token=2, n_group=1, num_expert_group=1,
    topk_group=1, first_k_dense_replace=1, q_lora_rank=12, kv_lora_rank=12, qk_rope_head_dim=4, qk_nope_head_dim=8,
    v_head_dim=8, image_size=32, patch_size=8, num_channels=3, projection_dim=16, embedding_size=HIDDEN, word_embed_proj_dim=HIDDEN,
    pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, use_cache=False, num_mel_bins=8, rotary_dim=4,
    sliding_window=4, local_attention=4, attention_window=4, window_size=4, block_size=4, num_random_blocks=1, chunk_size=8,
    n_mels=8, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, conv_dim=(8, 8), conv_stride=(5, 2), conv_kernel=(10, 3),
    num_feat_extract_layers=2, apply_spec_augment=False, layerdrop=0.0, dropout=0.0, num_queries=5, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8,
    ssm_state_size=8, state_size=8, time_step_rank=2, expand=2, n_groups=1, num_labels=5, num_frames=2, tubelet_size=(2, 8, 8), video_size=None,
    depths=[1, 1], hidden_sizes=[16, 32], num_stages=2, use_pretrained_backbone=False, backbone_config=None, layer_types=None, mlp_ratio=2, _experts_implementation="batched_mm",
    type_vocab_size=2, relative_attention_num_buckets=8, position_buckets=8, num_buckets=8, prediction_length=3, context_length=8, input_size=1, lags_sequence=[1, 2], num_time_features=1,
)
# The same fields where they have a number for each of two stages.
OF_STAGES = dict(num_heads=[2, 4], num_attention_heads=[2, 4], hidden_size=[16, 32], intermediate_size=[48, 48])
# Fields that may be empty in a configuration and not in a model.
NEEDED = ["pad_token_id", "bos_token_id", "eos_token_id", "prediction_length", "num_experts_per_tok"]


def small(config, depth=0):
    """Sets what is known by name, in the configurations within as well; lists of layers are cut to as many as there are."""
    own = config.to_dict() if hasattr(config, "to_dict") else {}
    for table in (COUNTS, SIZES, OTHERS):
        for name, value in table.items():
            if name not in own or value is None:
                continue
            try:
                now = getattr(config, name, None)
            except Exception:  # noqa: BLE001  (a field that differs between layers)
                continue
            if now is None and name not in NEEDED:
                continue
            if isinstance(now, (list, tuple)) and not isinstance(value, (list, tuple)):
                value = OF_STAGES.get(name)
            if value is None:
                continue
            if isinstance(value, (list, tuple)) and not isinstance(now, (list, tuple)):
                continue
            try:
                setattr(config, name, value)
            except Exception:  # noqa: BLE001
                pass
    layers = next((getattr(config, n) for n in COUNTS if n in own and "layer" in n and isinstance(getattr(config, n, None), int)), None)
    if layers and isinstance(getattr(config, "layer_types", None), list):
        kinds = list(dict.fromkeys(config.layer_types))
        # The last kind may be the one that all others need.
        try:
            config.layer_types = (kinds * layers)[:layers]
        except Exception:  # noqa: BLE001
            pass
    if "qk_rope_head_dim" in own and isinstance(own.get("head_dim"), int):
        config.head_dim = config.qk_rope_head_dim
    if isinstance(own.get("kv_lora_rank"), int):
        # Keys and values of all heads are made of one low-rank vector.
        config.num_key_value_heads = config.num_attention_heads
        config.qk_head_dim = config.qk_nope_head_dim + config.qk_rope_head_dim
    rope = getattr(config, "rope_parameters", None)
    if isinstance(rope, dict):
        for name in ("mrope_section",):
            if name in rope:
                rope[name] = [1, 1, 2]
    for name in own:
        part = getattr(config, name, None)
        if isinstance(part, transformers.PretrainedConfig) and depth < 3:
            small(part, depth + 1)
    return config


def ids(rows=2, tokens=8):
    return torch.randint(5, VOCABULARY, (rows, tokens))


def inputs(model, config):
    """Inputs by the names of the model's own signature; several tries."""
    import inspect
    names = list(inspect.signature(model.forward).parameters)
    image = getattr(config, "image_size", None) or getattr(getattr(config, "vision_config", None), "image_size", None) or 32
    image = image if isinstance(image, int) else image[0]
    channels = getattr(config, "num_channels", 3)
    text = dict(input_ids=ids(), attention_mask=torch.ones(2, 8, dtype=torch.int64))
    text = {k: v for k, v in text.items() if k in names}
    decoder = dict(decoder_input_ids=ids(tokens=6)) if "decoder_input_ids" in names else {}
    mels = getattr(config, "num_mel_bins", None) or getattr(config, "n_mels", 8)
    pixels = torch.randn(2, channels if isinstance(channels, int) else 3, image, image)
    return [c for c in [
        text | decoder if text else None,
        dict(pixel_values=pixels) if "pixel_values" in names else None,
        text | dict(pixel_values=pixels) if text and "pixel_values" in names else None,
        dict(pixel_values=torch.randn(2, 2, 3, image, image)) if "pixel_values" in names else None,
        dict(pixel_values_videos=torch.randn(2, 2, 3, image, image)) if "pixel_values_videos" in names else None,
        dict(input_values=torch.randn(2, 400)) | decoder if "input_values" in names else None,
        dict(input_values=torch.randn(2, 64, 8)) | decoder if "input_values" in names else None,
        dict(input_features=torch.randn(2, mels, 128)) | decoder if "input_features" in names else None,
        dict(input_features=torch.randn(2, 32, mels)) | decoder if "input_features" in names else None,
        dict(past_values=torch.randn(2, 8, 1)) if "past_values" in names else None,
        text | dict(bbox=torch.zeros(2, 8, 4, dtype=torch.int64)) if "bbox" in names else None,
    ] if c]


def of_config(config):
    """What a configuration tells, by its own names, in all of its parts."""
    told = {}
    for name in [*COUNTS, "num_key_value_heads", "intermediate_size", "vocab_size", "patch_size", "depths"]:
        value = getattr(config, name, None)
        if isinstance(value, (int, list, tuple)):
            told[name] = value
    parts = {n: of_config(p) for n, p in vars(config).items() if isinstance(p, transformers.PretrainedConfig)}
    return told | {k: v for k, v in parts.items() if v}


def called(model, given):
    """Calls of modules by class, shapes of queries of fused attention, and calls of modules of attention with their heads, while the model runs."""
    seen, functions = {}, torch.nn.functional
    old = functions.scaled_dot_product_attention, functions.softmax
    attention = []

    def fused(query, key, value, *rest, **more):
        attention.append(list(query.shape))
        return old[0](query, key, value, *rest, **more)
    functions.scaled_dot_product_attention = fused
    named = re.compile(r"Attention$|Attention(?!.*(Output|Intermediate|Norm|Embed))", re.I)
    calls = []
    heads = "num_heads num_attention_heads n_heads n_head heads num_attn_heads".split()

    def is_attention(module):
        return named.search(type(module).__name__)

    # A hook for all modules: some models exchange modules while they run.
    def tell(module, *_):
        name = type(module).__name__
        seen[name] = seen.get(name, 0) + 1
        # Those that are made of no further ones, each as often as it is called.
        if is_attention(module) and not any(m is not module and is_attention(m) for m in module.modules()):
            known = [getattr(module, name) for name in heads if isinstance(getattr(module, name, None), int)]
            calls.append([name, known[0] if known else None])
    hooks = [torch.nn.modules.module.register_module_forward_hook(tell)]
    try:
        with torch.no_grad():
            model(**given)
    finally:
        functions.scaled_dot_product_attention, functions.softmax = old
        for hook in hooks:
            hook.remove()
    kept = re.compile(r"Attention|MLP|FeedForward|FFN|Mlp|Intermediate|DenseReluDense|Embeddings?$|PatchEmb|Norm|LMHead|Conv2d|Conv1d|Experts|Moe|Layer$|Block$")
    return {k: v for k, v in sorted(seen.items()) if kept.search(k)}, attention, calls


def models(config, errors, **how):
    """Models of a configuration by the classes that transformers has for it; why there is none of a class goes into `errors`."""
    for kind in ("AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForSeq2SeqLM", "AutoModelForImageClassification", "AutoModel"):
        auto = getattr(transformers, kind)
        if type(config) not in auto._model_mapping:
            continue
        try:
            torch.manual_seed(SEED)
            model = auto.from_config(config, **how).eval()
        except Exception as error:  # noqa: BLE001
            errors.append(f"{kind}: {type(error).__name__}: {str(error)[:150]}")
            continue
        yield kind, model


def make(name, folder, form, queue):
    try:
        torch.manual_seed(SEED)
        torch.set_num_threads(1)
        config = small(transformers.AutoConfig.for_model(name))
        errors = []
        for kind, model in models(config, errors, attn_implementation=form):
            tries = inputs(model, config)
            for given in tries:
                try:
                    modules, attention, calls = called(model, given)
                except Exception as error:  # noqa: BLE001
                    errors.append(f"{kind} of {list(given)}: {type(error).__name__}: {str(error)[:150]}")
                    continue
                with torch.no_grad():
                    for dynamic in (True, False):
                        shapes = {k: {i: Dim.AUTO for i in range(min(v.dim(), 2))} for k, v in given.items()} if dynamic else None
                        try:
                            program = torch.export.export(model, (), given, dynamic_shapes=shapes, strict=False)
                            torch.export.save(program, folder / f"{name}.pt2")
                            queue.put(dict(model=type(model).__name__, inputs={k: list(v.shape) for k, v in given.items()}, dynamic=dynamic,
                                           config=of_config(config), modules=modules, fused=attention, attention=calls))
                            return
                        except Exception as error:  # noqa: BLE001
                            errors.append(f"{kind} of {list(given)}, {'dynamic' if dynamic else 'static'}: {type(error).__name__}: {str(error)[:150]}")
        queue.put(dict(failed=errors))
    except Exception as error:  # noqa: BLE001
        queue.put(dict(failed=[f"{type(error).__name__}: {str(error)[:200]}"]))


def limited(name, folder, form, queue):
    """As `make`, with limits: a configuration of which some part stays large must not take the machine."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = SECONDS + int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    make(name, folder, form, queue)


def results(names, folder, workers):
    """What comes of each name, as it comes; `workers` processes at a time, a new one for each name."""
    context = multiprocessing.get_context("fork")
    waiting, running = list(names), {}
    while waiting or running:
        while waiting and len(running) < workers:
            name = waiting.pop(0)
            queue = context.Queue()
            process = context.Process(target=limited, args=(name, folder, "eager", queue))
            process.start()
            running[name] = (process, queue, time.monotonic())
        for name, (process, queue, start) in list(running.items()):
            alive = process.is_alive()
            try:
                # What a process has put there before it died may still be on its way.
                result = queue.get(timeout=0.05 if alive else 1)
            except Empty:
                if alive and time.monotonic() < start + PATIENCE:
                    continue
                why = f"nothing within {PATIENCE} s" if alive else f"the process ended with {process.exitcode}, it may use {SECONDS} s of a processor"
                result = dict(failed=[why])
            process.join(2)
            if process.is_alive():
                process.kill()
            del running[name]
            yield name, result


def main():
    parser = argparse.ArgumentParser(description="A zoo of architectures")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="model types; all that have no program yet if none is named")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "zoo.json"
    told = json.loads(index.read_text()) if index.exists() else {}
    told["made_with"] = dict(torch=torch.__version__, transformers=transformers.__version__, seed=SEED, names=len(transformers.CONFIG_MAPPING))
    known = sorted(transformers.CONFIG_MAPPING.keys())
    names = given.names or [name for name in known if "failed" in told.get(name, dict(failed=[]))]
    for name, result in results(names, folder, given.workers):
        told[name] = result
        beside = index.with_suffix(".json.new")
        beside.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
        beside.replace(index)
        print(name, "failed" if "failed" in result else f"{result['model']} {'dynamic' if result['dynamic'] else 'static'}", flush=True)


if __name__ == "__main__":
    main()
