"""What a model's answer is worth: the view that it holds, or why it holds none."""

import json
import re
from typing import Any, NamedTuple

from pairsmith.augmenters.rewriting.prompts import Prompt, mostly_han

_SLACK = 20
"""Characters that an answer may be shorter or longer than its ratio allows: short texts vary."""
_SHOWN_CHARS = 200
_END_OF_THOUGHTS = "</think>"
_MOST_TOKENS = 2**53
_TAGS = re.compile(r"<(passage\d*)>(.*)</\1>", re.DOTALL)
_FENCE = re.compile(r"```\w*\n(.*)\n```", re.DOTALL)
_PREAMBLE = re.compile(
    r"(?:sure|certainly|of course|here(?:[’']s| is| are)|以下是|这是|好的|当然)"
    r"[^\n]{0,80}[:：]\s*\n+",
    re.IGNORECASE,
)
_QUOTES = (("“", "”"), ('"', '"'), ("「", "」"), ("『", "』"), ("‘", "’"), ("'", "'"), ("`", "`"))
_CANNOT = r"(?:can[’']?t|can ?not|won[’']?t|(?:am |[’']m )?(?:unable|not able) to)\b[^.!?]{0,40}?\b"
_TASK = r"(?:assist|paraphrase|rewrite|rephrase|summari[sz]e)"
_MORE = r"(?:help|comply|fulfil|provide|request|generate|create|write)"
_REFUSAL = re.compile(
    rf"(?:i[’']?m|i am|we[’']re|we are)?\s*(?:very |so |really )?sorry\b[^.!?]{{0,60}}?{_CANNOT}"
    rf"(?:{_TASK}|{_MORE})"
    rf"|i ?{_CANNOT}{_TASK}"
    r"|as an? (?:ai|artificial intelligence|large language model|language model)\b"
    r"|(?:很?抱歉|对不起|對不起|不好意思)[，,。！!\s]*(?:但)?(?:作为[^。]{0,20})?我(?:无法|不能|無法|没法|没有办法)"
    r"|(?:作为|身为)(?:一个|一名)?(?:ai|人工智能|大?语言模型)"
    r"|我(?:无法|不能)(?:协助|改写)",
    re.IGNORECASE,
)
_I_CANNOT = re.compile(
    f"i ?{_CANNOT}{_MORE}|我(?:无法|不能)(?:帮助|提供|满足|完成|回答|生成)", re.IGNORECASE
)
"""What is a refusal unless the text speaks of `I` itself: then its paraphrases do so, too."""
_FIRST_PERSON = re.compile(r"\b(?:i|me|my|mine|myself)\b|[我俺咱]", re.IGNORECASE)


class Answer(NamedTuple):
    """What became of one text."""

    view: str | None
    reason: str | None
    """Why there is no view."""
    tokens: tuple[int, int] | None
    """Read and written, as the server counted them; None where it did not say."""
    said: str = ""
    """How the answer begins that is no view."""

    @property
    def details(self) -> str | None:
        """Return what there is to record, as a JSON object."""
        told: dict[str, Any] = {}
        if self.tokens is not None:
            told["tokens"] = self.tokens
        if self.said:
            told["answer"] = self.said[:_SHOWN_CHARS]
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")) if told else None


def read_answer(body: str, text: str, prompt: Prompt) -> Answer:
    """Return what the body of a chat completion holds for a text; `nonsense answer` if it is none.

    body: JSON as https://platform.openai.com/docs/api-reference/chat has it.
    """
    try:
        data = json.loads(body)
        choice = data["choices"][0]
        message, finish = choice["message"], choice.get("finish_reason")
        content, refusal = _content(message.get("content")), message.get("refusal")
        body.encode()
        content.encode()
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return Answer(None, "nonsense answer", None, body.encode(errors="replace").decode())
    view = clean(content, text)
    reason = _why_not(view, content, text, prompt, finish, bool(refusal))
    return Answer(view if reason is None else None, reason, tokens_of(data), content * bool(reason))


def tokens_of(data: Any) -> tuple[int, int] | None:
    """Return how many tokens a completion read and wrote; None where `usage` does not say."""
    usage = data.get("usage") if isinstance(data, dict) else None
    if not isinstance(usage, dict):
        return None
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    for count in (read, written):
        if type(count) is not int or not 0 <= count < _MOST_TOKENS:
            return None
    return read, written  # type: ignore[return-value]


def clean(content: str, text: str) -> str:
    """Return an answer without what models wrap around it, unless the text is wrapped so, too.

    Thoughts up to `</think>`, the tags of the passage, code fences, a first line such as `Here is
    a paraphrase:`, and quotes around the whole.
    """
    if _END_OF_THOUGHTS not in text:
        content = content.rpartition(_END_OF_THOUGHTS)[2]
    view = content.strip()
    for wrapped in (_TAGS, _FENCE):
        if (found := wrapped.fullmatch(view)) and not wrapped.fullmatch(text.strip()):
            view = found[found.re.groups].strip()
    if not _PREAMBLE.match(text.lstrip()):
        view = _PREAMBLE.sub("", view, count=1) if _PREAMBLE.match(view) else view
    for opening, closing in _QUOTES:
        inside = view[1:-1]
        if view[:1] == opening and view[-1:] == closing and not {opening, closing} & {*inside}:
            return inside.strip() if text.lstrip()[:1] != opening else view
    return view


def _content(content: Any) -> str:
    """Return the text of a message: a string, or parts of which some are text."""
    if content is None:
        return ""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if not isinstance(content, str):
        raise TypeError(f"a message's content is text, not {type(content).__name__}")
    return content


def _why_not(
    view: str, content: str, text: str, prompt: Prompt, finish: Any, refusal: bool
) -> str | None:
    """Return why a cleaned answer is no view of the text; None if it is one."""
    if refusal or finish == "content_filter":
        return "refused"
    if finish == "length" or view.startswith("<think>"):
        return "cut"
    if not view:
        return "empty"
    if _refuses(view, text):
        return "refused"
    if _bare(view) == _bare(text):
        return "copy"
    if len(view) < prompt.min_ratio * len(text) - _SLACK:
        return "too short"
    if len(view) > prompt.max_ratio * len(text) + _SLACK:
        return "too long"
    if prompt.same_language and mostly_han(view) != mostly_han(text):
        return "wrong language"
    return None


def _refuses(view: str, text: str) -> bool:
    """Return whether a view is what models say instead of an answer, and the text is not."""
    if _I_CANNOT.match(view) and not _FIRST_PERSON.search(text):
        return True
    return bool(_REFUSAL.match(view) and not _REFUSAL.match(text.lstrip()))


def _bare(text: str) -> str:
    """Return a text as copies are compared: no case, no spaces, no marks at its ends."""
    return "".join(text.casefold().split()).strip(".。!！?？\"'“”‘’「」") or text
