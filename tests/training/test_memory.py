"""Which errors are of memory, and how a batch is cut."""

import pytest
import torch

from tests.small import small_job
from workbench.training.memory import can_be_cut, in_parts, make_room, out_of_memory


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("-- Process 1 terminated: torch.OutOfMemoryError: CUDA out of memory"), True),
        (MemoryError(), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("the gradient is not finite"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_is_an_error_of_memory(error: Exception, is_one: bool) -> None:
    assert out_of_memory(error) is is_one


def test_a_batch_is_cut_where_each_part_has_two_images() -> None:
    job = small_job(batch=8)
    assert can_be_cut(job, 2, 1) and can_be_cut(job, 2, 2) and not can_be_cut(job, 2, 4) and not can_be_cut(job, 3, 1)
    assert not can_be_cut(small_job(batch=8, accumulate=4), 2, 1)
    assert in_parts(job, 1) is job and in_parts(job, 2).protocol.accumulate == 2
    assert in_parts(small_job(batch=8, accumulate=2), 2).protocol.accumulate == 4
    make_room()
