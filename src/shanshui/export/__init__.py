"""ONNX graphs of trained networks, built from their arrays without running them."""
