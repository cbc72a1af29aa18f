"""`python -m fediart` is the `fediart` command."""

from fediart.cli import main

if __name__ == "__main__":
    main()
