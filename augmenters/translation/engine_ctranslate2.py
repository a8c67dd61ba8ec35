"""Translation by CTranslate2: int8 on a CPU, float16 on a GPU."""

import ctypes
import importlib.util
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from pairsmith.augmenters.translation.models import converted_positions, vocabulary_size
from pairsmith.augmenters.translation.tokens import MarianPieces
from pairsmith.augmenters.translation.translator import Decoding
from pairsmith.schemas import UserError, require

COMPUTE_TYPES = ("int8", "int8_float16", "int8_bfloat16", "float16", "bfloat16", "float32")
MOST_TOP_P = 8192
"""From so many of the likeliest tokens CTranslate2 can choose by `top_p` on a GPU."""
_SEEDED = threading.Lock()


def ctranslate2() -> Any:
    """Return the package, its warnings about weights that were stored in another type silenced."""
    package = require("ctranslate2", extra="translate")
    package.set_log_level(_ERROR)
    return package


_ERROR = 40  # of the standard library's logging


def resolve(device: str, compute_type: str) -> tuple[str, str]:
    """Return the device, "cpu" or "cuda", and the compute type that "auto" stands for here.

    Raises UserError when the device is not there, or cannot compute so.
    """
    package = ctranslate2()
    gpus = package.get_cuda_device_count()
    if device == "auto":
        device = "cuda" if gpus else "cpu"
    elif device == "cuda" and not gpus:
        raise UserError("device='cuda': CTranslate2 sees no GPU here; use device='cpu' or 'auto'")
    if compute_type == "auto":
        compute_type = "float16" if device == "cuda" else "int8"
    supported = package.get_supported_compute_types(device)
    if compute_type not in supported:
        raise UserError(
            f"compute_type={compute_type!r}: this {device} computes in "
            f"{', '.join(sorted(supported))}"
        )
    return device, compute_type


def load_cublas() -> None:
    """Load cuBLAS of CUDA 12 from its wheel, if that is installed.

    CTranslate2 has the system look for it, which does not look among Python's packages; a library
    that is loaded already is found by its name.
    """
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in ("libcublasLt.so.12", "libcublas.so.12"):
            if (library := Path(folder, "cublas", "lib", name)).exists():
                try:
                    ctypes.CDLL(str(library))
                except OSError as error:
                    raise UserError(f"{library} cannot be loaded: {error}; {_MEND}") from error


_MEND = "`pip install nvidia-cublas-cu12` brings CUDA 12's cuBLAS; or use device='cpu'"


def all_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class CTranslate2Engine:
    """Runs a converted Marian model; see `Engine`.

    On a CPU each batch has a core and each core a batch: that is faster than many cores for one.
    """

    def __init__(self, folder: Path, device: str, compute_type: str, threads: int = 0) -> None:
        """Load the model. Raises UserError when CTranslate2 refuses it, or the GPU fails."""
        device, compute_type = resolve(device, compute_type)
        cores = threads or all_cores()
        self.workers = 1 if device == "cuda" else cores
        self.batch_tokens = 16384 if device == "cuda" else 2048
        self.positions = converted_positions(folder)
        self._threads = cores
        self._place = {
            "model_path": str(folder),
            "device": device,
            "compute_type": compute_type,
            "max_queued_batches": -1,
        }
        self._pieces = MarianPieces(folder)
        if device == "cuda":
            load_cublas()
        self._translator = self._load(inter_threads=self.workers, intra_threads=1)
        self._most_top_p = 0
        if device == "cuda":
            self._most_top_p = min(MOST_TOP_P, vocabulary_size(folder))
            self._try()

    def encode(self, sentences: list[str]) -> list[list[str]]:
        """Return the pieces of each sentence, end mark last."""
        return self._pieces.encode(sentences)

    def decode(self, outputs: list[list[str]]) -> list[str]:
        """Return the text of each output."""
        return self._pieces.decode(outputs)

    def generate(
        self, batch: list[list[str]], limit: int, decoding: Decoding, seeds: list[int]
    ) -> list[list[str]]:
        """Return the pieces of each translation.

        Sampling draws from one generator for the batch, seeded from all its seeds: equal batches
        give equal outputs. CTranslate2 seeds a generator only when its thread first draws, so each
        batch has a translator of its own (a 75 MB model loads in some 40 ms). On a GPU `top_p`
        looks at the `MOST_TOP_P` likeliest tokens, not at all of them.
        """
        if not decoding.samples:
            return self._run(self._translator, batch, limit, beam_size=decoding.beam)
        top_k = decoding.top_k
        if self._most_top_p and decoding.top_p < 1:
            top_k = min(top_k or self._most_top_p, self._most_top_p)
        seed = int(np.random.SeedSequence(seeds).generate_state(1, np.uint32)[0])
        with _SEEDED:
            ctranslate2().set_random_seed(seed)
            return self._run(
                self._load(inter_threads=1, intra_threads=self._threads),
                batch,
                limit,
                beam_size=1,
                sampling_topk=top_k,
                sampling_topp=decoding.top_p,
                sampling_temperature=decoding.temperature,
            )

    def log_probabilities(
        self, batch: list[list[str]], outputs: list[list[str]]
    ) -> list[list[float]]:
        """Return the log-probability of each token of given outputs, end mark included."""
        scored = self._translator.score_batch(batch, outputs, max_input_length=0)
        return [list(result.log_probs) for result in scored]

    def _run(
        self, translator: Any, batch: list[list[str]], limit: int, **search: Any
    ) -> list[list[str]]:
        results = translator.translate_batch(
            batch, max_input_length=0, max_decoding_length=limit + 1, **search
        )
        return [result.hypotheses[0] for result in results]

    def _try(self) -> None:
        """Translate one token: CTranslate2 looks for CUDA's libraries only when it computes."""
        try:
            self._run(self._translator, self.encode([""]), 1)
        except RuntimeError as error:
            lacks = "libcublas" in str(error)
            mend = _MEND if lacks else "see what `nvidia-smi` says of it, or use device='cpu'"
            why = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"CTranslate2 cannot use this GPU: {why}; {mend}") from error

    def _load(self, **threads: int) -> Any:
        try:
            return ctranslate2().Translator(**self._place, **threads)
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"CTranslate2 cannot load {self._place['model_path']}: {str(error).splitlines()[0]}"
            ) from error
