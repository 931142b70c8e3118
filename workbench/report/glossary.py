"""What a page says at its foot: the words that a reader may not know, those that stand on the page."""

from __future__ import annotations

import re
from collections.abc import Iterable

GLOSSARY = {
    "OKS": "object key-point similarity, 0 to 1: how near a predicted pose is to a labelled one, measured by the "
    "person's size and by how exactly each key point can be labelled at all",
    "AP": "average precision over OKS thresholds from 0.50 to 0.95, in percent: which share of the persons is found, "
    "and how few detections are wrong, taken together as COCO does",
    "nano": "RTMO cut down to train on a laptop, at 96 px",
    "trunk": "backbone, neck and towers: all of the network before the stage that places key points",
    "A/A": "a row once more with other seeds: its difference is what chance alone makes",
    "probe": "only the last stage of each row is trained, on the features of stored trunks that stay as they are",
    "dominated": "another row costs no more and scores no less, and is better in one of the two; what nothing "
    "dominates is the Pareto front",
    "hypervolume": "the area under the front, score over the log of cost, above the lowest score; more is better",
    "fANOVA": "functional analysis of variance: which part of what a forest of trees predicts each factor explains "
    "when all others are averaged over",
    "ground truth": "what the data set says is there",
    "bootstrap": "the validation images are drawn again and again with replacement; the spread of a number over these "
    "draws is its interval over other images",
    "jitter": "a key point near its true place, at a similarity of 0.5 to 0.85",
    "inversion": "left taken for right, or right for left, in the same person",
    "swap": "a key point placed on another person",
    "miss": "a key point near no labelled place",
}


def glossary(texts: Iterable[str]) -> str:
    """One line of Markdown per word of `GLOSSARY` that the texts use; "" where they use none."""
    said = "\n".join(texts)
    used = [word for word in GLOSSARY if re.search(rf"(?<!\w){re.escape(word)}(?:s|es)?(?!\w)", said, re.IGNORECASE)]
    return "\n".join(f"- **{word}**: {GLOSSARY[word]}." for word in used)
