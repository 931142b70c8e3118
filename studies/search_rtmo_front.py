"""The front of search_rtmo: does each network beat the next cheaper one?

Run:   nox -s study -- search_rtmo_front --until decided

Written from the search, cheapest first; costs are gflops of the published size.
"""

from studies.search_rtmo import STUDY as SEARCH
from workbench.study import Better, Row, Study

CHOSEN: dict[str, dict[str, str]] = {
    "ghostnetv2, pafpn, depth 0.0, P4+P5, dcc bins 1/2": {
        "backbone": "ghostnetv2",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P4+P5",
        "coords": "dcc",
        "bins": "1/2",
    },
    "mobilenetv4, pafpn, depth 0.0, P4+P5, dcc bins 1/2": {
        "backbone": "mobilenetv4",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P4+P5",
        "coords": "dcc",
        "bins": "1/2",
    },
    "ghostnetv2, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4": {
        "backbone": "ghostnetv2",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P3+P4+P5",
        "coords": "dcc",
        "bins": "1/4",
    },
    "mobilenetv4, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4": {
        "backbone": "mobilenetv4",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P3+P4+P5",
        "coords": "dcc",
        "bins": "1/4",
    },
}


def row(label: str) -> Row:
    return SEARCH.as_row(SEARCH.space.candidate(CHOSEN[label]), label)


STUDY = Study(
    name="search_rtmo_front",
    question="Does each network on the front of search_rtmo beat the next cheaper one?",
    source="the search search_rtmo",
    base=SEARCH.base,
    rows=tuple(map(row, CHOSEN)),
    claims=(
        Better(
            "F1",
            "mobilenetv4 beats ghostnetv2",
            "mobilenetv4, pafpn, depth 0.0, P4+P5, dcc bins 1/2",
            "ghostnetv2, pafpn, depth 0.0, P4+P5, dcc bins 1/2",
            metric="AP",
            from_scratch=True,
        ),
        Better(
            "F2",
            "ghostnetv2, P3+P4+P5, dcc bins 1/4 beats mobilenetv4, P4+P5, dcc bins 1/2",
            "ghostnetv2, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            "mobilenetv4, pafpn, depth 0.0, P4+P5, dcc bins 1/2",
            metric="AP",
            from_scratch=True,
        ),
        Better(
            "F3",
            "mobilenetv4 beats ghostnetv2",
            "mobilenetv4, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            "ghostnetv2, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            metric="AP",
            from_scratch=True,
        ),
    ),
    default=SEARCH.default,
    whole="the rows change what a frozen trunk computes",
)
