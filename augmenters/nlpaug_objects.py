"""Objects of nlpaug: made, described, hooked into, and what to say when one does not work."""

import copy
import hashlib
import importlib
import json
import re
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from pairsmith.augmenters.hub import files_sha256, folder_sha256
from pairsmith.augmenters.nlpaug_document import lighten
from pairsmith.augmenters.nlpaug_models import (
    LANGUAGE_MODELS,
    check_models,
    check_works,
    too_new,
)
from pairsmith.augmenters.spacing import Edits, compare, cut, join
from pairsmith.augmenters.wordnet.tags import TaggedWords
from pairsmith.augmenters.wordnet.thesaurus import open_words
from pairsmith.schemas import UserError, require
from pairsmith.schemas.dataset import sha256_file

_ONLY_RANDOM = {
    *("KeyboardAug", "OcrAug", "RandomCharAug", "SpellingAug", "SynonymAug", "AntonymAug"),
    *("RandomWordAug", "ReservedAug", "Sequential"),
}
"""Classes of nlpaug that draw from `random` alone: numpy's generator need not be seeded."""
_SHARED_MODELS = ("SpellingAug", "TfIdfAug")
"""Classes that take the first model which the process read, whatever file they are given."""
_BY_LAST_NAME = LANGUAGE_MODELS - {"BackTranslationAug"}
"""Classes that take the first model which the process read from a folder of the same last name."""
_OF_HERE = {"TfIdfAug", "WordEmbsAug"}
"""Classes whose `model_path` is the working folder unless it is given."""
_TFIDF = ("tfidfaug_w2idf.txt", "tfidfaug_w2tfidf.txt")
"""What TfIdfAug reads of a folder."""
_WORDNET = ("SynonymAug", "AntonymAug")
_MARKS = ".,:;?!%"
_BEFORE_MARKS = re.compile(r"\s([.,:;?!%]+[ '\"`])")
_OPENING = re.compile(r"\s([\[\(\{\<])\s")
_CLOSING = re.compile(r"\s([\]\)\}\>])\s")


class Hooks:
    """Cuts and joins a text in place of nlpaug's own functions, and so sees what it changed."""

    def __init__(self, keep_spacing: bool) -> None:
        self.keep_spacing = keep_spacing
        self.start()

    def start(self, explain: bool = True) -> None:
        """Forget the text before."""
        self.explain = explain
        self.joined = False
        self.respaced = False
        self.edits: Edits = []

    def cut(self, text: str) -> list[str]:
        """Return the tokens of a text, as nlpaug cuts it."""
        self.parts = cut(text)
        return self.parts[1::2]

    def join(self, tokens: list[str]) -> str:
        """Return the tokens joined as the text was, or as nlpaug joins them."""
        self.joined = True
        if not self.keep_spacing and not self.explain:
            return nlpaug_join(tokens)
        made = join(self.parts, tokens)
        if made is None:
            made = compare("".join(self.parts), nlpaug_join(tokens))
        self.edits += made.edits
        if self.keep_spacing:
            return made.text
        text = nlpaug_join(tokens)
        self.respaced = self.respaced or text != made.text
        return text


def nlpaug_join(tokens: list[str]) -> str:
    """Return what nlpaug 1.1.11 joins tokens to, in half the time.

    It substitutes four patterns. Two only delete a space, of which one stands at the end of a text;
    the others cannot match without a bracket.
    """
    text = "".join(_BEFORE_MARKS.split(" ".join(tokens)))
    bare = text.rstrip(_MARKS)
    if len(bare) < len(text) and bare[-1:].isspace():
        text = bare[:-1] + text[len(bare) :]
    if "(" in text or "[" in text or "{" in text or "<" in text:
        text = _OPENING.sub(r" \g<1>", text)
    if ")" in text or "]" in text or "}" in text or ">" in text:
        text = _CLOSING.sub(r"\g<1> ", text)
    return text.strip()


def load(module: str) -> ModuleType:
    """Return a module, imported. Raises UserError when nlpaug is not installed.

    Its stray backslashes give warnings that help nobody here.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", SyntaxWarning)
        require("nlpaug", extra="nlpaug")
        return importlib.import_module(module)


def make(name: str, arguments: dict[str, Any]) -> Any:
    """Return an object of the class of nlpaug that a dotted name stands for.

    Raises UserError when there is no such class, none that works with the transformers here, or no
    model for it.
    """
    module, _, kind = name.rpartition(".")
    check_works(kind, arguments)
    try:
        found = getattr(load(module or kind), kind, None)
    except ModuleNotFoundError as error:
        if not error.name or not module.startswith(error.name):
            raise
        found = None
    if not callable(found):
        raise UserError(f"there is no {name}; nlpaug's classes are in nlpaug.augmenter.char, .word")
    if asks_wordnet(kind, arguments):
        found, arguments = _with_wordnet(found, kind, arguments)
    check_models(found, kind, arguments)
    if kind in _BY_LAST_NAME:
        arguments = {"force_reload": True} | arguments
    made = found(**arguments)
    if kind in _SHARED_MODELS:
        made.model = made.get_model(force_reload=True)
    return made


def asks_wordnet(kind: str, arguments: dict[str, Any]) -> bool:
    """Return whether an augmenter of a name takes its words from the WordNet of `Synonyms`."""
    where = arguments.get("aug_src", "wordnet"), arguments.get("lang", "eng")
    return kind in _WORDNET and where == ("wordnet", "eng")


def _with_wordnet(base: Any, kind: str, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the class with WordNet as its model, and the arguments that are left."""
    left = {name: value for name, value in arguments.items() if name != "model_path"}
    model = TaggedWords(open_words(arguments.get("model_path") or ""), kind == "SynonymAug")
    own = {"get_model": classmethod(lambda *_, **__: model), "__module__": base.__module__}
    return type(kind, (base,), own), left


