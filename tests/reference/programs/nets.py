"""Networks written by hand, of PyTorch's own modules, and small models of transformers with everything spelled out."""

import torch
from cases import Program
from families import randomised
from torch import nn
from torch.export import Dim


def encoder(fast=True):
    """`nn.TransformerEncoder`: what it computes in one fused operation without gradients, its program spells out."""
    layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True, norm_first=not fast)
    module = randomised(nn.TransformerEncoder(layer, 1, enable_nested_tensor=False))
    inputs = [((torch.randn(b, n, 16),), {}) for b, n in [(2, 5), (3, 7)]]
    return Program(module, inputs, {"src": {0: Dim.AUTO, 1: Dim.AUTO}})


class Attention(nn.Module):
    """`nn.MultiheadAttention` with its weights, and a mask of padding."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, kdim=8, vdim=12, batch_first=True)

    def forward(self, query, key, value, padding):
        return self.attention(query, key, value, key_padding_mask=padding, average_attn_weights=False)


def attention():
    def case(batch, length):
        padding = torch.zeros(batch, length, dtype=torch.bool)
        padding[0, -1] = True
        sizes = [(batch, 3, 16), (batch, length, 8), (batch, length, 12)]
        return tuple(torch.randn(*size) for size in sizes) + (padding,), {}

    moves = {0: Dim.AUTO, 1: Dim.AUTO}
    return Program(randomised(Attention()), [case(2, 5), case(3, 6)], ({0: Dim.AUTO}, moves, moves, moves))


class Recurrent(nn.Module):
    """An embedding, a recurrent network in both directions, and its final states."""

    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.recurrent = kind(6, 5, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, ids):
        return self.recurrent(self.embedding(ids))


def recurrent(kind):
    inputs = [((torch.randint(0, 20, (2, 6)),), {}), ((torch.randint(0, 20, (3, 6)),), {})]
    return Program(randomised(Recurrent(kind)), inputs, {"ids": {0: Dim.AUTO}})


class Convolutions(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True),
            nn.Conv2d(8, 8, 3, groups=8, dilation=2, padding=2, bias=False), nn.GroupNorm(2, 8), nn.GELU(), nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip

    def forward(self, image):
        return self.body(image)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.middle, self.up = nn.Conv2d(16, 16, 3, padding=1), nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last, self.norm = nn.Conv2d(16, 2, 1), nn.InstanceNorm2d(8, affine=True)

    def forward(self, image):
        first = torch.nn.functional.silu(self.norm(self.down1(image)))
        second = torch.relu_(self.middle(self.down2(first)))
        up = self.up(second)
        up = nn.functional.interpolate(up, size=first.shape[-2:], mode="nearest")
        return self.last(torch.cat([first, up], 1))


def image(module):
    inputs = [((torch.randn(b, 3, 12, 12),), {}) for b in (2, 3)]
    return Program(randomised(module), inputs, {"image": {0: Dim.AUTO}})


NETS = {
    "transformer_encoder": encoder,
    "multihead_attention": attention,
    "lstm": lambda: recurrent(nn.LSTM),
    "gru": lambda: recurrent(nn.GRU),
    "convolutions": lambda: image(Convolutions()),
    "unet": lambda: image(UNet()),
}


# Models of transformers


def tokens(batch, length, vocabulary=40):
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[-1, -2:] = 0
    return {"input_ids": torch.randint(3, vocabulary, (batch, length)), "attention_mask": mask}


SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 40}
DECODER = SIZES | {"num_key_value_heads": 2, "max_position_embeddings": 32, "use_cache": False}


def built(config, model, attention="sdpa", experts=None):
    import transformers

    module = getattr(transformers, model)._from_config(config, attn_implementation=attention)
    if experts:
        module.set_experts_implementation(experts)
    return randomised(module)


def of_text(config, model, attention="sdpa", experts=None, moves=True, decoder=None, length=6):
    def case(batch, length):
        inputs = tokens(batch, length)
        if decoder:
            inputs["decoder_input_ids"] = torch.randint(3, 40, (batch, decoder))
        return (), inputs

    module = built(config, model, attention, experts)
    inputs = [case(2, length), case(3, 9 if moves else length)]
    axes = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC} if moves else {0: Dim.AUTO}
    dynamic = {name: axes for name in inputs[0][1]}
    if decoder:
        dynamic["decoder_input_ids"] = {0: Dim.DYNAMIC}
    return Program(module, inputs, dynamic)


def bert(attention="sdpa"):
    from transformers import BertConfig

    return of_text(BertConfig(**SIZES, max_position_embeddings=32), "BertModel", attention)


def gpt2(attention="sdpa"):
    from transformers import GPT2Config

    return of_text(GPT2Config(n_embd=16, n_layer=1, n_head=4, n_positions=32, vocab_size=40, use_cache=False), "GPT2LMHeadModel", attention)


def llama(attention="sdpa"):
    from transformers import LlamaConfig

    return of_text(LlamaConfig(**DECODER), "LlamaForCausalLM", attention)


def gemma2():
    from transformers import Gemma2Config

    config = Gemma2Config(**DECODER | {"num_hidden_layers": 1}, head_dim=4, sliding_window=3, layer_types=["sliding_attention"])
    return of_text(config, "Gemma2ForCausalLM", "eager")


def mixtral(experts):
    from transformers import MixtralConfig

    return of_text(MixtralConfig(**DECODER, num_local_experts=3), "MixtralForCausalLM", experts=experts)


def t5():
    from transformers import T5Config

    config = T5Config(d_model=16, d_kv=4, d_ff=24, num_layers=1, num_heads=4, vocab_size=40, use_cache=False, decoder_start_token_id=0)
    return of_text(config, "T5ForConditionalGeneration", decoder=4)


def mamba():
    from transformers import MambaConfig

    config = MambaConfig(hidden_size=16, state_size=4, num_hidden_layers=1, vocab_size=40, time_step_rank=2, use_cache=False)
    return of_text(config, "MambaForCausalLM", "eager", moves=False, length=4)


def vit():
    from transformers import ViTConfig

    module = built(ViTConfig(**{**SIZES, "vocab_size": None}, image_size=8, patch_size=4), "ViTModel")
    inputs = [((), {"pixel_values": torch.randn(b, 3, 8, 8)}) for b in (2, 3)]
    return Program(module, inputs, {"pixel_values": {0: Dim.DYNAMIC}})


def clip():
    """Texts and images, each in a number of its own: the first axes of the two inputs have nothing to do with each other."""
    from transformers import CLIPConfig

    of_both = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
    text = dict(of_both, vocab_size=40, max_position_embeddings=8, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    image = dict(of_both, image_size=8, patch_size=4)
    module = built(CLIPConfig(text_config=text, vision_config=image, projection_dim=8), "CLIPModel")
    inputs = []
    for texts, images in ((3, 2), (2, 5)):
        ids = torch.randint(3, 40, (texts, 6))
        ids[:, -1] = 2
        inputs.append(((), {"input_ids": ids, "pixel_values": torch.randn(images, 3, 8, 8)}))
    return Program(module, inputs, {"input_ids": {0: Dim.DYNAMIC}, "pixel_values": {0: Dim.DYNAMIC}})


def fnet():
    """Fourier transforms in place of attention, so some of its tensors are complex."""
    from transformers import FNetConfig

    module = built(FNetConfig(**SIZES, max_position_embeddings=8), "FNetModel", None)
    inputs = [((), {"input_ids": torch.randint(3, 40, (batch, 6))}) for batch in (2, 3)]
    return Program(module, inputs, {"input_ids": {0: Dim.DYNAMIC}})


def whisper_encoder():
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=4, encoder_ffn_dim=24, num_mel_bins=8, max_source_positions=10
    )
    module = randomised(WhisperEncoder._from_config(config, attn_implementation="sdpa"))
    inputs = [((), {"input_features": torch.randn(b, 8, 20)}) for b in (2, 3)]
    return Program(module, inputs, {"input_features": {0: Dim.DYNAMIC}})


def resnet():
    from transformers import ResNetConfig

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    module = built(config, "ResNetModel", "eager")
    inputs = [((), {"pixel_values": torch.randn(b, 3, 16, 16)}) for b in (2, 3)]
    return Program(module, inputs, {"pixel_values": {0: Dim.DYNAMIC}})


class Step(nn.Module):
    """One step of generation: a token and what earlier ones left, as plain pairs of keys and values."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, past: list[tuple[torch.Tensor, torch.Tensor]]):
        from transformers import DynamicCache

        cache = DynamicCache(past)
        logits = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True).logits
        return {"logits": logits, "past": [(layer.keys, layer.values) for layer in cache.layers]}


