"""Small language models: made in a test, or trained once and kept beside the golden files.

`python -m tests.augmenters.tiny_models` trains those of `golden/fill_mask` and `golden/fill_spans`
anew, on the sentences below, which were written for it.
"""

import re
import sys
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
DOES = (
    ("cat", "drinks", "milk"),
    ("dog", "eats", "meat"),
    ("bird", "sings", "songs"),
    ("child", "reads", "books"),
    ("teacher", "writes", "letters"),
    ("farmer", "grows", "apples"),
    ("painter", "paints", "walls"),
    ("baker", "sells", "bread"),
    ("sailor", "catches", "fish"),
    ("girl", "plays", "music"),
)
_WHOSE = ("the", "my", "our", "this")
_LIKE = ("old", "young", "small", "happy", "tired")
_WHEN = ("in the morning", "in the evening", "every day", "at home", "on Sunday")
_TUT = (
    ("小猫", "喝", "牛奶"),
    ("大狗", "吃", "骨头"),
    ("孩子", "看", "图书"),
    ("老师", "写", "书信"),
    ("农民", "种", "苹果"),
    ("工人", "修", "机器"),
)
_WANN = ("今天", "昨天", "早上", "晚上", "每天")
_WO = ("在家里", "在门口", "在学校")
MOST_SPANS = 9
_TOKEN = re.compile(r"[\u4e00-\u9fff]|\w+|[^\w\s]")


def sentences():
    """Return sentences in which verbs and objects go together."""
    made = []
    for number, (who, does, what) in enumerate(DOES * 10):
        whose, like = _WHOSE[number % 4], _LIKE[(number * 7 + number // 10) % 5]
        made.append(f"{whose} {like} {who} {does} {what} {_WHEN[(number * 3 + number // 10) % 5]}.")
        made.append(f"{whose} {who} {does} {what}.")
    for number, (who, does, what) in enumerate(_TUT * 10):
        when, where = _WANN[(number + number // 6) % 5], _WO[number % 3]
        made.append(f"{who}{when}{where}{does}{what}。")
        made.append(f"{when}{who}{does}{what}。")
    return made


def make_bert(folder, texts, *, hidden=32, positions=64, seed=0):
    """Save an untrained BERT whose vocabulary are the words of the texts; return it."""
    import torch
    import transformers

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", *_words(texts)]
    tokenizer = transformers.BertTokenizerFast(
        vocab={word: number for number, word in enumerate(vocabulary)}, model_max_length=positions
    )
    torch.manual_seed(seed)
    model = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=hidden,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=2 * hidden,
            max_position_embeddings=positions,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )
    return _saved(folder, model, tokenizer)


def make_t5(folder, texts, *, hidden=32, seed=0, others=()):
    """Save an untrained T5 whose vocabulary are the words of the texts, and others; return it."""
    import tokenizers
    import torch
    import transformers

    sentinels = [f"<extra_id_{number}>" for number in range(MOST_SPANS + 1)]
    words = ["<pad>", "</s>", "<unk>", *_words(texts), *others, *sentinels]
    plain = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    plain.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    plain.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    plain.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=sentinels,
        model_max_length=64,
    )
    torch.manual_seed(seed)
    model = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=len(words),
            d_model=hidden,
            d_kv=hidden // 2,
            d_ff=2 * hidden,
            num_layers=1,
            num_heads=2,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
    return _saved(folder, model, tokenizer)


def _words(texts):
    return sorted({word for text in texts for word in _TOKEN.findall(text.lower())})


def _saved(folder, model, tokenizer):
    from transformers.utils import logging

    logging.disable_progress_bar()
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return model, tokenizer


def _train(model, batches, steps, rate):
    import torch

    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, steps)
    for step, batch in zip(range(steps), batches, strict=False):
        loss = model(**batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)


def _masked_batches(tokenizer, texts):
    import torch

    encoded = tokenizer(texts, padding=True, return_tensors="pt")
    dice = torch.Generator().manual_seed(1)
    while True:
        rows = torch.randint(len(texts), (64,), generator=dice)
        ids = encoded["input_ids"][rows]
        hidden = (torch.rand(ids.shape, generator=dice) < 0.2) & (ids > 4)
        yield {
            "input_ids": ids.masked_fill(hidden, 4),
            "attention_mask": encoded["attention_mask"][rows],
            "labels": ids.masked_fill(~hidden, -100),
        }


def _span_batches(tokenizer, texts):
    import numpy as np

    dice = np.random.default_rng(1)
    words = [_TOKEN.findall(text.lower()) for text in texts]
    while True:
        sources, targets = [], []
        for row in dice.integers(0, len(words), 32):
            some = words[row]
            source, target, place, number = [], [], 0, 0
            while place < len(some):
                if dice.random() < 0.2:
                    length = int(dice.integers(1, 4))
                    source.append(f"<extra_id_{number}>")
                    target += [source[-1], *some[place : place + length]]
                    place += length + 1
                    source += some[place - 1 : place]
                    number += 1
                else:
                    source.append(some[place])
                    place += 1
            sources.append(" ".join(source))
            targets.append(" ".join([*target, f"<extra_id_{number}>"]))
        read = tokenizer(sources, padding=True, return_tensors="pt")
        labels = tokenizer(targets, padding=True, return_tensors="pt")["input_ids"]
        yield {
            "input_ids": read["input_ids"],
            "attention_mask": read["attention_mask"],
            "labels": labels.masked_fill(labels == 0, -100),
        }


def main():
    """Train the models of the golden files."""
    texts = sentences()
    for name, make, batches, steps in (
        ("fill_mask", make_bert, _masked_batches, 4000),
        ("fill_spans", make_t5, _span_batches, 4000),
    ):
        if len(sys.argv) > 1 and name not in sys.argv:
            continue
        model, tokenizer = make(GOLDEN / name, texts)
        _train(model, batches(tokenizer, texts), steps, 5e-3)
        model.half().save_pretrained(GOLDEN / name)


if __name__ == "__main__":
    main()
