"""What all operators share: see the page on the house, ../README.md."""
