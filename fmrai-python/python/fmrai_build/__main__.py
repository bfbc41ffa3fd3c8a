"""``python -m fmrai_build``."""

from . import main

main()
