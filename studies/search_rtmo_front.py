"""The front of search_rtmo: does each network beat the next cheaper one?

Run:   nox -s study -- search_rtmo_front --until decided

Written from the search, cheapest first; costs are gflops of the published size.
"""

from studies.search_rtmo import STUDY as SEARCH
from workbench.study import Better, Row, Study

CHOSEN: dict[str, dict[str, str]] = {
    "mobilenetv4, pafpn, depth 0.0, P4+P5, dcc bins 1/2": {
        "backbone": "mobilenetv4",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P4+P5",
        "coords": "dcc",
        "bins": "1/2",
    },
    "mobilenetv4, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4": {
        "backbone": "mobilenetv4",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P3+P4+P5",
        "coords": "dcc",
        "bins": "1/4",
    },
    "csp s, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4": {
        "backbone": "csp",
        "size": "s",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P3+P4+P5",
        "coords": "dcc",
        "bins": "1/4",
    },
    "stdc, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/2": {
        "backbone": "stdc",
        "neck": "pafpn",
        "depth": "0.0",
        "levels": "P3+P4+P5",
        "coords": "dcc",
        "bins": "1/2",
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
            "P3+P4+P5, dcc bins 1/4 beats P4+P5, dcc bins 1/2",
            "mobilenetv4, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            "mobilenetv4, pafpn, depth 0.0, P4+P5, dcc bins 1/2",
            metric="AP",
            from_scratch=True,
        ),
        Better(
            "F2",
            "csp s beats mobilenetv4",
            "csp s, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            "mobilenetv4, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            metric="AP",
            from_scratch=True,
        ),
        Better(
            "F3",
            "stdc, dcc bins 1/2 beats csp s, dcc bins 1/4",
            "stdc, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/2",
            "csp s, pafpn, depth 0.0, P3+P4+P5, dcc bins 1/4",
            metric="AP",
            from_scratch=True,
        ),
    ),
    default=SEARCH.default,
    whole="the rows change what a frozen trunk computes",
)
