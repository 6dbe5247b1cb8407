"""Files of one thermal picture or several: images, stacks, arrays, raw dumps, vendor files."""
