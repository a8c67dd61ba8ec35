"""The loss of one batch, on one rank or many: an Objective made from a LossConfig."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from pairsmith.training.collate import Identities
from pairsmith.training.losses import contrasts, terms
from pairsmith.training.losses.config import LossConfig
from pairsmith.training.losses.gather import Ranks
from pairsmith.training.losses.rows import Rows, gather_rows

VECTORS = 256
"""Of a batch's anchors, how many uniformity is told of."""


@dataclass(frozen=True)
class Outcome:
    """A loss, and what telemetry shows of this rank's b rows: float32, shape (b,), no gradient."""

    loss: Tensor
    """Scalar. Averaged over ranks, as DDP does, its gradient is the global batch's, and its value
    the global batch's loss."""
    temperature: Tensor | None
    """What divided the similarities, where it is learned: (1,)."""
    losses: Tensor
    """Each row's loss, not weighted; its --bidirectional and --consistency included. --loss cosent
    compares rows with each other: each has the batch's."""
    correct: Tensor
    """1 where the positive is more similar than every negative, else 0; nan where the loss looks at
    none."""
    positive_similarity: Tensor
    """Cosine of anchor and positive."""
    hardest_similarity: Tensor
    """Highest cosine with a negative; nan where there is none or the loss looks at none."""
    masked: Tensor
    """Share of the candidates that identity masks keep out."""
    anchors: Tensor
    """The first 256 unit vectors of anchors at most, (n, D)."""


class Objective(nn.Module):
    """What vectors of a batch are trained to do."""

    def __init__(self, config: LossConfig):
        """Raise UserError for settings that cannot work."""
        super().__init__()
        config.check()
        self.config = config
        self.log_scale: nn.Parameter | None = None
        if config.learn_temperature:
            # One number in a vector, as FSDP wants it; it is not to be decayed.
            self.log_scale = nn.Parameter(torch.tensor([-math.log(config.temperature)]))

    def forward(
        self,
        anchors: Tensor,
        positives: Tensor,
        negatives: Tensor,
        identities: Identities,
        weight: Tensor,
        label: Tensor | None = None,
        similarity: Tensor | None = None,
        group: ProcessGroup | None = None,
    ) -> Outcome:
        """Return the loss of the rows of all ranks in `group`; None: of this process alone.

        anchors, positives: (b, D) and negatives: (n, D), unit vectors; the rank's own, also none.
        identities, weight (b,), label (b,), similarity (b,): of the rank's own rows, as in `Batch`.
        None for label or similarity: no row has one. All weights 0 give 0. Computed in float32
        whatever the vectors are, under autocast too. Every rank must call, and go backward.
        Raises UserError when --matryoshka does not suit D.
        """
        with torch.autocast(anchors.device.type, enabled=False):
            if label is None:
                label = torch.zeros_like(identities.group)
            if similarity is None:
                similarity = weight.new_full(weight.shape, math.nan)
            ranks = Ranks(group, anchors.device)
            sizes = self.config.sizes(anchors.shape[1])
            rows = gather_rows(
                ranks,
                _ready(anchors),
                _ready(positives),
                _ready(negatives),
                identities,
                weight,
                label,
                similarity,
                sizes,
            )
            return self._outcome(rows, self._scale(ranks, rows.anchors))

    def _scale(self, ranks: Ranks, like: Tensor) -> Tensor:
        """Return 1 / temperature, shape (1,), inside its limits."""
        config = self.config
        if self.log_scale is None:
            return like.new_tensor([1 / config.temperature])
        with torch.no_grad():
            # The parameter itself, as in CLIP: with its gradient cut off it would be stuck.
            lowest, highest = config.lowest_temperature, config.highest_temperature
            self.log_scale.clamp_(-math.log(highest), -math.log(lowest))
        return ranks.averaged(self.log_scale).to(like.dtype).exp()

    def _outcome(self, rows: Rows, scale: Tensor) -> Outcome:
        config = self.config
        match config.loss:
            case "infonce":
                term = contrasts.info_nce(config, rows, scale)
            case "ntxent" | "supcon":
                term = contrasts.both_views(config, rows, scale)
            case "symmetric":
                term = contrasts.symmetric(config, rows, scale)
            case "triplet":
                term = contrasts.triplet(config, rows)
            case "cosine":
                term = terms.cosine_regression(rows)
            case "cosent":
                term = terms.cosent(rows, scale)
        loss, losses = term.loss, term.losses
        if config.bidirectional:
            extra = terms.bidirectional_margin(config, rows)
            loss = loss + config.bidirectional * extra.loss
            losses = losses + config.bidirectional * extra.losses
        if config.consistency:
            extra = terms.consistency(config, rows, scale)
            loss = loss + config.consistency * extra.loss
            losses = losses + config.consistency * extra.losses
        similar = rows.positive_cosines.detach()[-1]
        nothing = similar.new_full(similar.shape, math.nan)
        hardest = nothing if term.hardest is None else term.hardest
        correct = torch.where(hardest.isnan(), nothing, (similar > hardest).to(similar.dtype))
        masked = torch.zeros_like(similar) if term.masked is None else term.masked
        shown = (
            losses,
            correct,
            similar,
            hardest.masked_fill(hardest.isinf(), math.nan),
            masked,
            # A copy: a part would keep all vectors in memory until the next step has its own.
            rows.anchors[:VECTORS].detach().clone(),
        )
        temperature = None if self.log_scale is None else scale.detach().float().reciprocal()
        return Outcome(loss, temperature, *(value.detach().float() for value in shown))


def _ready(vectors: Tensor) -> Tensor:
    """Return vectors in float32 or wider, with a gradient even on a rank that has none.

    Else that rank would leave the others waiting for it in the backward pass.
    """
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    if torch.is_grad_enabled() and not vectors.requires_grad:
        vectors = vectors.detach()
        vectors.requires_grad_(True)
    return vectors
