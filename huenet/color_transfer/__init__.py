"""Hue-Net: paints one photo with the colours of another."""
