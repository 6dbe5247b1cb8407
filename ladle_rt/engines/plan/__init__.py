"""From a precision-explicit ONNX graph to a TensorRT plan on disk, and back to what it is."""
