"""ONNX files of deployed networks, their int8 form, and what runs them.

    write(Deployed(network), Path("model.onnx"), {"source": "rtmo-s-coco"})
    dets, keypoints = Session(Path("model.onnx"), threads=2)(images)

A file has one input, `input` (batch, 3, height, width) float32 BGR 0..255, and two outputs, `dets` (batch, persons, 5)
and `keypoints` (batch, persons, K, 3), as `Deployed` gives them; batch and sides are open. Sides that are no multiples
of 32 are padded. Names, order and units are those of RTMO's exports by mmdeploy, so what reads those, as rtmlib does,
reads these. Where they pad with the row of some cell that is no person, ours pad with zeros.

Which persons are kept is part of the file, and may be said anew at any call: `score_threshold`, `nms_threshold`
(float32) and `max_persons` (int64), one number each, are inputs that have a default. In a file of `fixed` form they are
constants: programs warn of such inputs. The numbers, the names of the key points and the origin stand in the file's
metadata, see `read_about`.
"""

from __future__ import annotations

import ast
import contextlib
import json
import logging
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime import quantization
from onnxscript import opset20

from workbench.core.errors import Refused, one_line
from workbench.core.files import write_whole
from workbench.core.provenance import commit
from workbench.data.datasets.images import Unreadable, read_image
from workbench.data.loader import STRIDE
from workbench.data.synthetic.dataset import SyntheticScenes
from workbench.data.transforms.geometry import Letterbox
from workbench.data.transforms.pixels import PAD
from workbench.inference.deployed import Deployed, Precision, Selection, agreement, detections
from workbench.inference.load import Trained
from workbench.models.decode import FAR, detect
from workbench.models.network import Network
from workbench.tensors import Array, Detections

OPSET = 20
LIMITS = ("max_persons", "nms_threshold", "score_threshold")  # in the order of the operator's inputs
# Maps stay in bytes from one convolution to the next; what is not listed would go to float32 and back.
IN_BYTES = ("Conv", "Sigmoid", "Mul", "Add", "Concat", "MaxPool", "Resize")
WARNINGS, ERRORS = 2, 3  # severities of ONNX Runtime
_Picture = NDArray[np.uint8]


