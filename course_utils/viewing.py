"""Looking at pictures, whatever form they come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE = "course_utils.course"
CHANNEL_COUNTS = (1, 3, 4)


def imshow(
    picture: Any,
    title: str | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one picture: any tensor or array, channels first, last or absent.

    Whole numbers are read as 0 to 255 and fractions as 0 to 1; values beyond are
    stretched between the picture's own darkest and brightest. A picture that was
    normalised with `mean` and `std` gets its colours back when you pass them again.

    >>> ax = imshow(torch.rand(3, 32, 32), "noise")
    """
    import matplotlib.pyplot as plt

    pixels = _between_0_and_1(_restore(_channels_last(picture), mean, std))
    with plt.style.context(STYLE):
        if ax is None:
            _, ax = plt.subplots(figsize=(3, 3))
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        ax.set_axis_off()
        if title is not None:
            ax.set_title(title)
    return ax


def _channels_last(picture: Any) -> np.ndarray:
    """The picture as an array of shape (height, width) or (height, width, 3 or 4)."""
    is_tensor = isinstance(picture, torch.Tensor)
    pixels = _as_array(picture)
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]
    if pixels.ndim == 4:
        raise ValueError(
            f"imshow draws one picture and got {len(pixels)} of them, "
            f"shape {pixels.shape}: pick one, for example with batch[0]"
        )
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ValueError(
            "a picture has the shape (height, width), (channels, height, width) or "
            f"(height, width, channels), with no side of length 0; got {pixels.shape}"
        )
    if pixels.ndim == 2:
        return pixels
    first, last = (pixels.shape[axis] in CHANNEL_COUNTS for axis in (0, -1))
    if not first and not last:
        raise ValueError(
            f"a picture has 1, 3 or 4 channels, in front or at the end; the shape "
            f"{pixels.shape} has neither"
        )
    # Where both could be meant, tensors come channels first and arrays last.
    if first and (is_tensor or not last):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels[:, :, 0] if pixels.shape[-1] == 1 else pixels


def _as_array(picture: Any) -> np.ndarray:
    """Any tensor, array, PIL picture or nested list as an array of real numbers."""
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().to_dense().cpu()
        picture = picture.float() if picture.is_floating_point() else picture
    pixels = np.asarray(picture)
    if pixels.dtype == bool or np.issubdtype(pixels.dtype, np.integer):
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise TypeError(f"imshow draws numbers, not {_what_it_is(picture, pixels)}")
    broken = pixels.size - np.isfinite(pixels).sum()
    if broken:
        raise ValueError(
            f"{broken} of the picture's {pixels.size} values are NaN or infinite"
        )
    return pixels.astype(np.float64)


def _what_it_is(picture: Any, pixels: np.ndarray) -> str:
    kind = type(picture).__name__
    return f"a {kind}" if pixels.dtype == object else f"a {kind} of {pixels.dtype}"


def _restore(
    pixels: np.ndarray, mean: Sequence[float] | None, std: Sequence[float] | None
) -> np.ndarray:
    """Undo a normalisation: multiply by `std`, add `mean`, channel by channel."""
    if mean is None and std is None:
        return pixels
    if mean is None or std is None:
        raise ValueError("to undo a normalisation, imshow needs both mean and std")
    channels = 1 if pixels.ndim == 2 else pixels.shape[-1]
    try:
        scale, shift = (np.broadcast_to(numbers, channels) for numbers in (std, mean))
    except ValueError:
        raise ValueError(
            f"the picture has {channels} channels, but mean has {np.size(mean)} "
            f"numbers and std has {np.size(std)}"
        ) from None
    if pixels.ndim == 2:
        scale, shift = scale[0], shift[0]
    restored: np.ndarray = np.clip(pixels * scale + shift, 0, 1)
    return restored


def _between_0_and_1(pixels: np.ndarray) -> np.ndarray:
    """Whole numbers from 0 to 255 and fractions from 0 to 1; all else is stretched."""
    top = 255 if np.issubdtype(pixels.dtype, np.integer) else 1
    shades: np.ndarray = pixels.astype(np.float64)
    low, high = shades.min(), shades.max()
    if low >= 0 and high <= top:
        return shades / top
    stretched: np.ndarray = (shades - low) / max(high - low, np.finfo(float).tiny)
    return stretched
