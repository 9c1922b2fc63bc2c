#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes a tiny model file that llama-server takes: the architecture is Llama's, the weights are random.

What it says is nonsense; what it costs is real: prompts are computed, caches are held, tokens come one by one. The
tokenizer knows bytes and single printable characters only, so a text of N printable ASCII characters without leading spaces is
N + 2 tokens (one to begin with, one blank before the text). The same options give the same file, byte for byte.

    model.py FILE                         some 200 KB: 2 layers, 64 wide
    model.py FILE --layers 8 --width 512  some 52 MB

The format is GGUF version 3 (docs/gguf.md of the ggml project).
"""
import argparse
import random
import struct

ALIGNMENT = 32
U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5
TENSOR_F32, TENSOR_F16 = 0, 1
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # kinds of tokens


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    if kind == STRING:
        return string(value)
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)


def entry(key, kind, value):
    if isinstance(value, list):
        return (string(key) + struct.pack("<IIQ", ARRAY, kind, len(value)) +
                b"".join(scalar(kind, v) for v in value))
    return string(key) + struct.pack("<I", kind) + scalar(kind, value)


def tokens():
    """(text, kind) in the order of their numbers: 0 unknown, 1 begin, 2 end, then bytes, then characters."""
    yield "<unk>", UNKNOWN
    yield "<s>", CONTROL
    yield "</s>", CONTROL
    for byte in range(256):
        yield f"<0x{byte:02X}>", BYTE
    yield "\u2581", NORMAL  # a blank, as SentencePiece writes it
    for code in range(33, 127):
        yield chr(code), NORMAL


def halves(rng, count, exponent):
    """@count random half-precision numbers of either sign, from 2^exponent up to twice that."""
    bits = int.from_bytes(rng.randbytes(2 * count), "little")
    pattern = lambda half: int.from_bytes(struct.pack("<H", half) * count, "little")
    return (bits & pattern(0x83ff) | pattern(exponent + 15 << 10)).to_bytes(2 * count, "little")


def tensors(args, vocabulary):
    """(name, shape with the fastest dimension first, type)"""
    width, kv, inner = args.width, args.width // args.heads * args.kv_heads, args.width * 2
    yield "token_embd.weight", (width, vocabulary), TENSOR_F16
    for i in range(args.layers):
        yield f"blk.{i}.attn_norm.weight", (width,), TENSOR_F32
        yield f"blk.{i}.attn_q.weight", (width, width), TENSOR_F16
        yield f"blk.{i}.attn_k.weight", (width, kv), TENSOR_F16
        yield f"blk.{i}.attn_v.weight", (width, kv), TENSOR_F16
        yield f"blk.{i}.attn_output.weight", (width, width), TENSOR_F16
        yield f"blk.{i}.ffn_norm.weight", (width,), TENSOR_F32
        yield f"blk.{i}.ffn_gate.weight", (width, inner), TENSOR_F16
        yield f"blk.{i}.ffn_up.weight", (width, inner), TENSOR_F16
        yield f"blk.{i}.ffn_down.weight", (inner, width), TENSOR_F16
    yield "output_norm.weight", (width,), TENSOR_F32
    yield "output.weight", (width, vocabulary), TENSOR_F16


def metadata(args, vocabulary):
    texts, kinds = zip(*vocabulary)
    yield entry("general.architecture", STRING, "llama")
    yield entry("general.name", STRING, "random")
    yield entry("general.alignment", U32, ALIGNMENT)
    yield entry("general.file_type", U32, 1)
    yield entry("llama.vocab_size", U32, len(texts))
    yield entry("llama.context_length", U32, args.context)
    yield entry("llama.embedding_length", U32, args.width)
    yield entry("llama.block_count", U32, args.layers)
    yield entry("llama.feed_forward_length", U32, args.width * 2)
    yield entry("llama.attention.head_count", U32, args.heads)
    yield entry("llama.attention.head_count_kv", U32, args.kv_heads)
    yield entry("llama.attention.layer_norm_rms_epsilon", F32, 1e-5)
    yield entry("llama.rope.dimension_count", U32, args.width // args.heads)
    yield entry("tokenizer.ggml.model", STRING, "llama")
    yield entry("tokenizer.ggml.tokens", STRING, list(texts))
    yield entry("tokenizer.ggml.scores", F32, [0.0 if k != NORMAL else -1.0 for k in kinds])
    yield entry("tokenizer.ggml.token_type", I32, list(kinds))
    yield entry("tokenizer.ggml.bos_token_id", U32, 1)
    yield entry("tokenizer.ggml.eos_token_id", U32, 2)
    yield entry("tokenizer.ggml.unknown_token_id", U32, 0)
    yield entry("tokenizer.ggml.add_bos_token", BOOL, True)
    yield entry("tokenizer.ggml.add_eos_token", BOOL, False)
    yield entry("tokenizer.ggml.add_space_prefix", BOOL, True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--kv-heads", type=int, default=1)
    parser.add_argument("--context", type=int, default=32768)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.width % (args.heads * 32) or args.heads % args.kv_heads:
        parser.error("--width is a multiple of 32 for each head, --heads one of --kv-heads")

    rng = random.Random(args.seed)
    vocabulary = list(tokens())
    listed = list(tensors(args, len(vocabulary)))
    entries = list(metadata(args, vocabulary))
    pad = lambda n: -n % ALIGNMENT
    heads, offset = [], 0
    for name, shape, kind in listed:
        heads.append(string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset))
        size = shape[0] * (shape[1] if len(shape) > 1 else 1) * (4 if kind == TENSOR_F32 else 2)
        offset += size + pad(size)

    with open(args.file, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(entries)) + b"".join(entries) + b"".join(heads))
        out.write(bytes(pad(out.tell())))
        for name, shape, kind in listed:
            if kind == TENSOR_F32:
                data = struct.pack("<f", 1.0) * shape[0]
            else:  # about 1 / sqrt(inputs), so that numbers keep their size from layer to layer
                data = halves(rng, shape[0] * shape[1], -(shape[0].bit_length() // 2 + 1))
            out.write(data + bytes(pad(len(data))))


main()
