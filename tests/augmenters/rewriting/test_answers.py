"""What is made of answers: the view without its wrapping, or a reason why there is none."""

import json

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import Cached
from pairsmith.augmenters.rewriting import PARAPHRASE, SUMMARY, Rewrite
from pairsmith.schemas import UserError
from tests.augmenters.rewriting.stand_in import Said, completion, echo, passage, problem

TEXT = "The bank raised its rates to 3.5 % in March, Powell said."
GOOD = "In March, said Powell, the bank put its rates up to 3.5 %."
CHINESE = "银行三月把利率提高到了3.5%。"


def ask(endpoint, said, text=TEXT, prompt=PARAPHRASE, **settings):
    """Return view, reason and details of a text that is answered so."""
    # Another text is understood, so that a strange answer is this text's own.
    endpoint.behave = lambda request, number: (
        said if passage(request) == text else echo(request, number)
    )
    rewrite = Rewrite(prompt, model="m", endpoint=endpoint.url, retries=0, **settings)
    views = rewrite.views(pa.array(["Something else.", text]), np.arange(2, dtype=np.uint64))
    assert views.texts[0].as_py() == "In short, Something else."
    return tuple(column[1].as_py() for column in views)


@pytest.mark.parametrize(
    "wrapped",
    [
        GOOD,
        f"\n {GOOD} \n",
        f"“{GOOD}”",
        f'"{GOOD}"',
        f"<passage>\n{GOOD}\n</passage>",
        f"```text\n{GOOD}\n```",
        f"Sure! Here is a paraphrase of the passage:\n\n{GOOD}",
        f"<think>\nThe user wants “it” so…\n</think>\n\n{GOOD}",
        f"so I will write this.</think>{GOOD}",
        [{"type": "text", "text": GOOD}],
    ],
)
def test_what_models_wrap_around_an_answer_is_taken_off(endpoint, wrapped):
    assert ask(endpoint, completion(wrapped)) == (GOOD, None, '{"tokens":[100,10]}')


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('"Stay," said the old man to his dog.', '"Do not go," the old man told his dog.'),
        ('He said "stay" to the dog.', '"Stay" is what he said to "the dog"'),
        ("Use </think> to end a thought.", "To end a thought, </think> is written."),
        ("Here is what we need:\nmilk and eggs", "Here is all we need:\neggs and milk"),
    ],
)
def test_what_belongs_to_the_text_stays(endpoint, text, answer):
    assert ask(endpoint, completion(answer), text)[0] == answer


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("empty", completion("")),
        ("empty", completion(" \n")),
        ("empty", completion(None)),
        ("empty", completion('""')),
        ("copy", completion(TEXT)),
        ("copy", completion(f" “{TEXT.upper().rstrip('.')}” ")),
        ("cut", completion(GOOD[:20], finish="length")),
        ("cut", completion("", finish="length")),
        ("cut", completion("<think>\nWell, the user")),
        ("refused", completion("", finish="content_filter")),
        ("refused", completion(None, refusal="I cannot do this.")),
        ("refused", completion("I'm sorry, but I can't help with that request.")),
        ("refused", completion("I cannot assist with paraphrasing this.")),
        ("refused", completion("As an AI language model, I have no bank.")),
        ("refused", completion("抱歉，我无法改写这段文字。")),
        ("refused", completion("I'm unable to provide that.")),
        ("refused", completion("我无法提供这样的内容。")),
        ("refused", completion("作为一个人工智能，我没有银行账户。")),
        ("refused", problem(400, "The response was filtered", "content_filter")),
        ("too short", completion("OK")),
        ("too long", completion("word " * 40)),
        (
            "wrong language",
            completion("鲍威尔说，三月份银行把利率提高到了3.5%，这是第一次。"),
        ),
        ("nonsense answer", Said(b"<html>Gateway</html>")),
        ("nonsense answer", Said(b"")),
        ("nonsense answer", Said(b"\xff\xfe")),
        ("nonsense answer", Said(b"[" * 100_000)),
        ("nonsense answer", Said(b"null")),
        ("nonsense answer", Said(b"{}")),
        ("nonsense answer", Said(b'{"choices":[]}')),
        ("nonsense answer", Said(b'{"choices":[{"message":null}]}')),
        ("nonsense answer", completion(5)),
        ("nonsense answer", completion([{"type": "text", "text": 5}])),
        ("nonsense answer", completion(f"{GOOD} \ud800")),
        ("too long for the model", problem(413, "Payload Too Large")),
        ("too long for the model", problem(400, "This model's maximum context length is 9 tokens")),
        ("too long for the model", problem(400, "no", "context_length_exceeded")),
        ("bad request", problem(422, "cannot tokenise this")),
    ],
)
def test_an_answer_that_is_no_view_becomes_null_with_a_reason(endpoint, reason, said):
    view, why, details = ask(endpoint, said)
    assert (view, why) == (None, reason)
    assert isinstance(json.loads(details or "{}"), dict)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "I'm sorry, but I can't help you move on Friday.",
            "Sorry, I can't help with your move.",
        ),
        ("We regret that we can't come.", "I'm sorry, but I can't make it."),
        ("抱歉，我无法参加明天的会议。", "很抱歉，我无法出席明天的会。"),
        (
            "Adding a new payee in the app isn't working for me.",
            "I can't create a new payee in the app.",
        ),
        ("我没法完成转账。", "我无法完成转账。"),
        ("Dr. Li went home at 9.", "At nine, Dr. Li left for her home, which is far."),
        ("3.5 %", "35 %"),
    ],
)
def test_what_only_looks_like_a_refusal_or_a_copy_is_a_view(endpoint, text, answer):
    assert ask(endpoint, completion(answer), text)[:2] == (answer, None)


