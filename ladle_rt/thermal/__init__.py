"""From raw thermal intensities to the numbers a network was trained on."""
