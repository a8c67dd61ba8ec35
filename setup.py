"""Maps the top-level folders to `pairsmith.<folder>`; all metadata stands in pyproject.toml."""

from setuptools import find_packages, setup

FOLDERS = ["schemas", "augmenters", "pipelines", "training", "commands"]

setup(
    packages=[
        f"pairsmith.{package}"
        for package in find_packages(include=[glob for f in FOLDERS for glob in (f, f"{f}.*")])
    ],
    package_dir={f"pairsmith.{folder}": folder for folder in FOLDERS},
)