def test_lengths_are_judged_by_the_prompt(endpoint):
    long = "The bank raised its rates. " * 20
    shorter = "The bank raised its rates twenty times over, as was said over and over."
    assert ask(endpoint, completion(shorter), long)[1] == "too short"
    assert ask(endpoint, completion(shorter), long, SUMMARY)[:2] == (shorter, None)
    assert ask(endpoint, completion(long + GOOD), long, SUMMARY)[1] == "too long"


def test_a_chinese_text_gets_a_chinese_view(endpoint):
    assert ask(endpoint, completion("三月，银行将利率上调至3.5%。"), CHINESE)[1] is None
    assert ask(endpoint, completion("The bank raised it."), CHINESE)[1] == "wrong language"


@pytest.mark.parametrize(
    "usage",
    [None, "many", {}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": 2**60}],
)
def test_tokens_that_the_server_does_not_count_are_not_made_up(endpoint, usage):
    assert ask(endpoint, completion(GOOD, usage=usage)) == (GOOD, None, None)


def test_details_show_how_an_answer_begins_that_is_no_view(endpoint):
    details = json.loads(ask(endpoint, completion("x" * 1000))[2])
    assert details == {"tokens": [100, 10], "answer": "x" * 200}
    told = json.loads(ask(endpoint, problem(400, "what\nis this?"))[2])
    assert told == {"answer": "HTTP 400: what is this?"}


def test_requests_that_are_all_bad_are_the_users_mistake(endpoint):
    endpoint.behave = lambda request, number: problem(400, "Unsupported parameter: 'max_tokens'")
    rewrite = Rewrite(model="m", endpoint=endpoint.url)
    with pytest.raises(UserError, match=r"Unsupported parameter.*max_completion_tokens.*0 of 2"):
        rewrite(pa.array(["one", "two"]), np.arange(2, dtype=np.uint64))


def test_answers_of_an_endpoint_that_made_no_sense_yet_are_kept_by_no_cache(endpoint, tmp_path):
    endpoint.behave = lambda request, number: Said(b"<html>Sign in</html>")
    texts, own = pa.array(["one", "two"]), np.arange(2, dtype=np.uint64)
    cached = Cached(Rewrite(model="m", endpoint=endpoint.url), str(tmp_path))
    with pytest.raises(UserError, match=r"no chat completions but: <html>Sign in.*/v1.* 0 of 2"):
        cached(texts, own)
    endpoint.behave = echo
    assert cached(texts, own).to_pylist() == ["In short, one", "In short, two"]


@pytest.mark.parametrize("said", [Said(b"<html>Welcome</html>"), problem(400, "Welcome")])
def test_an_endpoint_that_never_makes_sense_is_soon_left_alone(endpoint, said):
    endpoint.behave = lambda request, number: said
    texts = pa.array([f"text {number}" for number in range(200)])
    rewrite = Rewrite(model="m", endpoint=endpoint.url, concurrency=4)
    with pytest.raises(UserError, match=r"Welcome.* 0 of 200 texts") as caught:
        rewrite(texts, np.arange(200, dtype=np.uint64))
    assert len(endpoint.requests) <= 16 + 4
    assert not caught.value.done.any()
