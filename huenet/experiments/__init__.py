"""Small seeded experiments, one for each loss, on real photos or on what is drawn: `huenet experiment`."""
