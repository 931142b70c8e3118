"""Is the dynamic coordinate classifier worth it? RTMO (arXiv 2312.07526), ablation of the coordinate stage.

Run:   nox -s study -- ablate_dcc                                   (a finish of mature networks, minutes on a CPU)
       nox -s study -- ablate_dcc --protocol fork                   (the same of young ones)
       nox -s study -- ablate_dcc --protocol laptop                 (from scratch, hours on a CPU, resumable)
       nox -s study -- ablate_dcc --protocol paper --data /data/coco
"""

from workbench.components.losses.kld import KLD
from workbench.presets import REGRESSION, rtmo
from workbench.study import Better, Row, Study

KLD_FOR_MLE = {"losses.MLE": None, "losses.KLD": KLD()}
STATIC = {**KLD_FOR_MLE, "coords.dynamic_encoding": False}
# Bins over the image cannot be learnt at all by a cell that does not know where it is, so that row is told; it is
# told as well where only the bins move to the box, and no more in the step after: every row changes one thing.
POSITION = {"coords.cell_position": True}
JOINT = ", begun with what both taught, if with anything"
SINES, MLE = "+ dynamic bin encoding", "+ MLE (RTMO)"

STUDY = Study(
    name="ablate_dcc",
    question="Do dynamic bins and the MLE loss beat static bins, KLD and plain regression?",
    source="RTMO, arXiv 2312.07526: the paper's table was not available, its claims are checked",
    base=rtmo("s"),
    rows=(
        Row("regression", REGRESSION),
        Row("static bins, KLD", {**STATIC, **POSITION, "coords.dynamic_allocation": False}),
        Row("+ dynamic bin allocation", {**STATIC, **POSITION}),
        Row("- cell position", STATIC),
        Row(SINES, KLD_FOR_MLE),
        Row(MLE),
    ),
    default="thaw",
    claims=(
        # RTMO trains regression and the DCC together, which is what is to have taught a trunk that rows begin with
        Better("C1", f"the DCC beats direct regression{JOINT}", MLE, "regression", from_scratch=True, teacher="joint"),
        Better(
            "C2", "bins on the predicted box beat bins over the image", "+ dynamic bin allocation", "static bins, KLD"
        ),
        Better("C3", "sine encoding of the bins beats static embeddings", SINES, "- cell position"),
        Better("C4", "the MLE loss beats KLD", MLE, SINES, from_scratch=True),
        # an effect near 0 is never decided, a bound of it is
        Better("C4 margin", "KLD loses less than 1 AP to the MLE loss", SINES, MLE, margin=-0.01, from_scratch=True),
    ),
)
