"""Translation on an NVIDIA GPU: the frame's whole way in device memory."""
