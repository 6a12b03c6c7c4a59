"""What goes wrong is said in one line on standard error, with the fix, and with the right exit code.

The mistakes are those of someone's first hour, and of someone in a hurry.
"""

import os
import subprocess
import sys

import pytest

from gateflow import cli
from gateflow.errors import install_line

TIME = ("--horizon", "10", "--gap", "0.1")

MISTAKES = {
    "misspelt verb": (("tiem", "fast"), "unknown command tiem; did you mean time?"),
    "unknown option, no verb": (("--jsn",), "unknown option --jsn"),
    "misspelt option": (("time", "fast", *TIME, "--jsn"), "unknown option --jsn; did you mean --json?"),
    "misspelt required option": (
        ("time", "fast", "--horizn", "10"),
        "unknown option --horizn; did you mean --horizon?",
    ),
    "no gate": (("time", *TIME), "GATE is missing"),
    "no horizon": (("time", "fast", "--gap", "0.1"), "--horizon is missing"),
    "option without value": (("time", "fast", "--gap", "0.1", "--horizon"), "--horizon needs a value"),
    "an unknown option and none of those needed": (("time", "fast", "-Q", "10"), "unknown option -Q"),
    "a list without values": (("flow", "fast", *TIME, "--at"), "--at needs a value"),
    "a list without values before an option": (("report", "fast", "--gaps", "--json"), "--gaps needs a value"),
    "a word for a number": (("time", "fast", "--horizon", "ten"), "--horizon takes a number; got 'ten'"),
    "an empty text for a file": (("order", "fast", "erf", "--certificate", ""), "--certificate takes a path; got ''"),
    "an empty text for a folder": (("figures", "--out", ""), "--out takes a path; got ''"),
    "an empty text for a file to read": (("verify", ""), "FILE takes a path; got ''"),
    "an argument too many": (("time", "fast", "sigmoid", *TIME), "unexpected argument 'sigmoid'"),
    "no target": (
        ("time", "fast", "--horizon", "10"),
        "give exactly one of --target, --gap, --log-gap, --decay, --timescale; none was given",
    ),
    "two targets": (("time", "fast", *TIME, "--target", "0.9"), "got --target and --gap"),
    "log_gap out of range": (("time", "fast", "-T", "10", "--log-gap", "1"), "--log-gap must be below 0; got 1"),
    "no time at hand": (("time", "fast", *TIME, "--tau-max", "0"), "--tau-max must be above 0; got 0"),
    "horizon out of range": (
        ("time", "fast", "--horizon", "0", "--gap", "0.1"),
        "horizon must be finite and at least 1; got 0",
    ),
    "gap out of range": (("time", "fast", "--horizon", "10", "--gap", "-1"), "gap must be in [0, 1); got -1"),
    "scale out of range": (("time", "fast", *TIME, "--scale", "0"), "scale must be finite and above 0; got 0"),
    "a gap read as 0": (
        ("time", "fast", "--horizon", "10", "--gap", "1e-400"),
        "--gap 1e-400 is below the smallest float; give its logarithm: --log-gap -921.034037",
    ),
    "a gap read as 0, and none of the decimals": (
        ("time", "fast", "--horizon", "10", "--gap", f"1e-{'9' * 30}"),
        "is below the smallest float; give its logarithm: --log-gap NUMBER",
    ),
    "a gap below the decimals of floats": (
        ("time", "fast", "--horizon", "10", "--gap", "1e-99999999"),
        "--gap 1e-99999999 is below the smallest float; give its logarithm: --log-gap -230258507",
    ),
    "a horizon read as infinite": (
        ("time", "fast", "--horizon", "1e400", "--gap", "0.1"),
        "--horizon 1e400 is past the largest float",
    ),
    "a time scale read as infinite": (
        ("time", "fast", "--horizon", "10", "--timescale", "1e400"),
        "--timescale 1e400 is past the largest float",
    ),
    **{
        f"a folder for a file to write, {words[0]} {words[-2]}": (
            words,
            f"{words[-1]} names a folder; give the file to write",
        )
        for words in (
            ("flow", "fast", *TIME, "--figure", "x.svg/"),
            ("order", "fast", "erf", "--certificate", "x.json/."),
            ("report", "fast", "-o", "x.html/"),
            ("sweep", "fast", *TIME, "-o", "x.nc/"),
            ("export", "run", "--to", "x.py/"),
            ("results", "run", "--csv", "x.csv/"),
            ("bench", "lstm", "--report", "x.json/"),
        )
    },
    "misspelt loss": (("flow", "fast", *TIME, "--loss", "sqared"), "unknown loss 'sqared'; did you mean 'squared'?"),
    "a formula that is no law": (("time", "fast", *TIME, "--loss", "exp(s)"), "it does not fall at s = 1e-06"),
    "a smooth loss": (("time", "fast", *TIME, "--loss", "squared"), "give a tolerance"),
    "tolerance out of range": (("time", "fast", *TIME, "--tolerance", "2"), "tolerance must be in (0, 1); got 2"),
    "tolerance of a loss that arrives": (("flow", "fast", *TIME, "--tolerance", "0.1"), "it needs no tolerance"),
    "z0 not a number": (("time", "fast", *TIME, "--z0", "nan"), "z0 must be finite; got nan"),
    "nan for a point": (("show", "fast", "--z", "1", "nan"), "--z takes numbers; got nan"),
    "misspelt gate": (("show", "fsat"), "unknown gate 'fsat'; did you mean 'fast'?"),
    "a caret for a power": (("show", "sigmoid(z^3)"), "write '**'"),
    "a formula in LaTeX": (("check", r"\sigma(z)"), "LaTeX is not read"),
    "a formula that looks like an option": (("rank", "sigmoid", "-z"), "begins with '-' comes after '--': -- -z"),
    "no gate, for a report": (("report", "z**2"), "it leaves (0, 1), phi(-30) = 900"),
    "unknown function": (("show", "sigmoid(sinhh(z))"), "did you mean 'sinh'?"),
    "code for a formula": (("show", "__import__('os').system('true')"), "formula"),
    "unknown parameter": (("show", "fast(beta=2)"), "gate 'fast' has no parameter 'beta'; it has alpha"),
    "a symbol for a number": (("time", "sigmoid(k*z); k=positive", *TIME), "k needs a number here, not 'positive'"),
    "a word for a parameter": (("show", "sigmoid(k*z); k=big"), "k needs a number"),
    "parameter without name": (("show", "sigmoid(k*z); 2"), "a parameter of a formula has a name"),
    "parameter not in the formula": (("show", "sigmoid(z); k=2"), "there is no k in the formula"),
    "x for z": (("show", "sigmoid(x)"), "unknown symbol 'x'; the variable is called 'z'"),
    "a function of NumPy": (("show", "sigmoid(np.exp(z))"), "there are no dots in names; write 'exp'"),
    "a bracket never closed": (("show", "1/(1 + exp(-z)"), "'(' is never closed"),
    "a bracket never opened": (("show", "sigmoid(z))"), "')' closes no bracket"),
    "a product without a star": (("show", "sigmoid(2z)"), "a product is written out: '2*z'"),
    "a function without brackets": (("show", "sigmoid z"), "'sigmoid' needs brackets: 'sigmoid(z)'"),
    "a superscript": (("show", "sigmoid(z\u00b3)"), "write '**3' for a cube"),
    "no formula": (("show", ""), "the formula is empty; write one in z, such as sigmoid(z)"),
    "no gate, but tanh": (("show", "tanh(z)"), "it leaves (0, 1), phi(-30) = -1"),
    "a gate for a command": (("fast", *TIME), "a gate comes after a command: gateflow show fast"),
    "a formula for a command": (("sigmoid(z**3)",), "a gate comes after a command: gateflow show 'sigmoid(z**3)'"),
    "a target above 1": (("time", "fast", "--horizon", "10", "--target", "1.5"), "target must be in (0, 1]; got 1.5"),
    "a gap of 1": (("time", "fast", "--horizon", "10", "--gap", "1"), "gap must be in [0, 1); got 1"),
    "per cent": (("time", "fast", "--horizon", "10", "--gap", "1%"), "--gap takes a number; got '1%'"),
    "no step size": (("descent", "fast", *TIME), "--lr is missing"),
    "a step size of 0": (("descent", "fast", *TIME, "--lr", "0"), "lr must be finite and above 0; got 0"),
    "a learning rate of 0": (("train", "adding", "--lr", "0"), "lr must be above 0, or nothing is learned; got 0"),
    "unknown optimiser": (
        ("descent", "fast", *TIME, "--lr", "1", "--optimizer", "adamw"),
        "unknown optimizer 'adamw'; did you mean 'adam'?",
    ),
    "one gate to order": (("order", "fast"), "OTHER is missing"),
    "a gate twice": (("rank", "fast", "fast"), "two of the gates are called fast"),
    "a range without a count": (
        ("sweep", "fast", "--horizon", "1:10", "--gap", "0.1"),
        "a range start:stop:count or start:stop:count:log; got '1:10'",
    ),
    "a picture without an ending": (
        ("flow", "fast", *TIME, "--figure", "flow"),
        "flow should end in one of .svg, .pdf",
    ),
    "a report as pdf": (("report", "fast", "-o", "fast.pdf"), "fast.pdf should end in .html"),
    "a report to a folder": (("report", "fast", "-o", "."), "names a folder; give the file to write"),
    "a sweep as csv": (("sweep", "fast", "--horizon", "10", "--gap", "0.1", "-o", "t.csv"), "t.csv should end in .nc"),
    "no such file": (("verify", "none.json"), "cannot read none.json: No such file or directory"),
    "no such run": (("timescales", "none"), "none is not the folder of a run: there is no settings.toml"),
    "misspelt figure": (("figures", "slop"), "unknown figure 'slop'; did you mean 'slope'?"),
    "unknown format": (("figures", "slope", "--format", "gif"), "unknown format 'gif'; known: svg, pdf, png"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(mistake, gateflow):
    arguments, said = MISTAKES[mistake]
    code, out, err = gateflow(*arguments)
    first, *notes = err.splitlines()
    assert (code, out) == (2, "")
    assert first.startswith("gateflow: error: ")
    assert said in first
    assert all(note.startswith("    ") for note in notes)


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("torch", ("train", "adding"), "nn"),
        ("xarray", ("sweep", "fast", "--horizon", "10", "--gap", "0.1"), "sweep"),
    ],
)
def test_a_missing_extra_is_told_with_the_command_that_installs_it(missing, arguments, extra, tmp_path):
    """In a process of its own, where the package cannot be imported."""
    program = f"import sys; sys.modules[{missing!r}] = None; from gateflow.cli import main; sys.exit(main({arguments}))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith(f"needs the extra '{extra}': {install_line(extra)}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_usage_error_names_the_help_to_read(gateflow):
    assert gateflow("time").err.endswith("; see 'gateflow time --help'\n")
    assert gateflow("tiem").err.endswith("; see 'gateflow --help'\n")


