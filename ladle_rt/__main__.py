"""``python -m ladle_rt``."""

from ladle_rt.cli import main

if __name__ == "__main__":
    main()
