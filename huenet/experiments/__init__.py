"""Small seeded experiments on real photos, one for each loss: `huenet experiment`."""
