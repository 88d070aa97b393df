"""OG, the original: the transformation that changes nothing and is always run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nearkin.transforms.protocol import Transformation, Transformed, checked_signal

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Identity(Transformation):
    """Return the signal as it came (a copy, as float32); its only magnitude is 0.

    Examples
    --------
    >>> import numpy as np
    >>> Identity()(np.array([0.5, -0.5]), sr=22_050)
    array([ 0.5, -0.5], dtype=float32)
    """

    code: ClassVar[str] = "OG"
    title: ClassVar[str] = "Original"
    unit: ClassVar[str] = ""
    parameter: ClassVar[str] = ""
    sides: ClassVar[tuple[str, ...]] = ("",)
    scale: ClassVar[str] = "linear"
    identity: ClassVar[float | None] = 0.0

    @property
    def magnitude(self) -> float:
        """Always 0."""
        return 0.0

    @property
    def severity(self) -> float:
        """Always 0."""
        return 0.0

    @property
    def side(self) -> str:
        """Always ``""``."""
        return ""

    def apply(
        self, y: ArrayLike, *, sr: int, rng: np.random.Generator | None = None
    ) -> Transformed:
        """Return a copy of the signal; see `Transformation.apply`."""
        return Transformed(np.array(checked_signal(y, sr=sr)), 0.0)
