"""Entry point of `python -m optmap`."""

from optmap.cli import main

if __name__ == "__main__":
    main()
