import pytest

from pairsmith.schemas import UserError, require


def test_an_installed_package_is_returned():
    assert require("numpy.linalg", "build").__name__ == "numpy.linalg"


def test_a_missing_package_is_named_with_the_extra_that_brings_it():
    with pytest.raises(UserError) as caught:
        require("no_such_package.part", "train")
    assert str(caught.value) == (
        "the Python package 'no_such_package' is missing; "
        "install it with: pip install '.[train]' in a checkout of pairsmith"
    )


def test_a_package_that_is_there_but_broken_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "broken_package.py").write_text("import no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        require("broken_package", "train")
