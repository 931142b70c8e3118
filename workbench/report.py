"""The record of a study as files: one line per run, the curves, the verdicts, and a page with the table.

Numbers (`*_frame`) apart from drawing (`*_plot`). Everything is read from the folders of complete jobs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

from workbench.errors import Refused
from workbench.judge import Judgement, Results, noise_floor, verdicts
from workbench.run import FLAT, last_gain, read
from workbench.study import Setting, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA, RENDERED = Path("reports/data"), Path("reports/rendered")
SHOWN = ("AP", "AP50", "AP75", "AR", "mOKS", "NME")


def results_of(
    study: Study, setting: Setting, home: Path, seeds: int | None = None, sets: Mapping[str, Any] | None = None
) -> Results:
    """The complete cells of a study under a setting, of jobs changed by `sets` as the study was run.

    Raises:
        Refused: none is complete.
    """
    cells = study.cells(setting, seeds, sets)
    found = [(cell, read(home / "jobs" / cell.job.key)) for cell in cells if _complete(home, cell.job.key)]
    if not found:
        raise Refused(f"nothing of {study.name}, {setting.name} is complete in {home}; run the study first")
    return found


def _complete(home: Path, key: str) -> bool:
    return (home / "jobs" / key / "result.json").exists()


def runs_frame(study: Study, setting: Setting, results: Results) -> pd.DataFrame:
    """One line per run: what was run, its numbers, where and from which commit."""
    lines = [
        {"study": study.name, "protocol": setting.name, "row": cell.row, "seed": cell.job.seed, "trunk": cell.trunk}
        | {"job": cell.job.key, **result.metrics, **result.tags}
        for cell, result in results
    ]
    return pd.DataFrame(lines)


def curves_frame(results: Results) -> pd.DataFrame:
    """One line per evaluation of each run."""
    return pd.DataFrame(
        [
            {"row": cell.row, "seed": cell.job.seed, "trunk": cell.trunk, "job": cell.job.key, **line}
            for cell, result in results
            for line in result.curve
        ]
    )


def claims_frame(judged: Sequence[Judgement]) -> pd.DataFrame:
    """One line per claim: verdict, reason, interval of the difference."""
    return pd.DataFrame(
        [
            {"claim": j.claim.id, "text": j.claim.text, "verdict": str(j.decision.state), "reason": j.decision.reason}
            | ({} if j.interval is None else {"mean": j.interval.mean, "low": j.interval.low, "high": j.interval.high})
            | {f"on {trunk}": interval.mean for trunk, interval in (j.per_trunk or {}).items()}
            for j in judged
        ]
    )


def table_frame(study: Study, runs: Any) -> pd.DataFrame:
    """Means over seeds and trunks in the order of the rows, AP per trunk, cost."""
    rows = [row.label for row in study.rows if row.label in set(runs["row"])]
    grouped = runs.groupby("row")
    table = grouped[[name for name in (*SHOWN, "params", "gflops") if name in runs]].mean().loc[rows]
    table.insert(0, "runs", grouped.size().loc[rows])
    first = runs[runs["row"] == rows[0]]
    by = ["trunk"] if runs["trunk"].any() else ["seed"]
    spread = {}
    for label in rows:
        mine = runs[runs["row"] == label]
        spread[label] = (mine.groupby(by)["AP"].mean() - first.groupby(by)["AP"].mean()).std()
    table["sd of the difference to the first row"] = pd.Series(spread)
    for trunk in sorted(set(runs["trunk"]) - {""}):
        table[f"AP {trunk}"] = runs[runs["trunk"] == trunk].groupby("row")["AP"].mean()
    return table


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table; quality in percent, parameters in millions."""
    scaled = table.copy()
    for name in scaled.columns:
        if name.startswith("AP") or name in ("AR", "AP50", "AP75", "mOKS", "sd of the difference to the first row"):
            scaled[name] = (100 * scaled[name]).map("{:.1f}".format).replace("nan", "")
        elif name == "params":
            scaled[name] = (scaled[name] / 1e6).map("{:.2f} M".format)
        elif name in ("gflops", "NME"):
            scaled[name] = scaled[name].map("{:.3f}".format)
    head = ["row", *scaled.columns]
    lines = [[str(label), *map(str, line)] for label, line in zip(scaled.index, scaled.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *lines])


