"""What numerals are worth: 1,234.5 and 三十五."""

DIGITS = "零一二三四五六七八九"
PLACES = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}


def value_of(number: str) -> float:
    """Return what a number is worth: 1,234.5, 三十五, or 一九九八, digit by digit."""
    if number[0].isascii():
        return float(number.replace(",", ""))
    if not PLACES.keys() & set(number):
        return float("".join(str(digit_of(sign)) for sign in number))
    total = section = digit = 0
    for sign in number:
        place = PLACES.get(sign, 1)
        if place == 1:
            digit = digit_of(sign)
        elif place < 10**4:
            section += (digit or 1) * place
            digit = 0
        else:
            total += (section + digit) * place
            section = digit = 0
    return float(total + section + digit)


def digit_of(sign: str) -> int:
    """Return what a Chinese digit is worth."""
    return 2 if sign == "两" else DIGITS.index(sign.replace("〇", "零"))
