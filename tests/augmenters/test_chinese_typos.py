"""Chinese characters taken for others: how often, for which, and what stays as it is."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pypinyin
import pytest

from pairsmith.augmenters.chinese_typos import LookalikeTypos, PinyinTypos, near_syllables
from pairsmith.augmenters.lookalikes import GROUPS, lookalikes
from tests.augmenters.plain_tokens import keys, views
from tests.augmenters.properties import check_golden, check_properties

TEXT = "昨天北京的气温是35度，比上海高得多。他没有收到bank的短信，请问应该怎么办？"
AUGMENTERS = {"pinyin_typos": PinyinTypos(0.3), "lookalike_typos": LookalikeTypos(0.4)}
# Sounds that are mixed up, each written as one of them.
MIXED = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("h", "f"))


def sound(character):
    (syllable,) = pypinyin.lazy_pinyin(character)
    return syllable


def coarse(syllable):
    """Return a syllable with the sounds that are mixed up written alike."""
    for written, one in MIXED:
        if syllable.startswith(written):
            syllable = one + syllable[len(written) :]
            break
    return syllable.removesuffix("g")


def replaced(augmenter, text, rows):
    """Return which characters took the place of which, in so many views of a text."""
    made = views(augmenter, [text] * rows)
    assert {len(view) for view in made} == {len(text)}
    return Counter(
        pair for view in made for pair in zip(text, view, strict=True) if pair[0] != pair[1]
    )


@pytest.mark.parametrize("name", AUGMENTERS)
def test_promises_to_every_text(name):
    check_properties(AUGMENTERS[name])


@pytest.mark.parametrize("name", AUGMENTERS)
def test_views_are_those_read_by_eye(name):
    check_golden(AUGMENTERS[name], name)


@pytest.mark.parametrize("p", [0.05, 0.4])
@pytest.mark.parametrize("make", [PinyinTypos, LookalikeTypos])
def test_the_share_of_characters_replaced_is_the_rate_asked_for(make, p):
    can = {a for a, _ in replaced(make(0.99), TEXT, 300)}
    assert len(can) >= 15
    made = np.array([list(view) for view in views(make(p), [TEXT] * 5000)])
    changed = made != np.array(list(TEXT))
    for character, share in zip(TEXT, changed.mean(0), strict=True):
        expected = p if character in can else 0
        assert abs(share - expected) <= 5 * (expected * (1 - expected) / 5000) ** 0.5
    places = changed[:, [character in can for character in TEXT]]
    assert np.abs(np.corrcoef(places.T) - np.eye(places.shape[1])).max() < 0.075


def test_characters_sound_like_those_they_replace():
    pairs = replaced(PinyinTypos(0.9, near=0), TEXT, 500)
    assert len(pairs) > 100
    assert all(sound(a) == sound(b) for a, b in pairs)
    assert {b for a, b in pairs if a == "在"} <= set("载再灾仔宰栽哉")


def test_the_share_of_near_sounds_is_the_one_asked_for():
    # 山 has homophones, and shang, san and sang beside them.
    pairs = replaced(PinyinTypos(0.5, near=0.3), "山", 20_000)
    near = sum(n for (_, b), n in pairs.items() if sound(b) != "shan")
    assert {sound(b) for _, b in pairs} == {"shan", "shang", "san"}
    assert abs(near / pairs.total() - 0.3) < 5 * (0.21 / pairs.total()) ** 0.5
    pairs = replaced(PinyinTypos(0.9, near=1), TEXT, 500)
    assert all(coarse(sound(a)) == coarse(sound(b)) for a, b in pairs)
    assert any(sound(a) != sound(b) for a, b in pairs)


def test_the_most_used_homophones_are_equally_likely():
    pairs = replaced(PinyinTypos(0.5, near=0, most=3), "市", 20_000)
    assert {b for _, b in pairs} == set("石食事")
    assert all(abs(n / pairs.total() - 1 / 3) < 0.025 for n in pairs.values())
    assert {b for _, b in replaced(PinyinTypos(0.9, 0), "他", 500)} == set("它她塌塔踏挞蹋獭")


@pytest.mark.parametrize(
    ("syllable", "near"),
    [
        ("zhuang", {"zuang", "zhuan"}),
        ("ce", {"che"}),
        ("lan", {"nan", "ran", "lang"}),
        ("rong", {"long"}),
        ("hen", {"fen", "heng"}),
        ("xiang", {"xian"}),
        ("ying", {"yin"}),
        ("a", set()),
        ("an", {"ang"}),
    ],
)
def test_near_syllables_are_those_that_input_methods_mix_up(syllable, near):
    assert set(near_syllables(syllable)) == near


def test_look_alike_characters_are_those_of_the_table():
    pairs = replaced(LookalikeTypos(0.9), "未己日人千土睛拔", 2000)
    found = {a: "".join(sorted(b for c, b in pairs if c == a)) for a, _ in pairs}
    assert set(found["未"]) == set("末本朱")
    assert set(found["己"]) == set("已巳")
    assert set("曰目旦") >= set(found["日"]) >= set("曰目")
    assert set(found["人"]) == set("入八")
    assert {c: set(others) for c, others in found.items()} == {
        c: set(lookalikes()[c]) for c in "未己日人千土睛拔"
    }


def test_the_table_of_look_alikes_is_sound():
    groups = GROUPS.split()
    assert len(groups) == len({frozenset(group) for group in groups})
    assert all(len(group) == len(set(group)) > 1 for group in groups)
    # Simplified characters all, so that a view stays simplified.
    assert all(len(character.encode("gb2312")) == 2 for character in "".join(groups))
    table = lookalikes()
    assert len(table) > 1500
    assert all(a in table[b] and a not in table[a] for a in table for b in table[a])


@pytest.mark.parametrize("make", [PinyinTypos, LookalikeTypos])
def test_what_is_not_chinese_or_has_no_other_stays(make):
    text = "Bank 銀 かな 카 ￥35 😀 龘 \U00020000"
    assert set(views(make(0.9), [text] * 50)) == {text}


def test_null_and_sliced_arrays():
    texts = pa.array([None, "银行", None, "他们的短信", ""])
    augmenter = LookalikeTypos(0.5)
    whole = augmenter(texts, keys(5))
    assert whole.null_count == 2
    assert augmenter(texts[1:4], keys(5)[1:4]).to_pylist() == whole.to_pylist()[1:4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PinyinTypos(1.0), "p must be"),
        (lambda: LookalikeTypos(-0.1), "p must be"),
        (lambda: PinyinTypos(near=1.1), "near must be"),
        (lambda: PinyinTypos(most=0), "most must be"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
