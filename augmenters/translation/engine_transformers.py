"""Translation by transformers' Marian: the reference that the fast engine is compared with."""

import pickle
from pathlib import Path

from pairsmith.augmenters.memory import fitted_in
from pairsmith.augmenters.translation.quiet import quiet
from pairsmith.augmenters.translation.sampling import Sampler
from pairsmith.augmenters.translation.translator import Decoding
from pairsmith.schemas import UserError, require


class TransformersEngine:
    """Runs a Marian checkpoint in float32; see `Engine`.

    Sampling draws each token from its own sentence's seed: a sentence's output does not depend on
    its batch, but for rounding.
    """

    workers = 1  # torch uses its own threads

    def __init__(self, folder: Path, device: str = "auto", threads: int = 0) -> None:
        """Load the model. Raises UserError when transformers refuses it."""
        torch = require("torch", extra="translate")
        transformers = require("transformers", extra="translate")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device == "cuda" and not torch.cuda.is_available():
            raise UserError("device='cuda': torch sees no GPU here; use device='cpu' or 'auto'")
        self.batch_tokens = 16384 if device == "cuda" else 2048
        if threads:
            torch.set_num_threads(threads)
        try:
            with quiet():
                self._tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
                model, loading = transformers.MarianMTModel.from_pretrained(
                    folder, dtype=torch.float32, output_loading_info=True
                )
        except (
            *(OSError, ValueError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError),
            require("safetensors", extra="translate").SafetensorError,
        ) as error:
            why = (str(error).strip() or "it is cut short").splitlines()[0]
            raise UserError(f"transformers cannot load {folder}: {why}") from error
        if missing := loading["missing_keys"]:
            # transformers would make them up at random.
            raise UserError(f"{folder}: the checkpoint lacks {min(missing)} and perhaps more")
        self.model = fitted_in(lambda: model.eval().to(device), folder)
        # A checkpoint's own settings for generation (Opus-MT: 4 or 6 beams) are not ours.
        self.model.generation_config.update(num_beams=1, max_length=None)
        self.positions = min(model.config.max_position_embeddings, self._tokenizer.model_max_length)

    def encode(self, sentences: list[str]) -> list[list[int]]:
        """Return the ids of each sentence, end mark last."""
        if not sentences:
            return []
        ids: list[list[int]] = self._tokenizer(sentences, split_special_tokens=True).input_ids
        return ids

    def decode(self, outputs: list[list[int]]) -> list[str]:
        """Return the text of each output."""
        return [
            self._tokenizer.decode(
                ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
            for ids in outputs
        ]

    def generate(
        self, batch: list[list[int]], limit: int, decoding: Decoding, seeds: list[int]
    ) -> list[list[int]]:
        """Return the ids of each translation."""
        torch = require("torch", extra="translate")
        special = {self._tokenizer.pad_token_id, self._tokenizer.eos_token_id}
        width = max(map(len, batch))
        padded = [ids + [self._tokenizer.pad_token_id] * (width - len(ids)) for ids in batch]
        mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in batch]
        sampler = [Sampler(decoding, seeds)] if decoding.samples else []
        with torch.inference_mode():
            outputs = self.model.generate(
                input_ids=torch.tensor(padded, device=self.model.device),
                attention_mask=torch.tensor(mask, device=self.model.device),
                logits_processor=sampler,
                do_sample=False,
                num_beams=decoding.beam,
                # One more than the limit tells a loop from what ends there; then the end mark.
                max_new_tokens=limit + 2,
            )
        return [[i for i in ids if i not in special] for ids in outputs[:, 1:].tolist()]

    def pieces(self, outputs: list[list[int]]) -> list[list[str]]:
        """Return the pieces that the ids of outputs stand for."""
        return [self._tokenizer.convert_ids_to_tokens(ids) for ids in outputs]

    def log_probabilities(
        self, batch: list[list[int]], outputs: list[list[int]]
    ) -> list[list[float]]:
        """Return the log-probability of each token of given outputs, end mark included."""
        torch = require("torch", extra="translate")
        config, scores = self.model.config, []
        with torch.inference_mode():
            for ids, output in zip(batch, outputs, strict=True):
                said = [*output, self._tokenizer.eos_token_id]
                logits = self.model(
                    input_ids=torch.tensor([ids], device=self.model.device),
                    decoder_input_ids=torch.tensor(
                        [[config.decoder_start_token_id, *output]], device=self.model.device
                    ),
                ).logits[0]
                logits[:, config.pad_token_id] = -torch.inf  # never written, as in generate
                rows = torch.log_softmax(logits.float(), -1)
                scores.append([row[token].item() for row, token in zip(rows, said, strict=True)])
        return scores
