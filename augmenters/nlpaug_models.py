"""Whether the language models that nlpaug's augmenters ask transformers for are there, and work."""

import inspect
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pairsmith.augmenters.hub import asking_hub
from pairsmith.schemas import UserError

_NAMED_BY = {
    "ContextualWordEmbsAug": ("model_path",),
    "ContextualWordEmbsForSentenceAug": ("model_path",),
    "AbstSummAug": ("model_path",),
    "BackTranslationAug": ("from_model_name", "to_model_name"),
}
"""Arguments that name a model: a folder, or a name on the Hugging Face hub."""
LANGUAGE_MODELS = {*_NAMED_BY, "LambadaAug"}
"""Classes of nlpaug that ask transformers, and draw from torch too."""
_NO_TOKENS = "its tokenizers have no _convert_token_to_id"
_NO_SUMMARIES = "it has no pipeline for summarization"


def check_works(kind: str, arguments: dict[str, Any]) -> None:
    """Raise UserError for what transformers 5 and later cannot do, before a model is looked for."""
    own = arguments.get("use_custom_api", True)
    named = f"{arguments.get('model_type') or arguments.get('model_path', '')}".lower()
    lacks = ""
    reads_tokens = kind == "ContextualWordEmbsAug" or (
        kind == "ContextualWordEmbsForSentenceAug" and "xlnet" in named
    )
    if own and reads_tokens:
        lacks = _NO_TOKENS
    elif not own and kind == "AbstSummAug":
        lacks = _NO_SUMMARIES
    if lacks and (has := _transformers()) and int(has.split(".")[0]) >= 5:
        raise UserError(too_new(kind, has, lacks))


def too_new(kind: str, has: str, why: str) -> str:
    """Return one line on why a class of nlpaug does not work with the transformers here."""
    return f"nlpaug's {kind} fails with transformers {has} ({why}): pip install 'transformers<5'"


def check_models(found: Any, kind: str, arguments: dict[str, Any]) -> None:
    """Ask the hub once for each model of a class of nlpaug that is neither a folder nor cached.

    transformers asks for every file many times over, and so takes minutes to say that there is no
    network. Raises UserError that says what to name instead.
    """
    if kind not in _NAMED_BY or not _transformers():  # nlpaug says what is missing
        return
    taken = inspect.signature(found).parameters
    for argument in _NAMED_BY[kind]:
        name = str(arguments.get(argument, taken[argument].default))
        if not Path(name).is_dir():
            _ask_hub(kind, argument, name)


def _ask_hub(kind: str, argument: str, name: str) -> None:
    with asking_hub(f"nlpaug's {kind} needs the model {name!r}", "masks", argument) as hub:
        if not isinstance(hub.try_to_load_from_cache(name, "config.json"), str):
            hub.get_hf_file_metadata(hub.hf_hub_url(name, "config.json"))


def _transformers() -> str:
    """Return the version of transformers; empty when it is not installed."""
    try:
        return version("transformers")
    except PackageNotFoundError:
        return ""
