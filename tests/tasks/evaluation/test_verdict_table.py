"""What a person reads of a verdict."""

from tasks.evaluation import verdict_table
from tasks.evaluation.demand import Demand

MET = Demand("f1_macro over the baseline majority", "at least 0.3", 0.7029, True, 0.68, 0.7214, 0.0312)
DOUBT = Demand(
    *("f1_macro against champion 2", "not more than 0.02 below with 99 % certainty", -0.0013, False),
    *(-0.0163, 0.0141, 0.0246, 1240, "with 99 % certainty it is only known to be at most 0.0213 below"),
)
UNMET = Demand("held-out perplexity", "at most 50", None, False)


def gate(*demands: Demand) -> dict[str, object]:
    verdict = {"verdict": "inconclusive", "says": "inconclusive: needs 1,240 more examples", "passed": False}
    return {**verdict, "demands": [d._asdict() for d in demands]}


SHOWN = """\
inconclusive: needs 1,240 more examples
met         what                                 actual   95 % interval      could show  demanded
yes         f1 macro over the baseline majority  0.7029   0.68 to 0.7214     0.0312      at least 0.3
can't tell  f1 macro against champion 2          -0.0013  -0.0163 to 0.0141  0.0246      not more than 0.02
            with 99 % certainty it is only known to be at most 0.0213 below
no          held-out perplexity                  unknown                                 at most 50"""


def test_on_a_terminal_demands_stand_in_columns() -> None:
    assert list(verdict_table.lines(gate(MET, DOUBT._replace(demand="not more than 0.02"), UNMET))) == (
        SHOWN.split("\n")
    )


def test_on_a_page_what_a_demand_says_stands_beside_it() -> None:
    first, second, third = verdict_table.rows(gate(MET, DOUBT, UNMET))
    assert first == (
        *("f1 macro over the baseline majority", "at least 0.3", 0.7029, "0.68 to 0.7214", "0.0312", "yes"),
    )
    assert second[1:] == (
        "not more than 0.02 below with 99 % certainty; with 99 % certainty it is only known to be at most "
        "0.0213 below",
        *(-0.0013, "-0.0163 to 0.0141", "0.0246", "can't tell"),
    )
    assert third[2:] == ("unknown", "", "", "no")
    assert len(verdict_table.HEADER) == len(first)


def test_what_goes_live_in_doubt_is_said() -> None:
    (first, *_) = verdict_table.lines(gate(MET) | {"passed": True})
    assert first == (
        "inconclusive: needs 1,240 more examples; it goes live all the same, as evaluate.in_doubt says"
    )
