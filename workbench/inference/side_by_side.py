"""Images of a batch one beside the other, each on a core of its own.

found = each_on_a_core(find, images)     # as find(images), up to rounding

A CPU's cores share a convolution with a loss, and what a batch of large images computes leaves the caches: one image
on each core suffers neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock, Thread

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.tensors import Detections

_Find = Callable[[NDArray[np.uint8]], Sequence[Detections]]
_ONE_BEGINS = Lock()


def each_on_a_core(find: _Find, images: NDArray[np.uint8]) -> Sequence[Detections]:
    """What `find` finds in images (B, H, W, 3), asked for one after the other in as many threads as torch may use.

    In one go where there is one image or one thread, and under autocast, which other threads know nothing of. Where
    there are more threads than images, each image has several. Several callers may call it at once: how many threads
    torch may use stays as it was for all that are not its own.
    """
    with _ONE_BEGINS:
        allowed = torch.get_num_threads()  # of a new thread, that which it keeps
    threads = min(allowed, len(images))
    if threads < 2 or torch.is_autocast_enabled("cpu"):
        return find(images)
    with ThreadPoolExecutor(threads, "find", initializer=_begin, initargs=(allowed // threads,)) as pool:
        found = pool.map(lambda i: replace(find(images[i : i + 1])[0], image_id=i), range(len(images)))
        return list(found)


def _begin(threads: int) -> None:
    """This thread, which is a new one, has torch use so many.

    torch keeps the number for each thread, and new ones begin with what any thread has set last: another one sets that
    back at once, or whoever begins while images are looked at would stay with ours.
    """
    with _ONE_BEGINS:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        back = Thread(target=torch.set_num_threads, args=(before,))
        back.start()
        back.join()
