"""ONNX files give the vectors of the encoder, in onnxruntime, from their own tokenizer's ids."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from pairsmith.commands.main import main
from pairsmith.schemas import UserError
from pairsmith.training.encoders.onnx_export import export_onnx
from tests.training.encoders.conftest import TEXTS
from tests.training.encoders.opened import encoder, sentence_vectors

runtime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("onnxscript", reason="needs the extra onnx")


def onnx_vectors(file: Path, texts: list[str]) -> np.ndarray:
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(file.with_name(f"{file.stem}.tokenizer.json")))
    encoded = tokenizer.encode_batch(texts)
    inputs = {
        "input_ids": np.array([e.ids for e in encoded]),
        "attention_mask": np.array([e.attention_mask for e in encoded]),
    }
    (vectors,) = session.run(["sentence_embedding"], inputs)
    return vectors


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("static", {"max_length": 4}),
        ("bert", {"pooling": "cls", "dense": 8, "max_length": 9}),
        ("gpt2", {"lora": 2}),
        ("t5", {"pooling": "weighted"}),
    ],
)
def test_an_onnx_file_gives_the_vectors_of_the_encoder(
    tmp_path: Path, families: dict[str, str], family: str, options: dict[str, object]
) -> None:
    model = encoder(families[family], **options)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    file = tmp_path / "made" / "model.onnx"
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert export_onnx(model, file) < 1e-5
    for texts in (TEXTS, TEXTS[-1:], ["", "the moon " * 30]):
        np.testing.assert_allclose(onnx_vectors(file, texts), model.encode(texts), atol=1e-5)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "model.onnx",
        "model.tokenizer.json",
    ]


def test_a_published_model_is_exported_by_the_command(
    tmp_path: Path, minilm: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mini.onnx"
    assert main(["export", str(minilm), "--onnx", str(file)]) == 0
    assert f"wrote {file}" in capsys.readouterr().out
    np.testing.assert_allclose(onnx_vectors(file, TEXTS), sentence_vectors(minilm), atol=1e-5)

    assert main(["export", str(minilm), "--onnx", str(file)]) == 2
    assert f"{file} exists" in capsys.readouterr().err
    assert main(["export", "static::16", "--onnx", str(tmp_path / "other.onnx")]) == 2
    assert "static::16 is not trained yet" in capsys.readouterr().err


def test_a_graph_that_would_give_other_vectors_is_not_written(
    tmp_path: Path, families: dict[str, str]
) -> None:
    model = encoder(families["static"])
    with torch.no_grad():
        model.embedding.weight[:] = float("nan")
    with pytest.raises(UserError, match="would give vectors that differ by nan"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
