"""OG, the original: the transformation that changes nothing and is always run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nearkin.transforms.axis import Axis
from nearkin.transforms.protocol import Transformation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Identity(Transformation):
    """Return the signal as it came (a copy, as float32); its only magnitude is 0.

    Examples
    --------
    >>> import numpy as np
    >>> Identity()(np.array([0.5, -0.5]), sr=22_050)
    array([ 0.5, -0.5], dtype=float32)
    """

    axis: ClassVar[Axis] = Axis(
        title="Original", noun="unchanged clip", more_severe="higher", identity=0.0
    )

    def change(
        self, y: NDArray[np.float32], *, sr: int, rng: np.random.Generator | None
    ) -> NDArray[np.float32]:
        """Return the signal."""
        return y
