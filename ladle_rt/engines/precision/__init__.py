"""Precision as part of the graph. Works on ONNX alone; torch is not needed."""
