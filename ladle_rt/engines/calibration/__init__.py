"""Which values the activations of a model take on real frames, and which frames those were."""
