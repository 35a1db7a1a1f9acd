"""TensorFlow on the CPU, without chatter, and Keras on it."""

from __future__ import annotations

import os

# Both are read once, when TensorFlow and Keras are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
