"""Perturbations of Chinese texts: each rule on sentences, and what holds of any text."""

import json
from collections import Counter
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pairsmith.augmenters.perturb import (
    AntonymSwap,
    Negation,
    NumberChange,
    PhraseSwap,
    RoleSwap,
    chinese_antonyms,
    chinese_negation,
    chinese_numbers,
    chinese_phrases,
    chinese_roles,
)
from pairsmith.augmenters.perturb.chinese_characters import SIMPLIFIED, TRADITIONAL
from pairsmith.augmenters.perturb.chinese_words import clauses_of, words_of
from pairsmith.augmenters.perturb.edits import apply, edits_of
from pairsmith.augmenters.perturb.phrases import Phrase
from tests.augmenters.perturb.made import views
from tests.augmenters.properties import check_golden, check_properties

DATA = Path(__file__).parents[2] / "data" / "perturbations"
PHRASES = json.loads((DATA / "phrases_zh.json").read_text("utf-8"))
AUGMENTERS = {
    "negation": Negation(),
    "number_change": NumberChange(),
    "antonym": AntonymSwap(),
    "role_swap": RoleSwap(),
    "phrase_swap": PhraseSwap(
        tuple(Phrase(text, kind) for kind in PHRASES for text in PHRASES[kind])
    ),
}
RULES = {
    "negation": chinese_negation.candidates,
    "number_change": chinese_numbers.candidates,
    "antonym": chinese_antonyms.candidates,
    "role_swap": chinese_roles.candidates,
    "phrase_swap": lambda text: chinese_phrases.candidates(text, PHRASES),
}


NEGATIONS = [
    ("我不喜欢咖啡。", "我喜欢咖啡。"),
    ("他没有去过日本。", "他去过日本。"),
    ("我没买书。", "我买了书。"),
    ("他还没来。", "他已经来了。"),
    ("他从来没有去过北京。", "他曾经去过北京。"),
    ("我没有钱。", "我有钱。"),
    ("该公司没有分红计划。", "该公司有分红计划。"),
    ("双方都没有过错。", "双方都有过错。"),
    ("没有任何问题。", "有一些问题。"),
    ("他没有我高。", "他比我高。"),
    ("他没有我那么高。", "他比我高。"),
    ("请别打开窗户。", "请打开窗户。"),
    ("别打开窗户。", "请打开窗户。"),
    ("请勿吸烟", "请吸烟"),
    ("文件未保存", "文件已保存"),
    ("无法打开文件。", "能够打开文件。"),
    ("天气不太好。", "天气很好。"),
    ("我看不见星星。", "我看得见星星。"),
    ("他从不喝酒。", "他总是喝酒。"),
    ("选择非空单元格。", "选择空单元格。"),
    ("为什么不能还款？", "为什么能还款？"),
    ("他是老师。", "他不是老师。"),
    ("您可以选择颜色。", "您不能选择颜色。"),
    ("他会来的。", "他不会来的。"),
    ("桌上有一本书。", "桌上没有书。"),
    ("我有时间。", "我没有时间。"),
    ("天气很好。", "天气不好。"),
    ("我非常喜欢音乐。", "我不喜欢音乐。"),
    ("他喜欢音乐。", "他不喜欢音乐。"),
    ("他买了苹果。", "他没买苹果。"),
    ("他买了一本书。", "他没买书。"),
    ("他已经走了。", "他还没走。"),
    ("他去过日本。", "他没去过日本。"),
    ("门被他打开了。", "门没被他打开。"),
    ("请打开这扇门。", "请不要打开这扇门。"),
    ("已保存的文件", "未保存的文件"),
    ("她不喜歡我們。", "她喜歡我們。"),
    ("他還沒來。", "他已經來了。"),
    ("他买了《不，谢谢》。", "他没买《不，谢谢》。"),
    ("他并不是老师。", "他是老师。"),
    ("这并不会影响结果。", "这会影响结果。"),
    ("质量并不高。", "质量很高。"),
    ("原因尚不清楚。", "原因已清楚。"),
    ("请使用更大的字体。", "请不要使用更大的字体。"),
    ("请把这扇门打开。", "请不要把这扇门打开。"),
    ("给我拿一杯水。", "不要给我拿一杯水。"),
    ("我觉得房间很好。", "我不觉得房间很好。"),
]


@pytest.mark.parametrize(("text", "view"), NEGATIONS)
def test_a_negation_goes_out_or_comes_in(text, view):
    assert view in views(chinese_negation.candidates, text)


