"""Which special tokens stand around a text: the end-of-text token, and tokenizers of new models."""

from typing import Any

from tokenizers import Tokenizer, processors

from pairsmith.schemas import UserError
from pairsmith.training.encoders.config import Fresh

# By role, the names that tokenizers use.
_BEGIN = ("[CLS]", "<s>", "<|begin_of_text|>", "<bos>")
_END = ("[SEP]", "</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>")
_PAD = ("[PAD]", "<pad>", "<|pad|>", *_END)
_UNKNOWN = ("[UNK]", "<unk>")
_MASK = ("[MASK]", "<mask>")


def fresh_tokenizer(tokenizer: Tokenizer, fresh: Fresh) -> Any:
    """Return `tokenizer` for a new model: [CLS] text [SEP] for BERT, text [SEP] for GPT and T5.

    Raises UserError when it has no tokens for that.
    """
    begin, end, pad = (_first(tokenizer, names) for names in (_BEGIN, _END, _PAD))
    if end is None or pad is None or (begin is None and fresh.family == "bert"):
        raise UserError(
            f"the tokenizer {fresh.tokenizer} has no tokens like [CLS], [SEP] and [PAD]; name "
            f"another, or none as in {fresh.family}::{fresh.layers}x{fresh.width}"
        )
    around = f"{begin} $A {end}" if fresh.family == "bert" else f"$A {end}"
    tokenizer.post_processor = _around(tokenizer, around)
    roles = {"pad_token": pad, "eos_token": end, "sep_token": end}
    if begin and fresh.family == "bert":
        roles["cls_token"] = begin
    for role, names in (("unk_token", _UNKNOWN), ("mask_token", _MASK)):
        if name := _first(tokenizer, names):
            roles[role] = name
    return _wrapped(tokenizer, roles)


def ends_with_eos(pieces: Any) -> bool:
    """Tell whether a tokenizer puts its end-of-text token after each text by itself."""
    ids = pieces.backend_tokenizer.encode("a").ids
    return pieces.eos_token_id is not None and ids[-1] == pieces.eos_token_id


def with_eos(pieces: Any, model: str) -> Any:
    """Return a tokenizer that puts the end-of-text token after each text.

    Raises UserError when it has no such token.
    """
    if pieces.eos_token is None:
        raise UserError(f"{model} has a tokenizer without an end-of-text token; --append-eos False")
    tokenizer = pieces.backend_tokenizer
    template = _around(tokenizer, f"$A {pieces.eos_token}")
    before = tokenizer.post_processor
    tokenizer.post_processor = processors.Sequence([before, template]) if before else template
    # A class for one kind of model may put its own template back when it is opened again.
    roles = {
        role: value for role, value in pieces.special_tokens_map.items() if isinstance(value, str)
    }
    return _wrapped(tokenizer, {"pad_token": pieces.eos_token, **roles})


def _wrapped(tokenizer: Tokenizer, roles: dict[str, Any]) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)  # type: ignore[no-untyped-call]


def _around(tokenizer: Tokenizer, template: str) -> processors.TemplateProcessing:
    names = [word for word in template.split() if word != "$A"]
    tokens = [(name, tokenizer.token_to_id(name)) for name in names]
    return processors.TemplateProcessing(single=template, special_tokens=tokens)


def _first(tokenizer: Tokenizer, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if tokenizer.token_to_id(name) is not None), None)
