"""The benchmark of a GPU, on a CPU: it measures what it says, and asks for a GPU where there is none."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from benchmarks import _record, train_gpu
from tests.small import small_job
from workbench import __main__ as command
from workbench.data.loader import collate
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.inference import timing
from workbench.training.machine import Machine


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NTN", "matrix"),
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc_tilesize128x128x64", "matrix"),
        ("cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816dgrad_optimized_bf16_128x64>", "matrix"),
        ("void cudnn::engines_precompiled::nchwToNhwcKernel<__half, __half, float>", "copies and layouts"),
        ("void at::native::batch_norm_collect_statistics_channels_last_kernel<...>", "norms"),
        ("void at::native::(anonymous namespace)::multi_tensor_apply_kernel<FusedAdamMath>", "optimiser and EMA"),
        ("void at::native::vectorized_elementwise_kernel<4, at::native::silu_kernel>", "pointwise"),
        ("void at::native::elementwise_kernel<128, 4, direct_copy_kernel_cuda>", "copies and layouts"),
        ("triton_poi_fused__to_copy_silu_3", "fused by the compiler"),
        ("cublasLt::splitKreduce_kernel<32, 16, int, float>", "matrix"),
        ("void cudnn::dgrad2d_c1_k1_nhwc_kernel<__half>", "depthwise"),
        ("Memcpy HtoD (Pageable -> Device)", "copies and layouts"),
        ("void at_cuda_detail::cub::DeviceSelectSweepKernel<...>", "sorting and indexing"),
        ("void at::native::(anonymous namespace)::grid_sampler_2d_kernel<float, int>", "resampling and pooling"),
        ("something new", "other kernels"),
    ],
)
def test_kernels_are_known_by_their_names(kernel: str, kind: str) -> None:
    assert train_gpu.kind(kernel) == kind


def test_the_shares_of_a_call_are_its_whole_time() -> None:
    a = torch.rand(800, 800)
    found = train_gpu.shares(lambda: [a.mm(a) for _ in range(30)], "cpu")
    assert sum(found.values()) == pytest.approx(1, abs=1e-6) and found["matrix"] > 0.1
    assert found["sorting and indexing"] == 0


@pytest.mark.parametrize("limit", [5, 64, 100, 1000])
def test_the_largest_batch_lies_between_what_fits_and_what_does_not(limit: int) -> None:
    tried: list[int] = []

    def refusal(size: int) -> str:
        tried.append(size)
        return "too large" if size > limit else ""

    fits, refused, why = train_gpu.largest(refusal, 64, within=16)
    assert fits <= limit < refused and refused - fits <= 16 and why == "too large"
    assert len(tried) <= 16


def test_a_step_that_does_not_fit_is_told_from_one_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    job, batch = small_job(), collate([SyntheticScenes("easy", 64, count=3)[i] for i in range(3)])
    many = train_gpu.repeated(batch, 7)
    assert many.image_ids == (0, 1, 2, 0, 1, 2, 0) and torch.equal(many.images[4], batch.images[1])
    assert torch.equal(many.targets.keypoints[3:6], batch.targets.keypoints)
    assert train_gpu.refused(job, Machine(), batch, 4) == ""

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmuch")

    monkeypatch.setattr(train_gpu, "TrainingState", full)
    assert train_gpu.refused(job, Machine(), batch, 4) == "OutOfMemoryError: CUDA out of memory. Tried to allocate"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_a_gpu_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["bench", "train_gpu"]) != 0
    assert "sees no CUDA device here; `bench train` measures this machine" in capsys.readouterr().err


@pytest.mark.soak
def test_the_lines_of_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(timing, "WINDOW", 0.0)
    monkeypatch.setattr(_record, "FOLDER", tmp_path)
    monkeypatch.setattr(train_gpu, "THREADS", 1)
    monkeypatch.setattr(train_gpu, "refused", lambda job, machine, batch, size: "full" if size > 20 else "")
    job = small_job(epochs=1000, eval_images=2, augment="rtmo", batch=4, epoch_images=200)
    ways = {name: way for name, way in train_gpu.ways(Machine(resident=0.5)).items() if not way.compiler}
    assert list(ways) == ["loaded", "resident"] and [w.resident for w in ways.values()] == [0.0, 0.5]
    lines = list(train_gpu.measured(job, ways, 1, 2, True, tmp_path))
    _record.append("train_gpu", lines)
    with (tmp_path / "bench_train_gpu.csv").open() as file:
        read = {line["what"]: line for line in csv.DictReader(file)}
    assert list(read) == ["loaded", "resident", "batches alone, loaded", "batches alone, resident", "matrix products"]
    assert all(float(line["images_per_s"]) > 0 for line in read.values())
    assert float(read["loaded"]["x_loaded"]) == 1 and float(read["matrix products"]["of_matrix_rate"]) == 1
    assert 0 < float(read["resident"]["of_matrix_rate"]) < 1
    for name in ways:
        parts = [float(read[name][kind]) for kind in (*train_gpu.KINDS, *train_gpu.REST)]
        assert sum(parts) == pytest.approx(1, abs=0.02) and float(read[name]["matrix"]) > 0
    assert read["loaded"]["largest_batch"] == "16" and "refused: full" in capsys.readouterr().out
    text = train_gpu.table(lines)
    assert all(name in text for name in (*read, *train_gpu.KINDS, *train_gpu.REST))
