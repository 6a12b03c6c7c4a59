"""What stands beside the code: addresses, versions and requirements are the same everywhere they stand."""

import json
import re
import tomllib
import warnings
from pathlib import Path

import pytest
import yaml

from gateflow import __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
REPOSITORY = PROJECT["urls"]["Repository"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)]+)\)")
ON_CONDA = {"matplotlib-base": "matplotlib", "lazy-loader": "lazy_loader"}


def loaded(name: str):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_the_release_is_dated_and_what_is_deprecated_stops_a_test():
    """A public name that is to change warns for one minor version; nothing of ours may use it then."""
    released = str(loaded("CITATION.cff")["date-released"])
    assert f"## [{__version__}] - {released}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    with pytest.raises(DeprecationWarning):
        warnings.warn("gateflow.old is gateflow.new", DeprecationWarning, stacklevel=1)


def test_there_is_one_version():
    assert PROJECT["version"] == __version__
    assert loaded("CITATION.cff")["version"] == __version__
    assert loaded("packaging/recipe.yaml")["context"]["version"] == __version__
    assert f"{{{__version__}}}" in (ROOT / "docs/cite.md").read_text(encoding="utf-8")


def test_there_is_one_address_and_one_author():
    (author,) = PROJECT["authors"]
    assert all(url.startswith(REPOSITORY) for url in PROJECT["urls"].values())
    assert loaded("CITATION.cff")["repository-code"] == REPOSITORY
    assert loaded("packaging/recipe.yaml")["about"]["homepage"] == REPOSITORY
    cited = (ROOT / "docs/cite.md").read_text(encoding="utf-8")
    assert f"url     = {{{REPOSITORY}}}" in cited
    assert author["name"] in cited
    assert [each["name"] for each in loaded("CITATION.cff")["authors"]] == [author["name"]]


def test_the_conda_recipe_needs_what_the_package_needs():
    recipe = loaded("packaging/recipe.yaml")
    needed = [each.replace(" ", "") for each in recipe["requirements"]["run"]]
    named = {ON_CONDA.get(name, name).lower() + rest for name, rest in (re.split(r"(?=>=)", each) for each in needed)}
    assert named == {each.lower() for each in PROJECT["dependencies"]} | {f"python{PROJECT['requires-python']}"}
    assert recipe["build"]["python"]["entry_points"] == [f"gateflow = {PROJECT['scripts']['gateflow']}"]


def test_readme_leads_to_files_that_exist():
    found = LINK.findall(README)
    assert len(found) > 20
    assert [link for link in found if not (ROOT / link.partition("#")[0]).exists()] == []


def test_on_an_index_page_every_link_of_readme_leads_to_the_repository():
    text = README
    for each in PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        assert REPOSITORY in each["replacement"]
        text = re.sub(each["pattern"], each["replacement"], text)
    assert LINK.findall(text) == []
    assert f"]({REPOSITORY}/raw/main/figures/learning.png)" in text
    assert f"]({REPOSITORY}/blob/main/docs/theory.md)" in text


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").iterdir()), ids=lambda path: path.stem)
def test_a_workflow_can_be_read_and_has_few_rights(path):
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert found["permissions"]["contents"] == "read"
    assert all("steps" in job for job in found["jobs"].values())
    commands = " ".join(step.get("run", "") for job in found["jobs"].values() for step in job["steps"])
    assert "password" not in json.dumps(found)
    assert "-e ." not in commands


def test_the_workflow_tries_every_python_that_is_named():
    versions = loaded(".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert set(named) < set(versions)  # what was tried here is claimed; results/package.txt has the outcome


def test_hooks_run_the_lint_that_ci_runs():
    (pinned,) = re.findall(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert loaded(".pre-commit-config.yaml")["repos"][0]["rev"] == f"v{pinned}"
