"""`python -m bulkops` is the same program."""

from bulkops.cli import entry

if __name__ == "__main__":
    entry()
