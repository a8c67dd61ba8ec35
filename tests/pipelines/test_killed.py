"""A build that is killed leaves nothing that passes for a dataset, and can be run again."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from pairsmith.schemas import open_dataset
from tests.pipelines.corpora import documents, pairsmith, sums, write_parquet


def command(corpus: Path, output: Path) -> list[str]:
    script = str(Path(sys.executable).with_name("pairsmith"))
    flags = ["--shards", "40", "--batch-rows", "64"]
    return [script, "build", "quickstart", "--input", str(corpus), "--output", str(output), *flags]


def test_a_build_that_is_interrupted_leaves_its_neighbours_alone_and_goes_on(
    tmp_path: Path,
) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(600), row_group=50)
    output = tmp_path / "runs" / "first"
    flags = ("--waves", "40", "--workers", "2")
    first = subprocess.Popen(
        [*command(corpus, output), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list((output / ".work").glob("wave-*.json")):
        assert first.poll() is None, "the first build ended before it was disturbed"
        time.sleep(0.001)
    second = tmp_path / "runs" / "second"
    second.mkdir()
    (second / "precious").write_text("keep me")
    first.send_signal(signal.SIGINT)
    _, printed = first.communicate()
    assert first.returncode == 2, printed
    assert "interrupted" in printed
    assert (second / "precious").read_text() == "keep me"
    finished = {path.name: path.stat().st_mtime_ns for path in output.glob(".work/wave-*.json")}
    made = output.glob(".work/new/shards/*.parquet")
    shards = {path.name: path.stat().st_mtime_ns for path in made}
    assert 1 <= len(finished) < 40
    again = pairsmith(*command(corpus, output)[1:], *flags)
    assert again.returncode == 0, again.stderr
    kept = [
        name
        for name, written in shards.items()
        if (output / "shards" / name).stat().st_mtime_ns == written
    ]
    assert len(kept) >= len(finished)  # not made again
    undisturbed = pairsmith(*command(corpus, tmp_path / "other")[1:], "--waves", 7)
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert sums(output) == sums(tmp_path / "other")


def test_another_recipe_or_input_does_not_go_on_with_what_is_there(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(200), row_group=50)
    output = tmp_path / "out"
    first = subprocess.Popen(
        [*command(corpus, output), "--waves", "40"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list((output / ".work").glob("wave-*.json")):
        assert first.poll() is None, "the first build ended before it was disturbed"
        time.sleep(0.001)
    first.kill()
    first.wait()
    write_parquet(corpus, documents(210), row_group=50)
    done = pairsmith(*command(corpus, output)[1:])
    assert done.returncode == 0, done.stderr
    anew = pairsmith(*command(corpus, tmp_path / "anew")[1:])
    assert anew.returncode == 0
    assert sums(output) == sums(tmp_path / "anew")


def test_two_builds_into_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(600), row_group=50)
    output = tmp_path / "out"
    first = subprocess.Popen(
        command(corpus, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (output / "UNFINISHED").exists():
        assert first.poll() is None, "the first build ended before it was disturbed"
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)  # so that it is at work, however slow the second begins
    try:
        second = pairsmith(*command(corpus, output)[1:])
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert "another build is at work in" in second.stderr
    assert first.wait() == 0
    assert open_dataset(output).rows > 0


def test_what_others_left_in_an_unfinished_folder_stays(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(30))
    output = tmp_path / "out"
    (output / ".git" / "x").mkdir(parents=True)
    (output / ".mine").touch()
    (output / "UNFINISHED").touch()
    (output / ".manifest.json.0123456789abcdef").touch()
    done = pairsmith(*command(corpus, output)[1:])
    assert done.returncode == 0, done.stderr
    assert (output / ".git" / "x").is_dir()
    assert {path.name for path in output.glob(".*")} == {".git", ".mine"}


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    corpus = write_parquet(tmp_path / "in.parquet", documents(6))
    (tmp_path / "mine" / "shards").mkdir(parents=True)
    (tmp_path / "mine" / "shards" / "precious").write_text("keep me")
    done = pairsmith(*command(corpus, tmp_path / "mine")[1:])
    assert done.returncode == 2
    assert "already holds files of something else" in done.stderr
    assert (tmp_path / "mine" / "shards" / "precious").read_text() == "keep me"
