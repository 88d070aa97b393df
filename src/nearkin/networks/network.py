"""The paper's networks, whole: an encoder and the head of a task, from waveforms to the output.

Conventions: audio is float32[batch, samples] at 22,050 Hz. Kim et al. 2019, section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nearkin.errors import InputError
from nearkin.networks.encoders import N_STATISTICS, MFCCEncoder, VGGEncoder
from nearkin.networks.front_end import require_length
from nearkin.networks.heads import Classifier, Decoder
from nearkin.optional import need
from nearkin.seeds import stream

torch: Any = need("torch", extra="torch")
nn: Any = torch.nn

FEATURES = ("vgg", "mfcc")
HEADS = ("decoder", "mask", "classes", "none")


@dataclass(frozen=True)
class NetworkConfig:
    """All that is needed to build a network.

    Attributes
    ----------
    features : {"vgg", "mfcc"}
        The encoder.
    head : {"decoder", "mask", "classes", "none"}
        The mirrored decoder; a decoder that ends in a mask (with skip connections from a
        VGG-like encoder); one fully connected layer; or none, for an encoder alone.
    n_outputs : int
        Classes or tags; 0 for the other heads.

    Raises
    ------
    InputError
        If a field is none of these.
    """

    features: str
    head: str
    n_outputs: int = 0

    def __post_init__(self) -> None:
        """Check."""
        if self.features not in FEATURES:
            raise InputError(f"features={self.features!r}: must be one of {', '.join(FEATURES)}")
        if self.head not in HEADS:
            raise InputError(f"head={self.head!r}: must be one of {', '.join(HEADS)}")
        if (self.n_outputs > 0) != (self.head == "classes"):
            raise InputError(
                f"n_outputs={self.n_outputs}: must be > 0 for the head 'classes' and 0 for others"
            )


class TaskNetwork(nn.Module):
    """An encoder and a head, from waveforms to a task's output.

    Parameters
    ----------
    config : NetworkConfig
        Describes the network.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VGGEncoder() if config.features == "vgg" else MFCCEncoder()
        n_inputs = self.encoder.n_outputs
        self.head: Any = None
        if config.head == "none":
            return
        if config.head == "classes":
            self.head = Classifier(n_inputs, config.n_outputs)
        else:
            mask = config.head == "mask"
            self.head = Decoder(n_inputs, skips=mask and config.features == "vgg", mask=mask)

    @property
    def front(self) -> Any:
        """The front end."""
        return self.encoder.front

    def embed(self, audio: Any) -> Any:
        """Return the latent vectors [batch, D] of audio[batch, samples]."""
        require_length(audio.shape[1])
        return self.encoder(audio).z

    def forward(self, audio: Any) -> Any:
        """Return the head's output for audio[batch, samples].

        Raises
        ------
        InputError
            If the network has none, or the clips are too short.
        """
        if self.head is None:
            raise InputError("this network is an encoder alone: it has no head; call embed()")
        require_length(audio.shape[1])
        return self.head(self.encoder(audio))

    def standardise(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep the training set's statistics: 513 of bins, 144 for the MFCC encoder.

        A value that never changes gets the deviation 1.
        """
        part = self.encoder if len(mean) == N_STATISTICS else self.front
        part.mean.copy_(torch.as_tensor(mean))
        spread = torch.as_tensor(std)
        part.std.copy_(torch.where(spread > 0, spread, torch.ones_like(spread)))


def build(config: NetworkConfig, *, seed: int) -> TaskNetwork:
    """Build a network with its first, random weights.

    Parameters
    ----------
    config : NetworkConfig
        Which.
    seed : int
        Equal seeds, equal weights; torch's own generator is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "weights").integers(2**31)))
        return TaskNetwork(config)
