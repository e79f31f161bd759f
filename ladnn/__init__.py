"""Retraining platform for LA-DNN, a lesion-attention COVID-19 classifier for chest CT."""

__version__ = "0.1.0"
