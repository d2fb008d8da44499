"""Where detections are kept and deployed."""
