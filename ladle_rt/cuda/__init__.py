"""CUDA and TensorRT as the rooms above need them: what is here, streams, memory, kernels, graphs.

Importing anything of this room loads no CUDA library. Two bindings of the driver stand behind one
protocol, `ladle_rt.cuda.gpu.Gpu`; `ladle_rt.cuda.select.open_gpu` opens one of them.
"""
