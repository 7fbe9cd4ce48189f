"""The command line."""

from mielina.cli import main


def test_info(capsys):
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("mielina", "instruction set", "threads", "CUDA"))


def test_unknown_data_set(capsys):
    assert main(["train", "nothing"]) == 2
    out = capsys.readouterr()
    assert out.out == "" and out.err.count("\n") == 1 and "nothing" in out.err
