"""Models that tests of translation share: made here, in the repository, or beside it."""

import json
import os
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WORDS = ["the", "cat", "dog", "sees", "a", "red", "blue", "small", "big", "house", "of", "man"]
SYLLABLES = ["ba", "ke", "lo", "mi", "ru", "sta", "tion", "ver", "zen", "qua", "hou", "du"]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep converted models out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAIRSMITH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_models():
    """Return the folder of the two models that the repository holds."""
    return str(ROOT / "examples" / "translation" / "models")


@pytest.fixture(scope="session")
def _one_thread():
    """Let torch use one core: the models are small, and waiting for others costs more."""
    torch = pytest.importorskip("torch", reason="needs torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoints(_one_thread):
    """Return the folders of two trained Marian checkpoints beside the checkout, or skip."""
    folder = Path(os.environ.get("PAIRSMITH_SHARED", ROOT.parent / "shared")) / "models"
    if not folder.is_dir():
        pytest.skip(f"needs models that are not part of the repository: no folder {folder}")
    return str(folder / "marian-tiny-en-fr"), str(folder / "marian-tiny-fr-en")


@pytest.fixture(scope="session")
def tatoeba(shared_data):
    """Return 100 English sentences of Tatoeba."""
    import pyarrow.parquet as pq

    column = pq.read_table(shared_data / "parallel" / "tatoeba_en_fr.parquet")["en"]
    return random.Random(3).sample(column.to_pylist(), 100)


@pytest.fixture(scope="session")
def make_marian(_one_thread):
    """Return a function that writes a small Marian checkpoint of random weights into a folder."""
    return _make_marian


def _make_marian(folder, seed=0, pad_row=0.0, positions=64, decoder_heads=2):
    import sentencepiece
    import torch
    from transformers import MarianConfig, MarianMTModel

    folder.mkdir(parents=True)
    rng = random.Random(7)
    made = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) for _ in range(200)]
    sentences = [" ".join(rng.choices(WORDS + made, k=8)) + "." for _ in range(300)]
    for side in ("source", "target"):
        with (folder / f"{side}.spm").open("wb") as stream:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter([*sentences, "été 会议九点开始。"]),
                model_writer=stream,
                vocab_size=100,
                character_coverage=1.0,
                minloglevel=2,
            )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    learned = [pieces.id_to_piece(number) for number in range(3, len(pieces))]
    vocabulary = ["</s>", "<unk>", *learned, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({p: n for n, p in enumerate(vocabulary)}))
    pad = len(vocabulary) - 1
    config = MarianConfig(
        vocab_size=len(vocabulary),
        decoder_vocab_size=len(vocabulary),
        d_model=32,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=decoder_heads,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=positions,
        scale_embedding=True,
        init_std=0.3,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=0,
        bad_words_ids=[[pad]],
    )
    torch.manual_seed(seed)
    model = MarianMTModel(config)
    with torch.no_grad():
        model.get_input_embeddings().weight[pad] = pad_row
    model.save_pretrained(folder)
    return folder
