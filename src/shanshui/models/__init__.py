"""Networks: plain arguments in, tensors out; they touch no disk and know no configuration."""
