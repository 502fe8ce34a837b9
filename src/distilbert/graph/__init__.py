"""Config + arrays -> an ONNX graph; calibration and int8. Nothing here runs a graph or reads a file."""
