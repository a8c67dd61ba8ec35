"""Where `NlpAug` finds the language models that nlpaug asks transformers for."""

import hashlib
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.schemas import UserError
from tests.augmenters.tiny_models import make_t5, sentences

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it has stray backslashes
    pytest.importorskip("nlpaug.augmenter.word")
pytest.importorskip("transformers")

GENERATES = "nlpaug.augmenter.sentence.ContextualWordEmbsForSentenceAug"
SUMMARIZES = "nlpaug.augmenter.sentence.AbstSummAug"
TRANSLATES = "nlpaug.augmenter.word.BackTranslationAug"
TEXT = "the old cat drinks milk."


def make_gpt2(folder: Path, seed: int = 0) -> str:
    """Save an untrained GPT-2 of one layer; return its folder."""
    import torch
    import transformers

    _, tokenizer = make_t5(folder, sentences())
    (folder / "generation_config.json").unlink()
    torch.manual_seed(seed)
    size = {"n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 1, "eos_token_id": 1}
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=128, **size)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return str(folder)


class Hub:
    """A hub on this machine, with the files of a folder as `someone/<name of the folder>`."""

    def __init__(self, folder: Path | None) -> None:
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                if "/resolve/" in self.path:
                    hub.asked.append(self.path)
                if folder is None:
                    return self.answer(503, b"")
                file = folder / self.path.rpartition("/")[2]
                if f"/someone/{folder.name}/resolve/" in self.path and file.is_file():
                    return self.answer(200, file.read_bytes())
                return self.answer(404, b"", error="EntryNotFound")

            def do_GET(self):
                self.do_HEAD()

            def answer(self, code, content, error=""):
                self.send_response(code)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("X-Error-Code", error)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def hub_with(monkeypatch, tmp_path):
    """Return a function that starts a hub and makes it the one that is asked."""
    from huggingface_hub import constants

    started = []

    def start(folder: Path | None = None) -> Hub:
        hub = Hub(folder)
        threading.Thread(target=hub.server.serve_forever, daemon=True).start()
        started.append(hub.server)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        place = f"http://127.0.0.1:{hub.server.server_port}"
        files = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, place)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr(constants, "ENDPOINT", place)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        return hub

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "model", "argument"),
    [
        (TRANSLATES, "facebook/wmt19-en-de", "from_model_name"),
        (SUMMARIZES, "t5-base", "model_path"),
        (GENERATES, "gpt2", "model_path"),
    ],
)
def test_a_hub_that_does_not_work_is_asked_once(hub_with, name, model, argument):
    hub = hub_with()
    with pytest.raises(UserError, match=rf"model '{model}'.*503.*its folder as {argument}$") as got:
        NlpAug(name).setup()
    assert "\n" not in str(got.value)
    assert hub.asked == [f"/{model}/resolve/main/config.json"]


def test_the_second_model_is_asked_for_when_the_first_is_a_folder(hub_with, tmp_path):
    hub_with()
    with pytest.raises(UserError, match=r"facebook/wmt19-de-en.* as to_model_name$"):
        NlpAug(TRANSLATES, from_model_name=str(tmp_path)).setup()


def test_a_model_of_the_hub_and_of_its_cache_works(hub_with, tmp_path, monkeypatch):
    make_gpt2(tmp_path / "gpt2")
    hub = hub_with(tmp_path / "gpt2")
    NlpAug(GENERATES, model_path="someone/gpt2").setup()
    assert "/someone/gpt2/resolve/main/config.json" in hub.asked
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    NlpAug(GENERATES, model_path="someone/gpt2").setup()


def test_models_of_two_folders_of_the_same_name_are_not_mixed_up(tmp_path):
    folders = []
    for seed in range(2):
        folders.append(make_gpt2(tmp_path / str(seed) / "gpt2", seed))
    views = []
    for folder in (*folders, folders[0]):
        augmenter = NlpAug(GENERATES, model_path=folder)
        views.append(augmenter(pa.array([TEXT]), np.array([7], np.uint64)).to_pylist())
    assert views[0] == views[2] != views[1]


def test_summaries_and_translations_of_a_folder_work(tmp_path):
    folder = str(tmp_path / "t5")
    make_t5(tmp_path / "t5", sentences())
    for augmenter in (
        NlpAug(SUMMARIZES, model_path=folder, min_length=1, max_length=3),
        NlpAug(TRANSLATES, from_model_name=folder, to_model_name=folder, max_length=4),
    ):
        augmenter.setup()
        assert augmenter(pa.array([TEXT]), np.array([7], np.uint64)).null_count == 0
