"""The suite itself: which cases of a sampled test run, and that what shares a fixture stays in one process."""

from types import SimpleNamespace

import pytest


class Case:
    """A case of a test as conftest sees it."""

    def __init__(self, name, every):
        self.nodeid, self.marks = name, {"sampled": pytest.mark.sampled(every).mark}

    def get_closest_marker(self, name):
        return self.marks.get(name)

    def add_marker(self, mark):
        self.marks[mark.name] = mark


@pytest.mark.parametrize(
    ("keyword", "turn", "run"), [("", 0, "036"), ("", 1, "14"), ("", 5, "25"), ("each", 0, "0123456")]
)
def test_a_sample_is_each_third_case_from_its_turn_on_and_all_that_are_named(keyword, turn, run, pytestconfig):
    ours = pytestconfig.pluginmanager.get_plugin(str(pytestconfig.rootpath / "conftest.py"))
    cases = [Case(f"test_it.py::test_each[{k}]", 3) for k in range(7)]
    options = SimpleNamespace(keyword=keyword, turn=turn)
    ours.pytest_collection_modifyitems(SimpleNamespace(option=options), cases)
    assert "".join(str(k) for k, case in enumerate(cases) if "slow" not in case.marks) == run


@pytest.fixture(scope="module")
def made():
    """Something that is made once."""
    return object()


def test_what_shares_a_fixture_is_named_so_that_one_process_gets_it(made, request):
    """This holds conftest to pytest's private `_id`: pytest-xdist reads the group behind the last @ of a name."""
    dealt_out = hasattr(request.config, "workerinput") and getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@tests/test_suite.py:made") == dealt_out
