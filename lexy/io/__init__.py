"""Reading and writing of videos, labels and ROIs, for training and prediction alike."""
