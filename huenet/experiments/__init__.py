"""Small seeded experiments, one for each loss, on real photos or on drawn flowers: `huenet experiment`."""