def test_the_caret_stands_under_the_fault(gateflow):
    *_, formula, caret = gateflow("show", "sigmoid(z^3)").err.splitlines()
    assert formula[caret.index("^")] == "^"
    assert formula.strip() == "sigmoid(z^3)"


def test_a_folder_that_cannot_be_written_is_one_line(gateflow, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, out, err = gateflow("figures", "slope", "--format", "svg", "-o", str(tmp_path / "taken" / "in"))
    assert (code, out, err.count("\n")) == (2, "", 1)


class Broken:
    """Commands whose one verb fails in a given way."""

    def __init__(self, problem):
        self.problem = problem

    def __iter__(self):
        yield "fail"

    def __contains__(self, name):
        return name == "fail"

    def __getitem__(self, name):
        def run():
            """Fail."""
            raise self.problem

        return run


def test_a_fault_of_ours_is_one_line_and_says_how_to_see_more(gateflow, monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", Broken(ZeroDivisionError("oh\nno")))
    code, out, err = gateflow("fail")
    assert (code, out) == (1, "")
    assert err == "gateflow: error: ZeroDivisionError: oh no (a fault of gateflow; GATEFLOW_DEBUG=1 shows where)\n"


def test_debug_shows_the_traceback(gateflow, monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", Broken(ZeroDivisionError("oh no")))
    monkeypatch.setenv("GATEFLOW_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["fail"])


@pytest.mark.parametrize(
    ("problem", "code", "err"),
    [
        (KeyboardInterrupt(), 130, "gateflow: interrupted\n"),
        (PermissionError(13, "Permission denied", "here"), 2, "gateflow: error: here: Permission denied\n"),
        (MemoryError(), 1, "gateflow: error: not enough memory for this\n"),
    ],
)
def test_what_comes_from_outside(problem, code, err, gateflow, monkeypatch):
    monkeypatch.setattr(cli, "COMMANDS", Broken(problem))
    assert gateflow("fail") == (code, "", err)
