"""DeepDiff's words as settings: by ini, by marker and for a folder."""

import re

import pytest

from plugin.failures import reported

TOOL = """
    import os

    import pytest

    RECORDS = "SHUT" not in os.environ

    def refund(order, note, price): return {"seen": [1, 2] if RECORDS else [2, 1]}

    def run(sparrow):
        tool = sparrow.tool(refund)
        sparrow.call("quote", lambda: 1)
        tool("1234", "Please" if RECORDS else "PLEASE", 1.0 if RECORDS else 1.04)

    def test_plain(sparrow):
        run(sparrow)

    @pytest.mark.sparrow(ignore_string_case=True, significant_digits=1)
    def test_marked(sparrow):
        run(sparrow)
"""

OPERATOR = """
    import pytest

    class Rounding:
        def match(self, level):
            return level.path().endswith("['price']")

        def give_up_diffing(self, level, diff_instance):
            return SETTLES

    @pytest.fixture
    def sparrow_settings():
        return {"custom_operators": [Rounding()]}
"""

SAYS = """
    import os

    from pytest_sparrow import ToolUseStarted

    def test_NAME(sparrow):
        price = 1.04 if "SHUT" in os.environ else 1.0
        sparrow.record(ToolUseStarted(run=sparrow.run_id, id="c", name="refund", args={"price": price}))

    def test_other():
        pass
"""

OPERATORS = {
    "settled": "abs(level.t1 - level.t2) < 0.05",
    "differs": "False",
    "raises": "level.t1 / 0",
}


@pytest.fixture
def recorded(inner):
    """A run with and one without rules, and a folder for each operator, recorded."""

    def record():
        inner.write("pytest.ini", "[pytest]\n")
        inner.write("test_it.py", TOOL)
        for name, settles in OPERATORS.items():
            inner.write(f"{name}/conftest.py", OPERATOR.replace("SETTLES", settles))
            inner.write(f"{name}/test_{name}.py", SAYS.replace("NAME", name))
        inner.record().assert_outcomes(passed=2 + 2 * len(OPERATORS))

    inner.once(record)
    return inner


@pytest.mark.parametrize(
    "ini",
    [
        "sparrow_ignore_string_case = true\nsparrow_significant_digits = 1",
        "sparrow_exclude_paths =\n  ToolUse*[refund].args['note']\n  ToolUse*[refund].args['price']",
        "sparrow_exclude_regex_paths = \\['(note|price)'\\]",
    ],
    ids=["words", "paths", "regex"],
)
def test_rules_of_the_ini_file_settle_differences(recorded, ini):
    """A call whose arguments differ only in what does not count gets its recorded answer, and is no difference."""
    recorded.write("pytest.ini", f"[pytest]\n{ini}\n")
    recorded.replay("test_it.py", "-k", "plain").assert_outcomes(passed=1, deselected=1)


def test_rules_of_a_marker_and_operators_of_a_folder(recorded):
    """A marker's rules settle its test's differences; the same run, compared as it is, is red: its call has no answer.

    What a folder's operator settles is equal; an operator that raises fails its own test only, which names it.
    """
    result = recorded.replay("-rA")
    found = re.findall(r"^(PASSED|FAILED) \S+::(\w+)", result.stdout.str(), flags=re.MULTILINE)
    assert sorted(found) == sorted(
        [
            ("FAILED", "test_plain"),
            ("PASSED", "test_marked"),
            ("PASSED", "test_settled"),
            ("FAILED", "test_differs"),
            ("FAILED", "test_raises"),
            *[("PASSED", "test_other")] * len(OPERATORS),
        ]
    )
    texts = reported(result)
    assert "the golden holds no answer to this" in texts["test_plain"]
    assert "  ToolUseStarted[refund].args['price']" in texts["test_differs"].splitlines()
    assert "custom_operators: Rounding.give_up_diffing raised ZeroDivisionError: " in texts["test_raises"]
    assert "custom_operators" not in texts["test_differs"]
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.no_fnmatch_line("*site-packages*")


def test_what_is_no_operator_is_a_usage_error(inner):
    """When tests are collected, with the marker's test."""
    inner.write(
        "test_it.py",
        """
        import pytest

        @pytest.mark.sparrow(custom_operators=[len])
        def test_it(sparrow): pass
        """,
    )
    result = inner.refused()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*test_it.py::test_it*custom_operators: <built-in function len> is no operator*"]
    )


PATTERNS = """
    import os

    import httpx2
    import pytest

    NONCE = os.environ.get("NONCE", "7")

    def refund(order, note): return "done"

    def answer(request):
        return httpx2.Response(200, text="ok")

    def post(**more):
        with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
            client.post(f"http://shop/up/{NONCE}", **more)

    def test_tool(sparrow):
        sparrow.tool(refund)("1234", os.environ.get("NOTE", "please"))

    @pytest.mark.sparrow(
        in_process=True, ignore=["request.form.nonce", "request.url.path['2']"], ignore_headers=["x-id"]
    )
    def test_form(sparrow):
        post(data={"nonce": NONCE, "q": "a"}, headers={"x-id": NONCE})

    @pytest.mark.sparrow(
        in_process=True,
        ignore=["request.variables.cursor", "request.variables.id", "request.url.path['2']"],
    )
    def test_graphql(sparrow):
        post(json={"query": "query Q { x }", "variables": {"cursor": NONCE}})
"""
PATTERNS += """
    @pytest.mark.sparrow(in_process=True, ignore=["request.body.text['1']", "request.url.path['2']"])
    def test_text(sparrow):
        post(content=f"nonce={NONCE}\\nq=" + os.environ.get("Q", "a"), headers={"content-type": "text/plain"})
"""
UNMATCHED = [
    "test_it.py::test_tool and 2 more tests: ignore_headers = x-trace matched nothing in this session*",
    "test_it.py::test_graphql: ignore = request.variables.id matched nothing in this session*",
]


def test_a_pattern_that_matches_nothing_is_named_once(inner):
    """Not where it matches in another test, nor where tests were left out or failed, or nothing was compared.

    A form's field, a header, a GraphQL variable, a segment of a URL and a line of a text can be named.
    """
    ini = "[pytest]\nsparrow_ignore_headers = x-trace\n"
    inner.write("pytest.ini", f"{ini}sparrow_ignore = ToolUseStarted.args.note\n")
    inner.write("test_it.py", PATTERNS)
    recorded = inner.record()
    recorded.assert_outcomes(passed=4)
    recorded.stdout.no_fnmatch_line("*matched nothing*")
    whole = inner.replay()
    named = [line for line in whole.outlines if "matched nothing" in line]
    assert len(named) == len(UNMATCHED)
    whole.stdout.fnmatch_lines_random(UNMATCHED)
    for options, environ, code in (
        (["-k", "form or graphql or text"], {"NONCE": "8"}, 0),
        (["test_it.py"], {}, 0),
        ([], {"NOTE": "now", "Q": "b"}, 1),
    ):
        inner.env(**environ)
        inner.write("pytest.ini", ini)
        result = inner.replay(*options)
        assert result.ret == code
        result.stdout.no_fnmatch_line("*matched nothing*")
        assert ("  request.body.text['2']" in result.outlines) is ("Q" in environ)
        inner.unset(*environ)
