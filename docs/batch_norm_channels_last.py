"""Batch norm of a channels_last map on a CPU loses digits in training, more or fewer with the number of threads.

    python docs/batch_norm_channels_last.py

Needs PyTorch alone. The same numbers, contiguous and channels_last, against double precision: the largest error of a
normalised value, whose standard deviation is 1. `workbench/components/batch_norm.py` is the way around.
"""

import torch


def errors(threads: int) -> dict[str, float]:
    """The largest error of a normalised value by memory format."""
    torch.set_num_threads(threads)
    random = torch.Generator().manual_seed(0)
    x = 300 + 30 * torch.randn(8, 32, 160, 160, generator=random)  # as behind the first convolution at 320 px
    want = torch.nn.functional.batch_norm(x.double(), None, None, training=True)
    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    return {
        name: (torch.nn.functional.batch_norm(x.contiguous(memory_format=one), None, None, training=True) - want)
        .abs()
        .max()
        .item()
        for name, one in formats.items()
    }


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__}, largest error of a normalised value")
    for threads in (1, 2):
        print(f"{threads} thread(s): " + ", ".join(f"{name} {error:.1e}" for name, error in errors(threads).items()))