def write_onnx(deployed: Deployed, path: Path, about: Mapping[str, str]) -> None:
    """Writes the network to `path`; `about` is added to the file's metadata."""
    batch, rows, columns = map(torch.export.Dim, ("batch", "rows", "columns"))
    example = torch.zeros(2, 3, 96, 64)  # no side of 1, which would be taken as fixed
    with torch.no_grad(), _quietly():
        traced = torch.export.export(deployed, (example,), dynamic_shapes=({0: batch, 2: 32 * rows, 3: 32 * columns},))
        program: Any = torch.onnx.export(
            traced,
            input_names=["input"],
            output_names=["dets", "keypoints"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            custom_translation_table={
                torch.ops.workbench.survivors.default: _survivors,
                torch.ops.workbench.seats.default: _seats,
            },
        )
    model = program.model_proto
    points = deployed.rest.variant.skeleton
    facts = {
        **{name: str(value) for name, value in asdict(deployed.selection).items()},
        "keypoint_names": ",".join(points.keypoints),
        "skeleton": json.dumps(points.limbs),
        "class_name": deployed.rest.variant.classes[0],
        "precision": str(deployed.dtype).removeprefix("torch."),
    }
    onnx.helper.set_model_props(model, facts | dict(about))
    if not deployed.fixed:
        _open_limits(model)
    _pad_sides(model)
    _name_sides(model)
    onnx.checker.check_model(model, full_check=True)
    with write_whole(path) as part:
        part.write_bytes(model.SerializeToString())


def _survivors(boxes: Any, scores: Any, score_threshold: float, nms_threshold: float, max_persons: int) -> Any:
    """`exported_survivors` in ONNX."""
    op: Any = opset20  # its types know of no traced values
    rows = _non_maximum_suppression(boxes, scores, score_threshold, nms_threshold, max_persons)
    return op.Gather(rows, op.Constant(value_ints=[0, 2]), axis=1)


def _seats(boxes: Any, scores: Any, score_threshold: float, nms_threshold: float, max_persons: int) -> tuple[Any, Any]:
    """`exported_seats` in ONNX. All but three operators see the same shapes whoever is found.

    OpenCV keeps what it worked out for the shapes of one image, and computes the next one with it.
    """
    op: Any = opset20

    def ints(*values: int) -> Any:
        return op.Constant(value_ints=list(values))

    found = _non_maximum_suppression(boxes, scores, score_threshold, nms_threshold, max_persons)
    images, seats = op.Shape(scores, start=0, end=1), ints(max_persons)
    length = op.Mul(op.Add(images, ints(1)), seats)  # R: one image more than there are, for who reads after the last
    nobody = op.Expand(ints(-1), op.Concat(length, ints(3), axis=0))
    rows = op.Slice(op.Concat(found, nobody, axis=0), ints(0), length, ints(0))  # (R, 3): image, class, cell
    image, cell = (op.Slice(rows, ints(at), ints(at + 1), ints(1)) for at in (0, 2))  # (R, 1)
    zero, one = op.Constant(value_int=0), op.Constant(value_int=1)
    each = op.Range(zero, op.Squeeze(images), one)
    persons = op.ReduceSum(op.Cast(op.Equal(image, each), to=onnx.TensorProto.INT64), ints(0), keepdims=0)  # (B,)
    first = op.Sub(op.CumSum(persons, zero), persons)
    places = op.Add(op.Unsqueeze(first, ints(1)), ints(*range(max_persons)))  # (B, M)
    return op.Max(op.Gather(op.Squeeze(cell, ints(1)), places), ints(0)), persons


def _non_maximum_suppression(
    boxes: Any, scores: Any, score_threshold: float, nms_threshold: float, max_persons: int
) -> Any:
    """Rows of image, class and cell: the operator has the rules and the order of `survivors`, but knows no `FAR`."""
    op: Any = opset20
    far = op.Greater(op.Abs(boxes), op.Constant(value_float=FAR))
    reach = op.ReduceMax(op.Cast(far, to=onnx.TensorProto.FLOAT), op.Constant(value_ints=[-1]), keepdims=0)  # (B, N)
    near = op.Sub(scores, reach)  # a score of 0 or less is above no threshold
    return op.NonMaxSuppression(
        boxes,
        op.Unsqueeze(near, op.Constant(value_ints=[1])),
        op.Constant(value_ints=[max_persons]),
        op.Constant(value_floats=[nms_threshold]),
        op.Constant(value_floats=[score_threshold]),
    )


def _open_limits(model: onnx.ModelProto) -> None:
    """Makes inputs with a default of the constants that say which persons are kept."""
    (chooser,) = (node for node in model.graph.node if node.op_type == "NonMaxSuppression")
    for place, name in enumerate(LIMITS, start=2):
        value = _constant(model, chooser.input[place])
        model.graph.initializer.append(onnx.numpy_helper.from_array(value.reshape(1), name))
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, [1]))
        chooser.input[place] = name
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)


def _constant(model: onnx.ModelProto, name: str) -> NDArray[Any]:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    made = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    return onnx.numpy_helper.to_array(stored[name] if name in stored else made[name].attribute[0].t)


def _pad_sides(model: onnx.ModelProto) -> None:
    """Makes sides that are multiples of 32 of any, with grey at the right and the bottom; no box reaches into it."""
    node, graph = onnx.helper.make_node, model.graph
    for one in graph.node:
        for names in (one.input, one.output):
            for place, name in enumerate(names):
                names[place] = {"input": "padded", "dets": "uncut"}.get(name, name)
    values: dict[str, Any] = {
        "stride": np.array([STRIDE], np.int64),
        "most": np.array([STRIDE - 1], np.int64),
        "before": np.zeros(6, np.int64),
        "corners": np.array([1, 0, 1, 0], np.int64),
        "grey": np.array(PAD, np.float32),
        "sure": np.ones(1, np.float32),
    }
    graph.initializer.extend(onnx.numpy_helper.from_array(value, f"pad_{name}") for name, value in values.items())
    before = [
        node("Shape", ["input"], ["sides"], start=2),  # height, width
        node("Add", ["sides", "pad_most"], ["pad_more"]),
        node("Div", ["pad_more", "pad_stride"], ["pad_cells"]),
        node("Mul", ["pad_cells", "pad_stride"], ["pad_sides"]),
        node("Sub", ["pad_sides", "sides"], ["pad_after"]),
        node("Concat", ["pad_before", "pad_after"], ["pads"], axis=0),
        node("Pad", ["input", "pads", "pad_grey"], ["padded"]),
    ]
    after = [
        node("Gather", ["sides", "pad_corners"], ["border_pixels"]),
        node("Cast", ["border_pixels"], ["border_float"], to=onnx.TensorProto.FLOAT),
        node("Concat", ["border_float", "pad_sure"], ["border"], axis=0),  # no score is above 1
        node("Min", ["uncut", "border"], ["dets"]),
    ]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)


