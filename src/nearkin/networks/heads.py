"""The heads of the networks: a mirrored decoder (also as a mask), or a classifier.

Conventions: a head takes what an encoder returns (`nearkin.networks.encoders.Encoded`); a decoder
returns [batch, frames, bins], a classifier [batch, n_outputs]. Kim et al. 2019, sections 2.1, 2.2.
"""

from __future__ import annotations

from typing import Any

from nearkin.networks.encoders import CHANNELS, Encoded, Size, convolution_block
from nearkin.optional import need

torch: Any = need("torch", extra="torch")
nn: Any = torch.nn


class Decoder(nn.Module):
    """The encoder mirrored: from the latent vector back to one value a frame and bin.

    A pooled value is repeated over its window; no pooling index is handed over, which would leak
    the input past the latent vector.

    Parameters
    ----------
    n_inputs : int
        Latent values.
    skips : bool
        Join what the encoder's blocks gave, as in U-Net.
    mask : bool
        End in a sigmoid.
    """

    def __init__(self, n_inputs: int, *, skips: bool, mask: bool) -> None:
        super().__init__()
        self.skips, self.mask = skips, mask
        self.latent = nn.Sequential(
            nn.Linear(n_inputs, CHANNELS[-1]), nn.BatchNorm1d(CHANNELS[-1]), nn.ReLU()
        )
        width = 2 if skips else 1
        self.blocks = nn.ModuleList(
            convolution_block(nn.ConvTranspose2d(width * n_in, n_out, 3, padding=1), n_out)
            for n_in, n_out in zip(CHANNELS[:0:-1], CHANNELS[-2::-1], strict=True)
        )
        self.last = nn.ConvTranspose2d(width * CHANNELS[0], 1, 3, padding=1)

    def forward(self, encoded: Encoded) -> Any:
        """Decode to [batch, frames, bins], standardised decibels or a mask from 0 to 1."""
        image = self.latent(encoded.z)[:, :, None, None]
        image = image.expand(-1, -1, *encoded.sizes[-1])
        levels = range(len(CHANNELS) - 1, -1, -1)
        for level, block in zip(levels, (*self.blocks, self.last), strict=True):
            image = unpooled(image, encoded.sizes[level])
            if self.skips:
                image = torch.cat([image, encoded.skips[level]], dim=1)
            image = block(image)
        values = image.squeeze(1)
        return torch.sigmoid(values) if self.mask else values


class Classifier(nn.Module):
    """One fully connected layer: a logit for every tag or class."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_inputs, n_outputs)

    def forward(self, encoded: Encoded) -> Any:
        """Return logits [batch, n_outputs]."""
        return self.linear(encoded.z)


def unpooled(image: Any, size: Size) -> Any:
    """Repeat every value over its pooling window; the row or bin that pooling lost, once more."""
    image = nn.functional.interpolate(image, scale_factor=2, mode="nearest")
    rest = (0, size[1] - image.shape[3], 0, size[0] - image.shape[2])
    return nn.functional.pad(image, rest, mode="replicate") if any(rest) else image
