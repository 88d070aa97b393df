"""What an encoder is to a run, and the one place where its answers are checked.

Conventions: audio is float32[batch, samples] at the encoder's own sample rate; embeddings are
float32[batch, embedding_size]. Foreign code is called only here and in the modules that resolve a
SPEC; whatever it raises becomes a sentence, never a traceback in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nearkin.encoders.foreign import foreign_code, told
from nearkin.errors import InputError, NearkinError
from nearkin.registry import suggest

POOLINGS = ("mean", "max", "meanstd", "first")
PADDINGS = ("zero", "loop")
DEVICES = ("cpu", "cuda", "mps")


class Key(NamedTuple):
    """Which clip, under which transformation, a row of a batch is."""

    clip_id: str
    transformation: str
    magnitude: float


class Encoder(Protocol):
    """Anything that turns a batch of clips into a batch of vectors."""

    sample_rate: int

    def embed(self, audio: NDArray[np.float32], *, keys: Sequence[Key]) -> NDArray[np.float32]:
        """Embed float32[batch, samples] as [batch, embedding_size]; row i is `keys[i]`."""
        ...


@dataclass(frozen=True)
class ResolvedEncoder:
    """An encoder together with what the tables say of it.

    Attributes
    ----------
    name, task, trial
        The encoder's columns in every table; encoders that share name and task are trials.
    spec : str
        The SPEC it was resolved from, or a description of the object handed in.
    matched : str
        The form that was recognised, in words.
    sha256 : str
        Hash of the file the encoder came from; empty where there is none.
    role : str
        ``"tested"`` or ``"reference"``.
    encoder : Encoder
        The object that embeds.
    """

    name: str
    spec: str
    matched: str
    encoder: Encoder = field(repr=False)
    task: str = ""
    trial: int = 1
    sha256: str = ""
    role: str = "tested"

    @property
    def sample_rate(self) -> int:
        """Rate in Hz at which the encoder takes audio."""
        return int(self.encoder.sample_rate)

    @property
    def label(self) -> str:
        """Name, task and trial as one word, for files and messages."""
        parts = [self.name, self.task, str(self.trial) if self.trial != 1 else ""]
        return "-".join(part for part in parts if part)

    def as_reference(self) -> ResolvedEncoder:
        """Return the same encoder as one of the report's reference lines."""
        return replace(self, role="reference")


DEFAULT_RATE = 22_050
"""Hz, for what takes a clip and its rate: nearkin's working rate."""


@dataclass(frozen=True)
class Handling:
    """How encoders that leave it open are to be handled.

    Attributes
    ----------
    sample_rate : int or None
        Rate in Hz for encoders that state none; None where the user says nothing of it.
    pool : {"mean", "max", "meanstd", "first"}
        How a time axis is pooled.
    pad : {"zero", "loop"} or None
        How a clip is lengthened that is shorter than a fixed-length model; None refuses it.
    layer : int, "all" or None
        Which hidden state of an encoder that returns several.
    device : str
        ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
    trust : bool
        Whether code that a model's file brings along may run: a TorchScript archive, and the
        Python code of a Hugging Face repository.

    Raises
    ------
    InputError
        If a value is none of these.
    """

    sample_rate: int | None = None
    pool: str = "mean"
    pad: str | None = None
    layer: int | str | None = None
    device: str = "cpu"
    trust: bool = False

    def __post_init__(self) -> None:
        """Check and normalise, so that ``"6"`` and ``6`` are one layer."""
        rate = self.rate
        if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
            raise InputError(f"sample_rate={rate!r}: must be an integer > 0, in Hz")
        if self.pool not in POOLINGS:
            raise InputError(f"pool '{self.pool}': {suggest(self.pool, POOLINGS)}")
        if self.pad is not None and self.pad not in PADDINGS:
            raise InputError(f"pad '{self.pad}': {suggest(str(self.pad), PADDINGS)}")
        if isinstance(self.layer, str) and self.layer != "all":
            try:
                object.__setattr__(self, "layer", int(self.layer))
            except ValueError as error:
                raise InputError(
                    f"layer '{self.layer}': must be an integer (negative counts from the last) "
                    "or 'all'"
                ) from error
        if self.device.split(":")[0] not in DEVICES:
            raise InputError(f"device '{self.device}': {suggest(self.device, DEVICES)}")
        if not isinstance(self.trust, bool):
            raise InputError(f"trust={self.trust!r}: must be true or false")

    @property
    def rate(self) -> int:
        """The rate of an encoder that states none, said or not."""
        return DEFAULT_RATE if self.sample_rate is None else self.sample_rate


class EncoderError(NearkinError):
    """An encoder broke its contract; the whole encoder fails with this sentence."""


class Embedded(NamedTuple):
    """What came back for a batch: one row and one status for every clip."""

    vectors: NDArray[np.float32]
    status: tuple[str, ...]


def embed(resolved: ResolvedEncoder, audio: NDArray[np.float32], keys: Sequence[Key]) -> Embedded:
    """Embed a batch and check what comes back.

    Parameters
    ----------
    resolved : ResolvedEncoder
        The encoder.
    audio : float32[batch, samples]
        Clips at the encoder's rate; left untouched.
    keys : sequence of Key, length batch
        What the rows are.

    Returns
    -------
    Embedded
        float32[batch, embedding_size] and a status for each row: ``"ok"``, or why the row (all
        NaN) is not to be used. When a batch raises or its answer cannot be read, its clips are
        tried one at a time, so that one bad clip costs one row.

    Raises
    ------
    EncoderError
        If every clip of the batch fails, by raising or by an answer of the wrong shape or type.
    """
    first: NearkinError
    try:
        return _checked(resolved, _call(resolved, audio, keys), len(keys))
    except (_CallError, EncoderError) as error:
        if len(keys) == 1:
            raise EncoderError(str(error)) from error.__cause__
        first = error
    rows: list[NDArray[np.float32] | None] = []
    status: list[str] = []
    for index, key in enumerate(keys):
        try:
            one = _checked(resolved, _call(resolved, audio[index : index + 1], [key]), 1)
        except (_CallError, EncoderError) as error:
            rows.append(None)
            status.append(str(error))
        else:
            rows.append(one.vectors[0])
            status.append(one.status[0])
    sizes = {len(row) for row in rows if row is not None}
    if not sizes:
        raise EncoderError(str(first)) from first.__cause__
    if len(sizes) > 1:
        raise EncoderError(_unsteady(resolved, sizes))
    size = sizes.pop()
    blank = np.full(size, np.nan, np.float32)
    return Embedded(np.stack([blank if row is None else row for row in rows]), tuple(status))


