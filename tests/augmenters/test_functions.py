"""Plain functions as augmenters, and what stands around kernels: imports, the GIL, the extra."""

import functools
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters import (
    Augmenter,
    Crop,
    SpanMask,
    WordDropout,
    count_words,
    drop_ids,
    from_function,
    measures,
)
from pairsmith.augmenters.settings import as_data
from pairsmith.schemas import UserError
from tests.augmenters.plain_tokens import keys


def swap_case(text, rng):
    """Return the text with its case swapped, half of the time."""
    return text.swapcase() if rng.random() < 0.5 else None


def test_a_function_becomes_an_augmenter_with_its_name():
    augmenter = from_function(swap_case)
    assert isinstance(augmenter, Augmenter)
    assert (augmenter.name, augmenter.version) == ("swap_case", 1)
    named = from_function(swap_case, name="swap", version=3)
    assert (named.name, named.version) == ("swap", 3)
    augmenter.setup()


def cut(text, rng, share):
    return text[: int(len(text) * share)]


class Cut:
    def __call__(self, text, rng):
        return cut(text, rng, 0.5)


def closed(share):
    return lambda text, rng: cut(text, rng, share)


def defaulted(share):
    return lambda text, rng, share=share: cut(text, rng, share)


def noted(function):
    @functools.wraps(function)
    def noting(text, rng):
        return function(text, rng)

    return noting


@noted
def shout(text, rng):
    return text.upper()


def test_a_function_is_recorded_by_its_name():
    for function in (swap_case, shout):
        assert as_data(from_function(function))["function"] == f"{__name__}:{function.__name__}"


@pytest.mark.parametrize(
    "function",
    [
        *(closed(0.5), defaulted(0.5), functools.partial(cut, share=0.5), Cut()),
        *(Cut().__call__, lambda text, rng: text.lower()),
    ],
)
def test_a_function_whose_settings_its_name_does_not_tell_is_refused_in_one_line(function):
    with pytest.raises(UserError, match="frozen dataclass") as refused:
        as_data(from_function(function, name="cut"))
    assert "\n" not in str(refused.value)


def test_a_function_gets_a_generator_made_of_the_key_and_may_return_no_view():
    own = keys(200)
    views = from_function(swap_case)(pa.array(["aB"] * 200), own)
    # Philox with the key, as documented.
    expected = [
        "Ab" if np.random.Generator(np.random.Philox(key=int(key))).random() < 0.5 else None
        for key in own
    ]
    assert views.to_pylist() == expected
    assert views.type == pa.string()
    assert 60 < views.null_count < 140


def test_a_function_is_not_asked_about_nulls_and_must_return_text():
    def number(text, rng):
        return len(text)

    assert from_function(number)(pa.array([None], pa.string()), keys(1)).to_pylist() == [None]
    with pytest.raises(TypeError, match="number returned int, not str or None"):
        from_function(number)(pa.array(["a"]), keys(1))
    with pytest.raises(ValueError, match="shorter"):
        from_function(swap_case)(pa.array(["a", "b"]), keys(1))


def test_importing_augmenters_and_making_them_loads_nothing_heavy():
    code = (
        "import sys, pairsmith.augmenters as a; a.WordDropout(); a.TokenDropout('m'); a.SpanMask();"
        "heavy = {'numba', 'rjieba', 'sentencepiece', 'apache_beam', 'torch', 'pandas'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_all_that_is_public_can_be_imported():
    import pairsmith.augmenters as public

    assert sorted(public.__all__) == public.__all__
    assert all(hasattr(public, name) for name in public.__all__)


def test_kernels_let_other_threads_run():
    texts = pa.array(["some words of a sentence that is not short " * 200] * 6000)
    own = keys(len(texts))
    WordDropout().setup()
    finished = threading.Event()

    def work():
        WordDropout(chinese="characters")(texts, own)
        finished.set()

    thread = threading.Thread(target=work)
    turns = 0
    start = time.perf_counter()
    thread.start()
    # With the GIL held this thread would get a few turns before and after the kernel, no more.
    while not finished.is_set():
        time.sleep(0.001)
        turns += 1
    thread.join()
    assert turns > 100 * (time.perf_counter() - start)


def test_kernels_are_compiled_once_whatever_the_arrays_and_settings():
    from pairsmith.augmenters.id_kernels import rewrite_ids
    from pairsmith.augmenters.word_kernels import rewrite

    texts, own = pa.array(["a b", None, "中文"]), keys(3)
    frozen = own.copy()
    frozen.flags.writeable = False
    for augmenter in (WordDropout(0), WordDropout(np.float32(0.5)), Crop(1, 1), SpanMask(0.5, 2)):
        augmenter(texts, own)
        augmenter(texts[1:], frozen[1:])
        augmenter(texts.drop_null(), own[::2][:2])
    for values in (np.arange(4, dtype=np.int32), np.arange(8, dtype=np.int32)[::2]):
        drop_ids(values, np.array([0, 1, 2, 4]), frozen, 0)
        drop_ids(values, np.array([0, 1, 2, 4], np.int32), own, 0.5)
    assert len(rewrite.signatures) == 1
    assert len(rewrite_ids.signatures) == 1


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    for call in (
        lambda: WordDropout()(pa.array(["a"]), keys(1)),
        lambda: count_words(pa.array(["a"])),
        lambda: measures.word_overlap(pa.array(["a"]), pa.array(["a"])),
    ):
        with pytest.raises(UserError, match=r"numba.*pip install '\.\[build\]'"):
            call()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "rjieba", None)
    assert WordDropout(0.0)(pa.array(["no Chinese"]), keys(1)).to_pylist() == ["no Chinese"]
    with pytest.raises(UserError, match="rjieba"):
        WordDropout()(pa.array(["中文"]), keys(1))