def hooked(made: Any, hooks: Hooks) -> Any:
    """Return a copy of an object of nlpaug that cuts and joins with the hooks.

    One that has functions of its own for that keeps them. Misspellings are sorted: their order is
    that of a set, which differs between processes.
    """
    tokenizer = load("nlpaug.util.text.tokenizer").Tokenizer
    spelling = load("nlpaug.model.word_dict").Spelling
    made = copy.copy(made)
    made.include_detail = False
    if isinstance(made, list):
        made[:] = [hooked(step, hooks) for step in made]
    theirs = (getattr(made, "tokenizer", None), getattr(made, "reverse_tokenizer", None))
    if theirs == (tokenizer.tokenizer, tokenizer.reverse_tokenizer):
        made.tokenizer, made.reverse_tokenizer = hooks.cut, hooks.join
        if not needs_torch(made):
            lighten(made)
    if isinstance(model := getattr(made, "model", None), spelling):
        made.model = copy.copy(model)
        made.model.dict = {word: sorted(others) for word, others in model.dict.items()}
    return made


def applied(made: Any) -> Callable[[str], Any]:
    """Return what makes a view of one text, as `made.augment(text)[0]` does.

    For most classes that is the method of the action, without the tries after a first success.
    """
    base = load("nlpaug").Augmenter
    act = getattr(made, str(made.action), None)
    if act is None or needs_torch(made) or type(made).augment is not base.augment:
        return lambda text: _only(made.augment(text))
    clean = made.clean
    return lambda text: act(clean(text))


def _only(made: Any) -> Any:
    return made[0] if isinstance(made, list) and len(made) == 1 else made


def needs_numpy(made: Any) -> bool:
    """Return whether an object of nlpaug may draw from `numpy.random`."""
    kind = type(made)
    if kind.__module__.startswith("nlpaug.") and kind.__name__ in _ONLY_RANDOM:
        return isinstance(made, list) and any(map(needs_numpy, made))
    return True


def needs_torch(made: Any) -> bool:
    """Return whether an object of nlpaug may draw from torch."""
    own = any(kind.__name__ in LANGUAGE_MODELS for kind in type(made).__mro__)
    return own or (isinstance(made, list) and any(map(needs_torch, made)))


def described(value: Any, name: str = "") -> Any:
    """Return JSON data of what decides the views of an object of nlpaug, or of an argument.

    Files and folders stand there by their content, models by a digest of what they hold, and
    objects of other libraries by their type.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        path = Path(value)
        if "path" not in name or not path.exists():
            return value
        return {"sha256": folder_sha256(path) if path.is_dir() else sha256_file(path)}
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return [described(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if isinstance(value, dict):
        return {str(key): described(item) for key, item in value.items()}
    if isinstance(value, re.Pattern):
        return value.pattern
    kind = type(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}:{value.__qualname__}"
    data: dict[str, Any] = {"type": f"{kind.__module__}:{kind.__qualname__}"}
    if any(base.__module__.startswith("nlpaug.") for base in kind.__mro__):
        own = dict(vars(value))
        # What an object of these read stands in its model, and the folder is full of other things.
        if own.get("model_path") == "." and _OF_HERE & {base.__name__ for base in kind.__mro__}:
            del own["model_path"]
        held = {key: described(item, key) for key, item in sorted(own.items())}
        if isinstance(value, list):
            held["steps"] = [described(step) for step in value]
        data |= {"holds": _digest(held)} if ".model." in kind.__module__ else held
    return data


def tfidf_sha256(folder: str) -> str:
    """Return the sha256 of what TfIdfAug reads of a folder.

    Raises UserError when it is not there.
    """
    files = [Path(folder, name) for name in _TFIDF]
    if lacking := [file.name for file in files if not file.is_file()]:
        raise UserError(
            f"nlpaug's TfIdfAug finds no {lacking[0]} in {folder}; name the folder of a model of "
            "nlpaug's TfIdf as model_path"
        )
    return files_sha256(files)


def trouble(kind: str, error: Exception) -> str:
    """Return one line on why a class of nlpaug does not work here, and what to install."""
    text = str(error)
    if isinstance(error, ModuleNotFoundError):
        found = re.search(r"pip install ([\w-]+)", text)
        package = found.group(1) if found else (error.name or "a package")
        return f"nlpaug's {kind} needs {package}: pip install {package}"
    if found := re.search(r"Resource \W*(?:\[\d+m)?(\w+)\W.*not found", text):
        resource = found.group(1)
        return f"nlpaug's {kind} needs NLTK's {resource}: python -m nltk.downloader {resource}"
    first = (text.strip() or type(error).__name__).splitlines()[0]
    if kind in LANGUAGE_MODELS and not isinstance(error, OSError | ValueError):
        return too_new(kind, version("transformers"), first)
    return f"nlpaug's {kind} fails: {type(error).__name__}: {first}"


def _digest(data: Any) -> str:
    """Return the sha256 of JSON data, lists of texts in it sorted: some come from sets."""
    return hashlib.sha256(json.dumps(_sorted(data), sort_keys=True).encode()).hexdigest()


def _sorted(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _sorted(item) for key, item in data.items()}
    if isinstance(data, list):
        texts = all(isinstance(item, str) for item in data)
        return sorted(data) if texts else [_sorted(item) for item in data]
    return data