def pool(frames: NDArray[Any], *, how: str) -> NDArray[np.float32]:
    """Pool a time axis away.

    Parameters
    ----------
    frames : array[..., T, D]
        Embeddings over time.
    how : {"mean", "max", "meanstd", "first"}
        ``"meanstd"`` doubles the size.

    Returns
    -------
    float32[..., D] or float32[..., 2 * D]
    """
    values = np.asarray(frames, dtype=np.float64)
    pooled: NDArray[np.float64]
    if how == "mean":
        pooled = values.mean(axis=-2)
    elif how == "max":
        pooled = values.max(axis=-2)
    elif how == "first":
        pooled = values[..., 0, :]
    else:
        pooled = np.concatenate([values.mean(axis=-2), values.std(axis=-2)], axis=-1)
    return pooled.astype(np.float32)


def as_array(values: Any) -> NDArray[Any]:
    """Turn what an encoder returned into a numpy array of a number type that numpy knows.

    Tensors are brought to the CPU; sparse ones are filled, quantised ones dequantised, and floats
    that numpy has no name for (bfloat16, float8) are widened to float32.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        If it cannot be turned into one.
    """
    if isinstance(values, np.ma.MaskedArray) and values.dtype.kind == "f":
        values = values.filled(np.nan)  # what is masked is no answer
    if not isinstance(values, np.ndarray):
        for step in ("detach", "cpu"):
            values = getattr(values, step, lambda same=values: same)()
        if getattr(values, "is_quantized", False):
            values = values.dequantize()
        for fill in ("to_dense", "toarray", "todense"):
            if _is_sparse(values) and hasattr(values, fill):
                values = getattr(values, fill)()
        dtype = str(getattr(values, "dtype", ""))
        if dtype.startswith("torch.") and any(sign in dtype for sign in ("bfloat16", "float8")):
            values = values.float()
        values = getattr(values, "numpy", lambda same=values: same)()
        if hasattr(values, "__dlpack_device__") and not hasattr(values, "__array__"):
            try:
                values = np.from_dlpack(values)
            except BufferError as error:
                raise TypeError(str(error)) from error
    array = np.asarray(values)
    if array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat16", "float")):
        array = array.astype(np.float32)  # a type that another package adds to numpy
    return array


def kind_of(answer: Any) -> str:
    """Name the type of an answer, and its dtype where it has one.

    Examples
    --------
    >>> kind_of([1, [2]])
    'list'
    """
    dtype = getattr(answer, "dtype", None)
    return type(answer).__name__ + ("" if dtype is None else f" of dtype {dtype}")


def _is_sparse(values: Any) -> bool:
    if hasattr(values, "is_sparse"):
        return bool(values.is_sparse) or "sparse" in str(getattr(values, "layout", ""))
    return type(values).__module__.startswith(("scipy.sparse", "sparse"))


class _CallError(NearkinError):
    """The encoder's own code raised."""


def _call(resolved: ResolvedEncoder, audio: NDArray[np.float32], keys: Sequence[Key]) -> Any:
    try:
        with foreign_code():
            answer: Any = resolved.encoder.embed(audio.copy(), keys=keys)
    except EncoderError:
        raise
    except NearkinError as error:
        raise _CallError(str(error)) from error
    except Exception as error:  # the border to foreign code: anything may come
        raise _CallError(f"raised {told(error)}") from error
    return answer


def _checked(resolved: ResolvedEncoder, answer: Any, n_rows: int) -> Embedded:
    try:
        values = as_array(answer)
        numeric = np.issubdtype(values.dtype, np.floating) or np.issubdtype(
            values.dtype, np.integer
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise EncoderError(
            f"returned {kind_of(answer)}: must be an array [batch, embedding_size]"
        ) from error
    if not numeric:
        raise EncoderError(f"returned dtype {values.dtype}: must be float32 or convertible to it")
    if values.ndim != 2 or len(values) != n_rows or values.shape[1] == 0:
        raise EncoderError(
            f"returned shape {list(values.shape)} for a batch of {n_rows}: must be "
            f"[{n_rows}, embedding_size]"
        )
    declared = getattr(resolved.encoder, "embedding_size", None)
    if declared is not None and int(declared) != values.shape[1]:
        raise EncoderError(
            f"returned {values.shape[1]} values but declares embedding_size={int(declared)}: "
            "correct one of the two"
        )
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(values, dtype=np.float32)
    finite = np.asarray(np.isfinite(vectors).all(axis=1))
    vectors = np.where(finite[:, None], vectors, np.float32(np.nan))
    return Embedded(
        vectors, tuple("ok" if good else "returned NaN or infinite values" for good in finite)
    )


def _unsteady(resolved: ResolvedEncoder, sizes: set[int]) -> str:
    listed = ", ".join(map(str, sorted(sizes)))
    return f"returned vectors of different sizes ({listed}): must be one embedding_size for all"
