"""Declarations of the features that networks extract from images; `evaluation.feature_reader` computes them."""

from __future__ import annotations

from shanshui.metrics.record import Features, network_features

network_features(Features("inception", numbers=2048, weights="fid_inception", own_size=True))
network_features(Features("efficientnet", numbers=1280, weights="efficientnet_lite0", own_size=True))
network_features(Features("segmenter", needs=frozenset({"segmenter"})))
network_features(Features("classes", needs=frozenset({"segmenter", "labels"})))
network_features(Features("lpips", numbers=1, weights="alexnet", needs=frozenset({"photographs"})))