def _name_sides(model: onnx.ModelProto) -> None:
    """Readable names for the open dimensions of input and outputs."""
    names = {
        "input": ("batch", None, "height", "width"),
        "dets": ("batch", "persons"),
        "keypoints": ("batch", "persons"),
    }
    for value in (*model.graph.input, *model.graph.output):
        for side, name in zip(value.type.tensor_type.shape.dim, names.get(value.name, ()), strict=False):
            if name is not None:
                side.dim_param = name


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without the notes of exporter and quantiser, which tell of their own code."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "torch.onnx", None)]
    before = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            onnxruntime.set_default_logger_severity(ERRORS)
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        onnxruntime.set_default_logger_severity(WARNINGS)
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def quantise(source: Path, path: Path, images: Iterable[Array]) -> None:
    """Writes the float32 file `source` with the maps of its trunk in int8.

    Weights per channel; activations by the range that they reach, averaged over `images`, each (B, 3, H, W). The
    transformer's tokens, the head's last layers and all that follows stay in float32.
    """
    model = onnx.load(str(source))
    maps = {value.name for value in model.graph.value_info if len(value.type.tensor_type.shape.dim) == 4}
    chosen = [
        node.name
        for node in model.graph.node
        if node.op_type in IN_BYTES and node.output[0] in maps and _within(node, "trunk")
    ]
    with _quietly():
        quantization.quantize_static(
            str(source),
            str(path),
            _Reader(images),
            op_types_to_quantize=list(IN_BYTES),
            nodes_to_quantize=chosen,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"CalibMovingAverage": True},  # one value far out does not coarsen a whole map
        )
    quantised = onnx.load(str(path))
    about = {p.key: p.value for p in model.metadata_props}
    onnx.helper.set_model_props(quantised, about | {"precision": "int8"})
    with write_whole(path) as part:
        part.write_bytes(quantised.SerializeToString())


def _within(node: onnx.NodeProto, *parts: str) -> bool:
    """Whether the node comes from one of these submodules of `Deployed`."""
    scopes = next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "[]")
    return any(scope == part or scope.startswith(f"{part}.") for scope in ast.literal_eval(scopes) for part in parts)


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, images: Iterable[Array]) -> None:
        self.images = iter(images)

    def get_next(self) -> dict[str, Array] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        image = next(self.images, None)
        return None if image is None else {"input": image}


class Session:
    """A file in ONNX Runtime on the CPU, with so many threads (0: one per core)."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = ERRORS
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, images: Array) -> tuple[Array, Array]:
        """(B, 3, H, W) to dets (B, N, 5) and keypoints (B, N, K, 3)."""
        found = self.run({"input": images})
        return found["dets"], found["keypoints"]

    def inputs(self) -> list[Any]:
        """What must be given, with `name` and `shape`; not what has a default."""
        return list(self._session.get_inputs())

    def settings(self) -> list[str]:
        """The names of what may be given, and has a default."""
        return [value.name for value in self._session.get_overridable_initializers()]

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Every output by its name."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def open_session(path: Path, threads: int = 0) -> Session:
    """A file in ONNX Runtime.

    Raises:
        Refused: there is none, or it can not be read.
    """
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    try:
        return Session(path, threads)
    except Exception as error:  # of its own kinds, one for each fault
        raise Refused(f"{path}: not a file that ONNX Runtime reads ({one_line(error)})") from error


def bytes_of(path: Path) -> Counter[str]:
    """How many operators of each kind read bytes in an int8 file."""
    nodes = onnx.load(str(path)).graph.node
    bytes_ = {node.output[0] for node in nodes if node.op_type == "DequantizeLinear"}
    return Counter(node.op_type for node in nodes if node.input and node.input[0] in bytes_)


def halves(path: Path, folder: Path) -> tuple[Path, Path]:
    """Writes a float32 file as two, to be timed apart: up to what the network says of each cell, and from there on.

    The outputs of the one are the inputs of the other, with `input` for its size.
    """
    nodes = onnx.load(str(path)).graph.node
    made = {name for node in nodes if _within(node, "trunk", "rest.head") for name in node.output}
    later = [node for node in nodes if not _within(node, "trunk", "rest.head")]
    between = sorted({name for node in later for name in node.input if name in made})
    first, second = folder / "network.onnx", folder / "persons.onnx"
    onnx.utils.extract_model(str(path), str(first), ["input"], between)
    onnx.utils.extract_model(str(path), str(second), ["input", *LIMITS, *between], ["dets", "keypoints"])
    return first, second


def read_model(path: Path) -> onnx.ModelProto:
    """The file as other programs of ONNX take it."""
    return onnx.load(str(path))


def read_about(path: Path) -> dict[str, str]:
    """The file's metadata."""
    return {p.key: p.value for p in onnx.load(str(path), load_external_data=False).metadata_props}


