"""Chinese numbers and dates: other values, the same format, and what is no number."""

import re
from calendar import monthrange
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pairsmith.augmenters.perturb import chinese_numbers
from pairsmith.augmenters.perturb.chinese_numerals import value_of
from tests.augmenters.perturb.made import views

NUMERAL = "[0-9]+|[一二三四五六七八九十]+"


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("2021年3月5日", {"2021年3月6日", "2022年3月5日", "2021年2月5日"}),
        ("他今年三十五岁。", {"他今年三十七岁。", "他今年五十五岁。"}),
        ("百分之三十的人", {"百分之五十的人"}),
        ("三分之一的人", {"四分之一的人"}),
        ("星期三见", {"星期五见"}),
        ("价格是1,234.50元", {"价格是3,234.50元"}),
        ("第三次", {"第五次"}),
        ("他出生于一九九八年", {"他出生于一九九六年"}),
        ("我有兩個孩子。", {"我有三個孩子。"}),
        ("在 12:30 开始", {"在 12:31 开始"}),
        ("会议18：30开始。", {"会议18：31开始。"}),
        ("在 12:10 开始", {"在 12:09 开始"}),
        ("100％的人同意", {"90％的人同意", "80％的人同意", "50％的人同意"}),
        ("价格：35元", {"价格：37元"}),
        ("二十世纪九十年代", {"二十世纪八十年代", "十九世纪九十年代"}),
    ],
)
def test_a_number_changes_and_keeps_its_format(text, some):
    assert some <= views(chinese_numbers.candidates, text)


@pytest.mark.parametrize(
    "text",
    [
        "一般来说他们一起走",
        "他吃三明治",
        "万一下雨，十分麻烦",
        "千万别去",
        "四周很安静",
        "三四天以后",
        "几十年前",
        "他是一个学生",
        "有一天他来了",
        "使用 Windows 10 系统",
        "公式 =A1+B2",
        "第三方支付",
        "1. 打开文件",
        "1：打开文件",
        "用时18：30：45。",
        "版本 1.2.3",
        "MP3 文件",
        "两边都行",
        "他骑三轮车上班。",
        "她喜欢二次元。",
        "昆明四季如春。",
        "四人帮倒台了。",
        "股票在二级市场交易。",
        "三级医院的门诊",
        "请立即拨打95588挂失。",
        "尾号4821的卡",
        "第三人不承担责任。",
        "三到五个工作日到账",
    ],
)
def test_words_estimates_names_and_formulas_are_no_numbers(text):
    assert views(chinese_numbers.candidates, text) == set()


@given(st.integers(0, 23), st.integers(0, 59), st.sampled_from(":："))
def test_clock_times_stay_clock_times(hour, minute, colon):
    made = views(chinese_numbers.candidates, f"会议{hour}{colon}{minute:02}开始。")
    assert made
    for view in made:
        before, after = view.split(colon)
        assert before == f"会议{hour}"
        assert after[2:] == "开始。"
        assert minute != int(after[:2]) < 60


@given(st.integers(1000, 2029), st.integers(1, 12), st.integers(1, 31))
@example(2020, 2, 29)
@example(2021, 1, 31)
@example(2021, 5, 31)
def test_dates_stay_dates(year, month, day):
    text = f"{year}年{month}月{day}日"
    made = views(chinese_numbers.candidates, text)
    assert made
    for view in made:
        new = [int(part) for part in view[:-1].replace("年", " ").replace("月", " ").split()]
        assert len(str(new[0])) == 4
        if day <= monthrange(year, month)[1]:
            date(*new)
        assert sum(a != b for a, b in zip(new, (year, month, day), strict=True)) == 1


def test_dates_in_words_stay_dates():
    assert views(chinese_numbers.candidates, "三月三十一日") >= {"五月三十一日", "八月三十一日"}
    for text in ("三月三十一日", "三 月 30 日", "二月十日"):
        for view in views(chinese_numbers.candidates, text):
            month, day = view.replace(" ", "")[:-1].split("月")
            date(2021, int(value_of(month)), int(value_of(day)))


@pytest.mark.parametrize("day", ["2021-03-10", "2021-3-9", "2021/10/11"])
def test_days_keep_as_many_digits(day):
    made = views(chinese_numbers.candidates, f"于{day}开始")
    assert made
    assert all(len(view) == len(f"于{day}开始") for view in made)


@given(st.integers(1, 10**9 - 1))
def test_a_changed_number_has_another_value_and_as_many_digits(value):
    text = f"共有 {value} 人"
    made = views(chinese_numbers.candidates, text)
    assert made
    for view in made:
        new = view.split()[1]
        assert new != str(value)
        assert len(new) == len(str(value))


@pytest.mark.parametrize(
    "text", ["三季度营收增长。", "公司第三季度亏损。", "四季度销量下滑。", "第4季度", "一季度盈利"]
)
def test_a_year_has_four_quarters(text):
    made = views(chinese_numbers.candidates, text)
    assert len(made) == 3
    assert {re.search("(.)季度", view)[1] for view in made} <= set("一二三四1234")


def test_the_first_of_a_range_falls_and_the_second_rises():
    ends = [
        (view[1:5], view[7:11]) for view in views(chinese_numbers.candidates, "从1939年到1945年")
    ]
    assert ends
    assert all(first < "1940" and second > "1944" for first, second in ends)


@pytest.mark.parametrize(
    "text",
    [
        "从2019年5月到2020年6月",
        "从2019年5月到2019年6月",
        "从 2019 年 5 月 3 日至 2020 年 6 月 4 日",
        "2019年五月三日到2020年六月四日",
        "从5月3日到6月2日",
    ],
)
def test_years_and_months_of_two_dates_keep_their_order(text):
    def parts(view):
        return [[value_of(part) for part in re.findall(f"({NUMERAL}) ?{unit}", view)]
                for unit in ("年", "月")]  # fmt: skip

    made = views(chinese_numbers.candidates, text)
    assert made
    for view in made:
        assert all(ends == sorted(ends) for ends in parts(view)), view


@pytest.mark.parametrize("text", ["从30%到50%", "从30％到50％"])
def test_percentages_of_a_range_keep_their_order(text):
    ends = [(int(view[1:3]), int(view[5:7])) for view in views(chinese_numbers.candidates, text)]
    assert ends
    assert all(first <= 30 and second >= 50 for first, second in ends)


def test_no_number_becomes_equal_to_another():
    made = views(chinese_numbers.candidates, "有 3 个和 4 个，还有 5 个")
    assert made
    assert not [view for view in made if len(set(view) & set("123456789")) < 3]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("三十五", 35),
        ("十", 10),
        ("一百零三", 103),
        ("两千", 2000),
        ("三万五千", 35000),
        ("一亿两千万", 120_000_000),
        ("二〇二一", 2021),
        ("1,234.5", 1234.5),
    ],
)
def test_numerals_are_read(number, value):
    assert value_of(number) == value