def curves_plot(study: Study, setting: Setting, curves: pd.DataFrame) -> Figure:
    """AP against images seen, one panel per trunk, one line per run."""
    trunks = sorted(set(curves["trunk"])) or [""]
    figure, axes = plt.subplots(1, len(trunks), figsize=(5.5 * len(trunks), 4.2), sharey=True, squeeze=False)
    images = setting.protocol.epoch_images
    for axis, trunk in zip(axes[0], trunks, strict=True):
        for i, row in enumerate(study.rows):
            mine = curves[(curves["row"] == row.label) & (curves["trunk"] == trunk)]
            for n, (_, run) in enumerate(mine.groupby("seed")):
                axis.plot(
                    run["epoch"] * (images / 1000 or 1),
                    100 * run["AP"],
                    color=f"C{i}",
                    alpha=0.8,
                    label="" if n else row.label,
                )
        axis.set_xlabel("training images, thousands" if images else "epochs")
        axis.set_title(f"trunk {trunk}" if trunk else f"{study.name}, {setting.name}: each run")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("AP on validation images, %")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    return figure


def write_report(
    study: Study, setting: Setting, home: Path, seeds: int | None = None, sets: Mapping[str, Any] | None = None
) -> list[Path]:
    """Writes the CSV files, the picture and the page; returns their paths. Other `sets`, other files."""
    results = results_of(study, setting, home, seeds, sets)
    runs, curves, judged = runs_frame(study, setting, results), curves_frame(results), verdicts(study, setting, results)
    stem = "_".join([study.name, setting.name, *(re.sub(r"[^\w.]+", "-", f"{k}={v}") for k, v in (sets or {}).items())])
    DATA.mkdir(parents=True, exist_ok=True)
    RENDERED.mkdir(parents=True, exist_ok=True)
    files = {
        DATA / f"{stem}.csv": runs,
        DATA / f"{stem}_curves.csv": curves,
        DATA / f"{stem}_claims.csv": claims_frame(judged),
    }
    for path, frame in files.items():
        frame.to_csv(path, index=False, float_format="%.6g")
    figure = curves_plot(study, setting, curves)
    figure.savefig(RENDERED / f"{stem}_curves.png", dpi=110)
    plt.close(figure)
    page = RENDERED / f"{stem}.md"
    planned = len(study.cells(setting, seeds))
    page.write_text(_page(study, setting, results, runs, curves, judged, planned, stem), encoding="utf-8")
    return [*files, RENDERED / f"{stem}_curves.png", page]


def _page(
    study: Study,
    setting: Setting,
    results: Results,
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    judged: Sequence[Judgement],
    planned: int,
    stem: str,
) -> str:
    gains = [abs(gain) for _, result in results if (gain := last_gain(result.curve)) is not None]
    cited = "; ".join(f"{row.label} {row.cited.value:g} ({row.cited.source})" for row in study.rows if row.cited)
    lines = [
        f"# {study.question}",
        "",
        f"{study.source}. Protocol `{setting.name}`: {setting.about}. {len(results)} of {planned} runs complete; "
        f"commit {', '.join(sorted(set(runs['commit'])))}; {', '.join(sorted(set(runs['machine'])))}; threads "
        f"{', '.join(sorted(set(runs['threads'])))}; {', '.join(sorted(set(runs['precision'])))}.",
        "",
        *(f"- **{j.claim.id} {j.decision.state}**: {j.claim.text}. {j.decision.reason}" for j in judged),
        "",
        markdown(table_frame(study, runs)),
        "",
        "AP, AP50, AP75, AR and mOKS in percent on the validation images; gflops are 10^9 multiply-adds. Published: "
        + (cited or "no row is cited")
        + ".",
        "",
        "Noise floor, the same row with other seeds (A/A): "
        + (", ".join(f"{100 * d:+.1f}" for d in noise_floor(study, results)) or "not measured")
        + " AP.",
        "",
        f"Flat at the end (less than {100 * FLAT:.1f} AP over the last quarter): "
        f"{sum(gain < FLAT for gain in gains)} of {len(gains)} curves; "
        f"the largest change is {100 * max(gains, default=0):.1f} AP.",
        "",
        f"![AP over training](./{stem}_curves.png)",
        "",
    ]
    return "\n".join(lines)
