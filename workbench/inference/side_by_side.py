"""Images of a batch one beside the other, each on a core of its own.

found = each_on_a_core(find, images)     # as find(images), up to rounding

A CPU's cores share a convolution with a loss, and what a batch of large images computes leaves the caches: one image
on each core suffers neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.tensors import Detections

FindPersons = Callable[[NDArray[np.uint8]], Sequence[Detections]]


def each_on_a_core(find: FindPersons, images: NDArray[np.uint8]) -> Sequence[Detections]:
    """What `find` finds in images (B, H, W, 3), asked for one after the other in as many threads as torch may use.

    In one go where there is one image or one thread, and under autocast, which other threads know nothing of.
    """
    threads = min(torch.get_num_threads(), len(images))
    if threads < 2 or torch.is_autocast_enabled("cpu"):
        return find(images)
    allowed = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, "find", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            found = pool.map(lambda i: replace(find(images[i : i + 1])[0], image_id=i), range(len(images)))
            return list(found)
    finally:
        torch.set_num_threads(allowed)  # which is a thread's own, but new threads begin with the number set last
