"""``torchscript:FILE.pt``: an archive of tensors, and of code in torch's own language.

That code calls any operator of torch's, and some of them read and write files (``torch.from_file``,
``torch.save``): it runs with the rights of whoever opens it. So an archive is opened only where the
user says that he trusts it. It has no metadata of ours: its rate is an attribute ``sample_rate`` of
the scripted module where there is one, else ``--sample-rate``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nearkin.encoders.calling.forward import Forward, ModelEncoder
from nearkin.encoders.calling.options import read_options
from nearkin.encoders.calling.probing import probe, time_axis_of
from nearkin.encoders.calling.tensors import (
    checked_device,
    torch,
    with_gradients,
    without_gradients,
)
from nearkin.encoders.identity import sha256_of_files
from nearkin.encoders.kinds.pickles import CONVERT, is_torchscript
from nearkin.encoders.protocol import Handling, ResolvedEncoder
from nearkin.errors import InputError


def from_spec(spec: str, *, options: Mapping[str, Any], handling: Handling) -> ResolvedEncoder:
    """Load a TorchScript archive.

    Raises
    ------
    InputError
        If the file is none or is not trusted, or the module takes neither [batch, samples] nor
        [samples].
    ExtraError
        If torch is not installed.
    """
    path = Path(spec.removeprefix("torchscript:"))
    if not path.is_file():
        raise InputError(f"encoder '{spec}': no file {path}; check the path")
    if not is_torchscript(path):
        raise InputError(
            f"encoder '{spec}': is no TorchScript archive; it may be a pickled checkpoint, which "
            f"is not opened, because that can run any code: {CONVERT}"
        )
    chosen = read_options(options, handling, spec=spec)
    if not chosen.handling.trust:
        raise InputError(
            f"encoder '{spec}': a TorchScript archive is code, which can read and write files with "
            "your rights: pass --trust (or --encoder-options '{\"trust\": true}') where you trust "
            "whoever made it, or take an ONNX file, which runs none"
        )
    library = torch()
    device = checked_device(chosen.handling.device, spec=spec)
    try:
        with warnings.catch_warnings():
            # torch deprecates writing TorchScript; reading what people have stays our business
            warnings.simplefilter("ignore", DeprecationWarning)
            module = library.jit.load(str(path), map_location=device)
            module.eval()
            if any(
                weight.dtype in (library.float16, library.bfloat16)
                for weight in module.parameters()
            ):
                module.float()  # half precision is computed in single
    except Exception as error:  # torch raises what it likes on a damaged archive
        text = " ".join(str(error).split())[:300]
        raise InputError(f"encoder '{spec}': torch cannot load it: {text}") from error
    stated: Any = getattr(module, "sample_rate", None)
    has_rate = isinstance(stated, int) and not isinstance(stated, bool) and stated > 0
    rate: int = chosen.handling.rate if chosen.rate_stated or not has_rate else stated
    forward = without_gradients(module, device)
    single, axis = _form(spec, forward, rate=rate, samples=chosen.samples)
    encoder = ModelEncoder(
        forward,
        sample_rate=rate,
        reading=chosen.reading(time_axis=axis),
        samples=chosen.samples,
        pad=chosen.handling.pad,
        alone=device.type == "cpu",
        single=single,
        gradient=None if single else with_gradients(module, device),
    )
    source = "" if has_rate or chosen.rate_stated else " (the file states none)"
    taken = "[samples]" if single else "[batch, samples]"
    return ResolvedEncoder(
        name=path.stem,
        spec=spec,
        matched=f"matched a TorchScript archive, whose code you trust: {rate} Hz{source}, "
        f"takes {taken}",
        encoder=encoder,
        sha256=sha256_of_files([path]),
    )


def _form(
    spec: str, forward: Forward, *, rate: int, samples: int | None
) -> tuple[bool, int | None]:
    """Find out by running it whether it takes a batch, and which axis of its answer is time."""
    n_samples = samples or 2 * rate
    batch = probe(forward, (2, n_samples))
    if not isinstance(batch, Exception):
        return False, None if samples else time_axis_of(forward, n_samples)
    if not isinstance(probe(forward, (n_samples,)), Exception):
        return True, 1
    text = " ".join(str(batch).split())[-300:]
    raise InputError(
        f"encoder '{spec}': takes neither [batch, samples] nor [samples] of {n_samples} samples "
        f"(pass --encoder-options '{{\"samples\": N}}' if it takes one length only): {text}"
    )