@pytest.mark.parametrize(
    "text",
    [
        "你是不是学生？",
        "能不能来",
        "有没有发票",
        "他来了没有",
        "你不喜欢吗？",
        "不但好看，而且便宜",
        "对不起",
        "两者差不多",
        "他不得不走",
        "一点也不好",
        "不是红色而是蓝色",
        "他一个字也没说",
        "不管怎样",
        "他再也不来了",
        "一切如常",
        "非洲",
        "特别的人",
        "谁是老师？",
        "多么美啊！",
        "客服一直没发货",
        "客服迟迟不发货",
        "等了半天没有人接",
        "他三天没吃饭",
        "没有想象中的好",
        "没有那么好",
        "不需要任何软件",
        "他弹的是吉他，而不是钢琴",
        "请问是红色的，还是蓝色的",
    ],
)
def test_questions_fixed_words_and_what_leans_on_a_negation_stay(text):
    assert views(chinese_negation.candidates, text) == set()


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("运行速度很快", set()),
        ("使用体验不错", set()),
        ("安装师傅很专业", set()),
        ("使用时间很长", {"使用时间不长"}),
        ("用起来很方便", {"用起来不方便"}),
        ("跟图片一样", set()),
        ("给妈妈买的手机", set()),
        ("显示效果很好", {"显示效果不好"}),
        ("手机使用流畅", set()),
        ("通话有杂音很大", set()),
        ("选择「是」将对控件启用该功能", set()),
        ("住得很舒服", {"住得不舒服"}),
    ],
)
def test_what_tells_how_something_is_tells_nobody_to_do_it(text, view):
    assert views(chinese_negation.candidates, text) == view


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("股票上涨。", "股票下跌。"),
        ("我支持你的看法。", "我反对你的看法。"),
        ("他住在左边。", "他住在右边。"),
        ("这本书很贵。", "这本书很便宜。"),
        ("他跑得很快。", "他跑得很慢。"),
        ("打开窗口", "关闭窗口"),
        ("他是我爸爸。", "他是我妈妈。"),
        ("我買了一本書。", "我賣了一本書。"),
        ("睡觉之前刷牙", "睡觉之后刷牙"),
    ],
)
def test_a_word_becomes_its_opposite(text, view):
    assert view in views(chinese_antonyms.candidates, text)


@pytest.mark.parametrize(
    "text",
    [
        "从上面到下面",
        "大学",
        "他写了《左边》",
        "主要在诺福克",
        "他出生在北京",
        "除了他之外",
        "我爱吃苹果",
        "软件支持该格式",
        "这样正确吗",
        "你支持他吗？",
        "大家是否支持他",
        "销量超过了特斯拉",
        "未经出租人同意，不得转租",
        "国内生产总值",
        "下调存款准备金率",
        "可支配收入",
    ],
)
def test_parts_of_words_opposites_side_by_side_and_titles_stay(text):
    assert views(chinese_antonyms.candidates, text) == set()


def test_no_word_is_its_own_opposite_and_words_are_listed_as_rjieba_cuts_them():
    file = resources.files("pairsmith.augmenters") / "data" / "antonyms_zh.tsv"
    lines = [line for line in file.read_text("utf-8").splitlines() if line[0] != "#"]
    rows = [(line + "\t").split("\t")[:3] for line in lines]
    assert len({tuple(row) for row in rows}) == len(rows) > 800
    assert all(word != opposite for word, opposite, _ in rows)
    assert {where for _, _, where in rows} <= {"", "g", "e", "n", "o", "v", "p", "b"}
    assert [word for word, _, _ in rows if len(words_of(word)) != 1] == []


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("汤姆喜欢玛丽。", "玛丽喜欢汤姆。"),
        ("我告诉了她一切。", "她告诉了我一切。"),
        ("他被老师批评了。", "老师被他批评了。"),
        ("我比你高。", "你比我高。"),
        ("笔记本电脑比台式电脑好。", "台式电脑比笔记本电脑好。"),
        ("我们从北京到上海。", "我们从上海到北京。"),
        ("他把我打了。", "我把他打了。"),
        ("我爸爸帮我。", "我帮我爸爸。"),
        ("他出生于纽约，后来搬到伦敦。", "他出生于伦敦，后来搬到纽约。"),
        ("湯姆愛瑪麗。", "瑪麗愛湯姆。"),
        ("我的妹妹比他高。", "他比我的妹妹高。"),
    ],
)
def test_two_take_each_other_s_place(text, view):
    assert view in views(chinese_roles.candidates, text)


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("他的个子比我高。", {"我的个子比他高。"}),
        ("今年的工资比去年高。", {"去年的工资比今年高。"}),
        ("上海今年的工资比去年高。", {"上海去年的工资比今年高。"}),
        ("北京的人口比上海多。", {"上海的人口比北京多。"}),
        ("公司的工资比去年高。", set()),
    ],
)
def test_whose_is_compared_changes_places_without_what_is_compared(text, view):
    assert views(chinese_roles.candidates, text) == view