# From a trained network to a file


SHOWN, CALIBRATION = 8, 64  # images for comparison, and for the ranges of activations


def deploy(
    source: Trained,
    path: Path,
    precision: Precision,
    selection: Selection,
    folder: Path | None = None,
    fixed: bool = False,
) -> str:
    """Writes `source` to `path`; says in one line how well the file agrees with the network.

    Args:
        folder: images for comparison and for the ranges of int8; None renders scenes.
        fixed: see `Deployed`; which persons are kept is then no input of the file.

    Raises:
        Refused: no such place for the file; no images to quantise with; or more than one class.
    """
    if path.suffix != ".onnx" or not path.parent.is_dir():
        raise Refused(f"-o {path}: expected a name ending in .onnx in a folder that exists")
    if path.is_dir() or (path.is_symlink() and not path.exists()):
        raise Refused(f"-o {path}: a folder or a link that leads nowhere is in its place; give another name")
    on_scenes = source.job is not None and source.job.protocol.scenes != ""
    if precision == "int8" and folder is None and not on_scenes:
        raise Refused(f"int8 of {source.source}: its ranges need images like those to come: add --calibrate FOLDER")
    images = scenes(source) if folder is None else calibration_images(folder, source.size)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    deployed = Deployed(source.network, selection, dtype, fixed)
    about = {"source": source.source, "size": "x".join(map(str, source.size)), "commit": commit()}
    if precision == "int8":
        with tempfile.TemporaryDirectory() as place:
            plain = Path(place) / "float32.onnx"
            write_onnx(deployed, plain, about)
            quantise(plain, path, map(as_input, images))
    else:
        write_onnx(deployed, path, about)
    return f"{path}: {path.stat().st_size / 1e6:.1f} MB, {precision}; {_compared(source, path, selection, images)}"


def _compared(source: Trained, path: Path, selection: Selection, images: Sequence[_Picture]) -> str:
    session, found, expected = Session(path, 1), [], []
    for image in map(as_input, images[:SHOWN]):
        found += detections(*session(image))
        expected += reference(source.network, image, selection)
    seen = agreement(found, expected)
    better = "; try pictures of persons (--calibrate FOLDER) or a lower --score-threshold" * (not seen.persons)
    return f"against the network, on {len(found)} images: {seen}{better}"


def reference(network: Network, image: Array, chosen: Selection) -> list[Detections]:
    """What the network itself finds, under the same rules."""
    images, most = torch.from_numpy(image), chosen.max_persons
    every = detect(network, images, score_threshold=chosen.score_threshold, nms_threshold=chosen.nms_threshold)
    return [
        replace(
            found,
            boxes=found.boxes[:most],
            scores=found.scores[:most],
            labels=found.labels[:most],
            keypoints=found.keypoints[:most],
            keypoint_scores=found.keypoint_scores[:most],
        )
        for found in every
    ]


def as_input(image: _Picture) -> Array:
    """(H, W, 3) uint8 BGR to (1, 3, H, W)."""
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def calibration_images(folder: Path, size: tuple[int, int], count: int = CALIBRATION) -> list[_Picture]:
    """The first images of a folder and those below it, in order of their names, whole and centred on `size`.

    Raises:
        Refused: there are none, or one can not be read.
    """
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))[:count]
    if not files:
        raise Refused(f"--calibrate {folder}: no .jpg or .png below it; expected a folder with images")
    try:
        images = [read_image(file) for file in files]
    except Unreadable as error:
        raise Refused(f"--calibrate {folder}: {error}; take it out") from error
    return [Letterbox.of((image.shape[0], image.shape[1]), size).image(image) for image in images]


def scenes(source: Trained, count: int = CALIBRATION) -> list[_Picture]:
    """Rendered scenes of the network's size; those that it was trained on, if it was."""
    level = ("" if source.job is None else source.job.protocol.scenes) or "hard"
    rendered = SyntheticScenes(level, source.size[0], count=count)
    return [rendered[i].image for i in range(count)]
