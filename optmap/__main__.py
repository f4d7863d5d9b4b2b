"""`python -m optmap` is the `optmap` command."""

from optmap.cli import main

if __name__ == "__main__":
    main()