@pytest.mark.parametrize(
    "text",
    [
        "汤姆和玛丽结婚了。",
        "我是他。",
        "我认为他会来。",
        "你信不信我",
        "我喜欢我们的房子。",
        "今天比以前好。",
        "一天比一天冷。",
        "你请您坐",
        "他喜欢音乐。",
        "从头到尾",
        "从北京到上海大约1300公里。",
        "从北京到上海两千六百里。",
        "从北京到上海有多远？",
        "從北京到上海的路，共 1300 公里。",
        "从北京到上海距离很远。",
    ],
)
def test_what_holds_both_ways_stays(text):
    assert views(chinese_roles.candidates, text) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("他认识约翰·史密斯和王小明。", {"约翰·史密斯", "王小明"}),
        ("她住在加利福尼亚州。", {"加利福尼亚州"}),
        ("我从北京去法国。", {"北京", "法国"}),
        ("他在中国工商银行和北京大学工作。", {"中国工商银行", "北京大学"}),
        ("他写了《战争与和平》。", {"《战争与和平》"}),
        ("请选择「文件 - 打印」。", {"「文件 - 打印」"}),
        ("湯姆去了東京。", {"湯姆", "東京"}),
        ("他說：「你好」。", set()),
        ("我在学法语，不学中国文学。", {"中国"}),
        ("上市公司的董事会", set()),
        ("谢谢孙子", set()),
    ],
)
def test_names_are_found(text, found):
    assert {text[start:stop] for start, stop, _ in chinese_phrases.mentions(text)} == found


def test_a_name_is_swapped_with_one_of_its_kind_in_the_script_of_the_text():
    phrases = {"place country": ("美国", "中国", "日本"), "place city": ("东京", "巴黎")}
    swaps = views(lambda text: chinese_phrases.candidates(text, phrases), "我去過東京，不在日本。")
    assert swaps == {
        "我去過巴黎，不在日本。",
        "我去過東京，不在美國。",
        "我去過東京，不在中國。",
    }


def test_a_fit_collects_the_names_of_a_corpus():
    corpus = pa.array(["他住在巴黎。", "她去了伦敦。", None, "约翰·史密斯来了。"])
    fitted = PhraseSwap().fit(corpus)
    assert [phrase.text for phrase in fitted.phrases] == ["伦敦", "巴黎", "约翰·史密斯"]
    assert fitted(pa.array(["我在伦敦。"]), np.zeros(1, np.uint64)).to_pylist() == ["我在巴黎。"]


def test_japanese_is_left_alone():
    for rules in RULES.values():
        assert views(rules, "私は東京に行かない。三人で買います。") == set()


hostile = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from("不没是有三十年月我你比从到《》「」，。 1.:"),
    max_size=40,
)


@pytest.mark.parametrize("kind", RULES)
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_edits_are_in_order_disjoint_inside_the_text_and_the_same_each_time(kind, data):
    text = data.draw(hostile | st.sampled_from([pair[0] for pair in NEGATIONS]))
    changes = RULES[kind](text)
    assert changes == RULES[kind](text)
    for change in changes:
        edits = edits_of(change)
        assert edits
        assert all(0 <= start <= stop <= len(text) for start, stop, _ in edits)
        assert all(before.stop <= after.start for before, after in pairwise(edits))
        assert apply(text, change) != text
        assert apply(text, change).strip()


@settings(deadline=None, max_examples=200)
@given(hostile)
@example("他（1950 年生）说：“你好！”\n《书》")
def test_words_are_the_text_cut_and_clauses_are_words_of_it(text):
    words = words_of(text)
    if words:
        assert [word.start for word in words[1:]] == [word.stop for word in words[:-1]]
        assert (words[0].start, words[-1].stop) == (0, len(text))
    for clause in clauses_of(text):
        assert clause.words
        for word in clause.words:
            assert word.text == text[word.start : word.stop].translate(SIMPLIFIED)


def test_characters_are_converted_one_for_one():
    assert len(SIMPLIFIED) > 900
    assert not set(map(chr, SIMPLIFIED)) & set(SIMPLIFIED.values())
    assert "还没有以后这里面只".translate(TRADITIONAL) == "還沒有以後這裡面只"
    for new, old in TRADITIONAL.items():
        assert SIMPLIFIED[ord(old)] == chr(new)


@pytest.mark.parametrize("kind", AUGMENTERS)
def test_chinese_perturbations_keep_the_promises_of_augmenters(kind):
    check_properties(AUGMENTERS[kind], examples=30)


@pytest.mark.parametrize("kind", AUGMENTERS)
def test_chinese_views_are_those_that_were_read(kind):
    check_golden(AUGMENTERS[kind], f"{kind}_zh")


@pytest.mark.parametrize("kind", AUGMENTERS)
def test_nine_of_ten_views_are_sentences_that_mean_something_else(kind):
    lines = (DATA / f"{kind}_zh.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 100
    keys = np.array([row["key"] for row in rows], np.uint64)
    made = AUGMENTERS[kind](pa.array([row["text"] for row in rows]), keys).to_pylist()
    assert made == [row["view"] for row in rows], "the output changed? draw and judge again"
    judged = Counter(row["grammatical"] and row["meaning_changes"] for row in rows)
    assert judged[True] >= 90
