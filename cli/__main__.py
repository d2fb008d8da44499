"""``python -m huntonce.cli``: the same as the ``huntonce`` command."""

from huntonce.cli.main import run

if __name__ == "__main__":
    run()
