"""Arithmetic of images: filters, resizing, rings, N/C, intensity."""