def llama_step():
    from transformers import LlamaConfig

    module = Step(built(LlamaConfig(**DECODER), "LlamaForCausalLM")).eval()

    def case(batch, length):
        return (torch.randint(3, 40, (batch, 1)), [(torch.randn(batch, 2, length, 4), torch.randn(batch, 2, length, 4))]), {}

    moves = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC}
    return Program(module, [case(2, 5), case(3, 8)], ({0: Dim.DYNAMIC}, [(moves, moves)]))


# The committed ones: name, how it is made, variants.
MODELS = [
    ("bert", bert, [""]),
    ("llama", llama, [""]),
    ("llama_step", llama_step, [""]),
    ("mixtral_grouped_mm", lambda: mixtral("grouped_mm"), [""]),
    ("mixtral_batched_mm", lambda: mixtral("batched_mm"), [""]),
    ("t5", t5, [""]),
    ("mamba", mamba, [""]),
    ("vit", vit, [""]),
    ("clip", clip, [""]),
    ("fnet", fnet, [""]),
    ("whisper_encoder", whisper_encoder, [""]),
    ("resnet", resnet, [""]),
]

# Those that would be too large to commit.
MORE = [
    ("bert_eager", lambda: bert("eager"), ["", "core"]),
    ("bert", bert, ["core"]),
    ("gemma2_small", gemma2, ["", "core"]),
    ("gpt2_eager", lambda: gpt2("eager"), ["", "core"]),
    ("llama", llama, ["core", "grad", "strict"]),
    ("mixtral_grouped_mm", lambda: mixtral("grouped_mm"), ["core"]),
    ("mixtral_batched_mm", lambda: mixtral("batched_mm"), ["core"]),
    ("vit", vit, ["core"]),
    ("resnet", resnet, ["core"]),
    ("transformer_encoder_norm_first", lambda: encoder(fast=False), ["", "core"]),
]
