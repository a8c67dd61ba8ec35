"""What takes seconds to load in a process that trains; the one that forks them imports this.

Beside modules these are the thousand patterns that transformers compiles when it first opens or
saves a model.
"""

import tempfile

import coverage
import pandas  # noqa: F401 - pyarrow looks for it
import torch
from transformers import BertConfig, BertModel
from transformers.utils import logging

import pairsmith.commands.train
import pairsmith.training.train  # noqa: F401

_SIZES = {"vocab_size": 8, "hidden_size": 2, "num_attention_heads": 1, "intermediate_size": 2}

threads = torch.get_num_threads()
logging.disable_progress_bar()  # it starts a thread
torch.set_num_threads(1)  # others would not be there in what is forked
with tempfile.TemporaryDirectory() as folder:
    BertModel(BertConfig(num_hidden_layers=1, **_SIZES)).save_pretrained(folder)
torch.set_num_threads(threads)
logging.enable_progress_bar()
# What is forked ends without writing down what ran: to trace it would only cost time.
if tracing := coverage.Coverage.current():
    tracing.stop()
